import { linearBackwardInput, linearBackwardWeight, linearForward } from "../../ffi/mod.ts";
import { assertThrows } from "@std/assert";
import { assertClose, assertSameBits, Lab, seeded, testBackends } from "../native.ts";
import { packWeight } from "./head_reference.ts";

/** c(I, J) = sum over L of a(i, l) b(j, l), in float64. */
function product(
  [I, J, L]: [number, number, number],
  a: (i: number, l: number) => number,
  b: (j: number, l: number) => number,
): Float64Array {
  const c = new Float64Array(I * J);
  for (let i = 0; i < I; i++) {
    for (let j = 0; j < J; j++) for (let l = 0; l < L; l++) c[i * J + j] += a(i, l) * b(j, l);
  }
  return c;
}

const shapes = [[1, 1, 1], [1, 33, 7], [3, 31, 65], [13, 32, 16], [15, 70, 33], [29, 64, 128], [
  300,
  45,
  17,
]];

for (const [M, N, K] of shapes) {
  testBackends(
    `linear (${M}, ${N}, ${K}): forward and backward agree with float64`,
    async (backend) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        const [x, w, bias, y0, dy] = [M * K, N * K, N, M * N, M * N].map((n) => rand.normal(n));
        const [dx0, dw0, db0] = [M * K, N * K, N].map((n) => rand.normal(n));
        const packed = packWeight(lab, w, N, K);
        const [xt, bt, dyt] = [lab.put(x, [M, K]), lab.put(bias), lab.put(dy, [M, N])];

        const xw = product([M, N, K], (m, k) => x[m * K + k], (n, k) => w[n * K + k]);
        const y = lab.out([M, N]);
        linearForward(lab.stream, { y, x: xt, w: packed, bias: bt });
        assertClose(await lab.f32(y), xw.map((v, i) => v + bias[i % N]), 1e-5, "y");
        const yt = lab.put(y0, [M, N]);
        linearForward(lab.stream, { y: yt, x: xt, w: packed, accumulate: true });
        assertClose(await lab.f32(yt), xw.map((v, i) => v + y0[i]), 1e-5, "y accumulated");

        const dyw = product([M, K, N], (m, n) => dy[m * N + n], (k, n) => w[n * K + k]);
        const dx = lab.out([M, K]);
        linearBackwardInput(lab.stream, { dx, dy: dyt, w: packed });
        assertClose(await lab.f32(dx), dyw, 1e-5, "dx");
        const dxt = lab.put(dx0, [M, K]);
        linearBackwardInput(lab.stream, { dx: dxt, dy: dyt, w: packed, accumulate: true });
        assertClose(await lab.f32(dxt), dyw.map((v, i) => v + dx0[i]), 1e-5, "dx accumulated");

        const dw = lab.put(dw0, [N, K]), dbias = lab.put(db0);
        linearBackwardWeight(lab.stream, { dw, dbias, dy: dyt, x: xt });
        const outer = product([N, K, M], (n, m) => dy[m * N + n], (k, m) => x[m * K + k]);
        assertClose(await lab.f32(dw), outer.map((v, i) => v + dw0[i]), 1e-5, "dw");
        const columns = product([1, N, M], () => 1, (n, m) => dy[m * N + n]);
        assertClose(await lab.f32(dbias), columns.map((v, i) => v + db0[i]), 1e-5, "dbias");
      });
    },
  );
}

testBackends(
  "linear: the bits of a row do not depend on the number of rows or threads",
  async (backend) => {
    await seeded(async (rand) => {
      const [M, N, K] = [61, 70, 90];
      const x = rand.normal(M * K), w = rand.normal(N * K);
      const run = async (rows: number, threads: number) => {
        using lab = await Lab.open({ backend, threads });
        const y = lab.out([rows, N]);
        const packed = packWeight(lab, w, N, K);
        linearForward(lab.stream, { y, x: lab.put(x.slice(0, rows * K), [rows, K]), w: packed });
        return await lab.f32(y);
      };
      const all = await run(M, 2);
      for (const rows of [1, 2, 13, 14, 15, 60]) {
        for (const threads of [1, 2, 3]) {
          assertSameBits(await run(rows, threads), all.slice(0, rows * N), `${rows} rows`);
        }
      }
    });
  },
);

testBackends("linear: a wrong shape is named", async (backend) => {
  using lab = await Lab.open({ backend });
  const packed = packWeight(lab, new Float32Array(32), 4, 8);
  const [y, x] = [lab.zeros([2, 4]), lab.zeros([2, 9])];
  assertThrows(
    () => linearForward(lab.stream, { y, x, w: packed }),
    TypeError,
    "linear_forward: x is f32[2, 9], expected f32[2, 8]",
  );
});
