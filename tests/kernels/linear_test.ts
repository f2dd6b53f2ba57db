import {
  type Backend,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  type PackedWeight,
  type Tensor,
} from "../../ffi/mod.ts";
import { assertThrows } from "@std/assert";
import { assertSameBits, backends, Lab, seeded, testBackends } from "../native.ts";
import {
  assertRounded,
  floats,
  outAs,
  type Precision,
  putAs,
  roundTo,
  sumError,
  testBf16,
  testPrecisions,
} from "./precision.ts";
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

/** Forward and both backward products, plain and accumulating, on operands of a precision. */
async function assertProducts(
  backend: Backend,
  dtype: Precision,
  [M, N, K]: readonly number[],
): Promise<void> {
  using lab = await Lab.open({ backend });
  await seeded(async (rand) => {
    const normal = (n: number) => roundTo(dtype, rand.normal(n));
    const [x, w, y0, dy, dx0] = [M * K, N * K, M * N, M * N, M * K].map(normal);
    const [bias, dw0, db0] = [N, N * K, N].map((n) => rand.normal(n));
    const packed = packWeight(lab, w, N, K, dtype);
    const [xt, dyt] = [putAs(lab, dtype, x, [M, K]), putAs(lab, dtype, dy, [M, N])];
    // A sum of `depth` products of normal numbers has the size sqrt(depth), however much of it cancels.
    const assertSums = async (
      out: Tensor,
      expected: Float64Array,
      depth: number,
      what: string,
      sums = dtype,
    ) => {
      const tolerance = sumError(sums, depth), values = await floats(lab, out);
      assertRounded(out.dtype as Precision, values, expected, tolerance, what, Math.sqrt(depth));
    };

    const xw = product([M, N, K], (m, k) => x[m * K + k], (n, k) => w[n * K + k]);
    const y = outAs(lab, dtype, [M, N]);
    linearForward(lab.stream, { y, x: xt, w: packed, bias: lab.put(bias) });
    await assertSums(y, xw.map((v, i) => v + bias[i % N]), K, "y");
    const yt = putAs(lab, dtype, y0, [M, N]);
    linearForward(lab.stream, { y: yt, x: xt, w: packed, accumulate: true });
    await assertSums(yt, xw.map((v, i) => v + y0[i]), K, "y accumulated");

    const dyw = product([M, K, N], (m, n) => dy[m * N + n], (k, n) => w[n * K + k]);
    const dx = outAs(lab, dtype, [M, K]);
    linearBackwardInput(lab.stream, { dx, dy: dyt, w: packed });
    await assertSums(dx, dyw, N, "dx");
    const dxt = putAs(lab, dtype, dx0, [M, K]);
    linearBackwardInput(lab.stream, { dx: dxt, dy: dyt, w: packed, accumulate: true });
    await assertSums(dxt, dyw.map((v, i) => v + dx0[i]), N, "dx accumulated");

    const dw = lab.put(dw0, [N, K]), dbias = lab.put(db0);
    linearBackwardWeight(lab.stream, { dw, dbias, dy: dyt, x: xt });
    const outer = product([N, K, M], (n, m) => dy[m * N + n], (k, m) => x[m * K + k]);
    await assertSums(dw, outer.map((v, i) => v + dw0[i]), M, "dw");
    const columns = product([1, N, M], () => 1, (n, m) => dy[m * N + n]);
    await assertSums(dbias, columns.map((v, i) => v + db0[i]), M, "dbias", "f32");
  });
}

for (const shape of shapes) {
  testPrecisions(
    `linear (${shape}): forward and backward agree with float64`,
    (backend, dtype) => assertProducts(backend, dtype, shape),
  );
}

// Rows of 16 bytes, which are copied asynchronously, and matrices large enough for each shape of the tile.
for (
  const shape of [[1, 8, 8], [16, 72, 136], [37, 40, 264], [130, 200, 72], [8200, 264, 16], [
    16,
    1504,
    1400,
  ]]
) {
  testBf16(
    `linear (${shape}): forward and backward agree with float64`,
    (backend) => assertProducts(backend, "bf16", shape),
  );
}

