import { linearBackwardInput, linearBackwardWeight, linearForward } from "../../ffi/mod.ts";
import { assertClose, assertSameBits, Lab, seeded } from "../native.ts";
import { packWeight } from "./head_reference.ts";
import { sumError } from "./precision.ts";

/** Sizes at which the kernels work in several slices of K, blocks of rows and groups of packed rows. */
const [M, N, K] = [600, 130, 2100];

/** a(I, L) b(J, L)^T in float64. */
function product(a: Float32Array, b: Float32Array, I: number, J: number, L: number): Float64Array {
  const c = new Float64Array(I * J);
  for (let i = 0; i < I; i++) {
    for (let j = 0; j < J; j++) {
      let sum = 0;
      for (let l = 0; l < L; l++) sum += a[i * L + l] * b[j * L + l];
      c[i * J + j] = sum;
    }
  }
  return c;
}

function transposed(x: Float32Array, rows: number): Float32Array {
  const columns = x.length / rows;
  return Float32Array.from(x, (_, i) => x[i % rows * columns + Math.floor(i / rows)]);
}

Deno.test("linear in blocks: forward and backward agree with float64", async () => {
  using lab = await Lab.open();
  await seeded(async (rand) => {
    const [x, w, dy, bias] = [M * K, N * K, M * N, N].map((n) => rand.normal(n));
    const [y0, dw0] = [M * N, N * K].map((n) => rand.normal(n));
    const packed = packWeight(lab, w, N, K);
    const [xt, dyt] = [lab.put(x, [M, K]), lab.put(dy, [M, N])];
    const xw = product(x, w, M, N, K);
    for (const accumulate of [false, true]) {
      const y = lab.put(y0, [M, N]);
      linearForward(lab.stream, { y, x: xt, w: packed, bias: lab.put(bias), accumulate });
      const expected = xw.map((v, i) => v + bias[i % N] + (accumulate ? y0[i] : 0));
      assertClose(await lab.f32(y), expected, sumError("f32", K), "y");
    }
    const dx = lab.out([M, K]);
    linearBackwardInput(lab.stream, { dx, dy: dyt, w: packed });
    assertClose(
      await lab.f32(dx),
      product(dy, transposed(w, N), M, K, N),
      sumError("f32", N),
      "dx",
    );
    const dw = lab.put(dw0, [N, K]);
    linearBackwardWeight(lab.stream, { dw, dy: dyt, x: xt });
    const outer = product(transposed(dy, M), transposed(x, M), N, K, M);
    assertClose(await lab.f32(dw), outer.map((v, i) => v + dw0[i]), sumError("f32", M), "dw");
  });
});

Deno.test("linear in blocks: neither rows nor threads change a bit", async () => {
  await seeded(async (rand) => {
    const [x, w, dy] = [M * K, N * K, M * N].map((n) => rand.normal(n));
    const run = async (rows: number, threads: number) => {
      using lab = await Lab.open({ threads });
      const packed = packWeight(lab, w, N, K);
      const y = lab.out([rows, N]), dw = lab.zeros([N, K]);
      linearForward(lab.stream, { y, x: lab.put(x.slice(0, rows * K), [rows, K]), w: packed });
      linearBackwardWeight(lab.stream, { dw, dy: lab.put(dy, [M, N]), x: lab.put(x, [M, K]) });
      return { y: await lab.f32(y), dw: await lab.f32(dw) };
    };
    const all = await run(M, 2);
    for (const [rows, threads] of [[1, 1], [2, 2], [4, 1], [8, 2], [13, 3], [14, 1], [99, 3]]) {
      const part = await run(rows, threads);
      assertSameBits(part.y, all.y.slice(0, rows * N), `${rows} rows, ${threads} threads`);
      assertSameBits(part.dw, all.dw, `dw with ${threads} threads`);
    }
  });
});