testPrecisions(
  "linear: the bits of a row do not depend on the number of rows or threads",
  async (backend, dtype) => {
    await seeded(async (rand) => {
      const [M, N, K] = [61, 70, 90];
      const x = rand.normal(M * K), w = rand.normal(N * K);
      const run = async (rows: number, threads: number) => {
        using lab = await Lab.open({ backend, threads });
        const y = outAs(lab, dtype, [rows, N]);
        const packed = packWeight(lab, w, N, K, dtype);
        const xt = putAs(lab, dtype, x.slice(0, rows * K), [rows, K]);
        linearForward(lab.stream, { y, x: xt, w: packed });
        return await floats(lab, y);
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

testBf16("linear: every shape of the tile gives the same bits", async (backend) => {
  using lab = await Lab.open({ backend });
  await seeded(async (rand) => {
    const [M, N, K] = [256, 8200, 200], narrow = 48;
    const x = rand.normal(M * K), w = rand.normal(N * K);
    const packed = packWeight(lab, w, N, K, "bf16");
    const few = packWeight(lab, w.slice(0, narrow * K), narrow, K, "bf16");
    const run = async (weight: PackedWeight, rows: number, shift = 0) => {
      // Rows that do not begin on 16 bytes take the path of single elements.
      const padded = new Float32Array(shift + rows * K);
      padded.set(x.subarray(0, rows * K), shift);
      const xt = putAs(lab, "bf16", padded, [padded.length]).view(shift, [rows, K]);
      const y = outAs(lab, "bf16", [rows, weight.N]);
      linearForward(lab.stream, { y, x: xt, w: weight });
      return await floats(lab, y);
    };
    const all = await run(packed, M);
    const columns = (rows: number) =>
      Float32Array.from({ length: rows * narrow }, (_, i) => {
        return all[Math.floor(i / narrow) * N + i % narrow];
      });
    for (const rows of [1, 16, 17, 65]) {
      assertSameBits(await run(packed, rows), all.slice(0, rows * N), `${rows} rows`);
      assertSameBits(await run(few, rows), columns(rows), `${rows} rows, few columns`);
      assertSameBits(await run(few, rows, 3), columns(rows), `${rows} rows, unaligned`);
    }
  });
});

// The plain cores go through every sum in the CPU's order. THINKER_LIB is one library for all backends:
// there is nothing to compare then.
const others = Deno.env.has("THINKER_LIB") ? [] : backends.filter((backend) => backend !== "cpu");
for (const backend of others) {
  Deno.test(`${backend}: linear in float32 has the bits of the CPU backend`, async () => {
    await seeded(async (rand) => {
      const [M, N, K] = [530, 37, 70];
      const [x, w, dy, bias] = [M * K, N * K, M * N, N].map((n) => rand.normal(n));
      const run = async (backend: Backend) => {
        using lab = await Lab.open({ backend });
        const packed = packWeight(lab, w, N, K);
        const [xt, dyt] = [lab.put(x, [M, K]), lab.put(dy, [M, N])];
        const [y, dx] = [lab.put(dy, [M, N]), lab.out([M, K])];
        const [dw, dbias] = [lab.put(w, [N, K]), lab.put(bias)];
        linearForward(lab.stream, { y, x: xt, w: packed, bias: lab.put(bias), accumulate: true });
        linearBackwardInput(lab.stream, { dx, dy: dyt, w: packed });
        linearBackwardWeight(lab.stream, { dw, dbias, dy: dyt, x: xt });
        return await Promise.all([y, dx, dw, dbias].map((tensor) => lab.f32(tensor)));
      };
      const [actual, expected] = [await run(backend), await run("cpu")];
      ["y", "dx", "dw", "dbias"].forEach((name, i) => assertSameBits(actual[i], expected[i], name));
    });
  });
}

testBf16("linear: activations and weights of different types are refused", async (backend) => {
  using lab = await Lab.open({ backend });
  const packed = packWeight(lab, new Float32Array(32), 4, 8);
  const y = outAs(lab, "bf16", [2, 4]), x = outAs(lab, "bf16", [2, 8]);
  assertThrows(
    () => linearForward(lab.stream, { y, x, w: packed }),
    Error,
    "activations and packed weights must have the same type, float32 or bfloat16",
  );
});

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
