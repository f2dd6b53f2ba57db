import { assertThrows } from "@std/assert";
import {
  type Heads,
  NativeError,
  qkNormBackward,
  qkNormForward,
  rmsnormForward,
} from "../../ffi/mod.ts";
import { assertClose, assertSameBits, Lab, type Rand, seeded, testBackends } from "../native.ts";
import {
  assertRounded,
  floats,
  outAs,
  type Precision,
  putAs,
  roundTo,
  testPrecisions,
} from "./precision.ts";
import { assertSameForAnyThreads } from "./threads.ts";

const shapes = [[1, 1, 1, 16], [3, 2, 1, 17], [5, 4, 2, 64], [130, 3, 3, 33], [67, 14, 2, 128]]
  .map(([T, H, Hk, D]) => ({ T, heads: { H, Hk, D } }));
const eps = 1e-3;

/** The op and its gradient written out in float64, for `sum(out * dout)`. */
function reference(
  x: ArrayLike<number>,
  dout: ArrayLike<number>,
  w: readonly [ArrayLike<number>, ArrayLike<number>],
  T: number,
  { H, Hk, D }: Heads,
) {
  const out = Float64Array.from(x), dx = Float64Array.from(dout), rstd: number[] = [];
  const dw = [new Float64Array(D), new Float64Array(D)] as const;
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < H + Hk; h++) {
      const at = (t * (H + 2 * Hk) + h) * D, kind = h < H ? 0 : 1;
      let squares = 0, pull = 0;
      for (let i = 0; i < D; i++) squares += x[at + i] ** 2;
      const r = 1 / Math.sqrt(squares / D + eps);
      rstd.push(r);
      for (let i = 0; i < D; i++) pull += dout[at + i] * w[kind][i] * x[at + i] * r ** 3 / D;
      for (let i = 0; i < D; i++) {
        out[at + i] = x[at + i] * r * w[kind][i];
        dw[kind][i] += dout[at + i] * x[at + i] * r;
        dx[at + i] = dout[at + i] * w[kind][i] * r - x[at + i] * pull;
      }
    }
  }
  return { out, dx, rstd, dw };
}

function inputs(rand: Rand, T: number, { H, Hk, D }: Heads, dtype: Precision) {
  const size = T * (H + 2 * Hk) * D;
  const [x, dout] = [3, 1].map((scale) => roundTo(dtype, rand.normal(size, scale)));
  const [wq, wk, dwq, dwk] = [1, 2, 3, 4].map(() => rand.normal(D));
  return { x, dout, wq, wk, dwq, dwk };
}

async function run(
  lab: Lab,
  dtype: Precision,
  T: number,
  heads: Heads,
  data: ReturnType<typeof inputs>,
) {
  const { H, Hk, D } = heads, shape = [T, (H + 2 * Hk) * D];
  const [qkv, dqkv] = [data.x, data.dout].map((a) => putAs(lab, dtype, a, shape));
  const out = outAs(lab, dtype, shape);
  const [wq, wk, dwq, dwk] = [data.wq, data.wk, data.dwq, data.dwk].map((a) => lab.put(a));
  const rstd = lab.out([T, H + Hk]);
  qkNormForward(lab.stream, { out, rstd, qkv, wq, wk, heads, eps });
  qkNormBackward(lab.stream, { dqkv, dwq, dwk, qkv, rstd, wq, wk, heads });
  return await Promise.all([out, rstd, dqkv, dwq, dwk].map((tensor) => floats(lab, tensor)));
}

for (const { T, heads } of shapes) {
  const { H, Hk, D } = heads;
  testPrecisions(
    `qk norm (${T}, ${H} + 2 x ${Hk}, ${D}): forward and gradients agree with float64`,
    async (backend, dtype) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        const data = inputs(rand, T, heads, dtype);
        const [out, rstd, dqkv, dwq, dwk] = await run(lab, dtype, T, heads, data);
        const expected = reference(data.x, data.dout, [data.wq, data.wk], T, heads);
        assertRounded(dtype, out, expected.out, 2e-6, "out");
        assertClose(rstd, expected.rstd, 1e-6, "rstd");
        assertRounded(dtype, dqkv, expected.dx, 5e-6, "dqkv");
        assertClose(dwq, expected.dw[0].map((v, i) => v + data.dwq[i]), 1e-5, "dwq");
        assertClose(dwk, expected.dw[1].map((v, i) => v + data.dwk[i]), 1e-5, "dwk");
        // v and its gradient pass through untouched.
        for (let t = 0; t < T; t++) {
          const v = (a: Float32Array) =>
            a.slice((t * (H + 2 * Hk) + H + Hk) * D, (t + 1) * (H + 2 * Hk) * D);
          assertSameBits(v(out), v(data.x), "v");
          assertSameBits(v(dqkv), v(data.dout), "dv");
        }
      });
    },
  );
}

Deno.test("qk norm: the reference's gradient is that of its forward pass", async () => {
  await seeded((rand) => {
    const heads = { H: 2, Hk: 1, D: 5 }, T = 2;
    const { x, dout, wq, wk } = inputs(rand, T, heads, "f32");
    const { dx, dw } = reference(x, dout, [wq, wk], T, heads);
    const value = (x: Float64Array, w: [Float64Array, Float64Array]) =>
      reference(x, dout, w, T, heads).out.reduce((sum, v, i) => sum + v * dout[i], 0);
    const [x64, wq64, wk64] = [x, wq, wk].map((a) => Float64Array.from(a));
    const slope = (a: Float64Array, f: (a: Float64Array) => number) =>
      a.map((v, i) => (f(a.with(i, v + 1e-5)) - f(a.with(i, v - 1e-5))) / 2e-5);
    assertClose(slope(x64, (a) => value(a, [wq64, wk64])), dx, 1e-7, "dx");
    assertClose(slope(wq64, (a) => value(x64, [a, wk64])), dw[0], 1e-7, "dwq");
    assertClose(slope(wk64, (a) => value(x64, [wq64, a])), dw[1], 1e-7, "dwk");
  });
});

testPrecisions(
  "qk norm: each head has the bits of rmsnorm on a row, whatever the number of rows",
  async (backend, dtype) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const heads = { H: 3, Hk: 2, D: 48 }, T = 90, width = 7 * 48;
      const data = inputs(rand, T, heads, dtype);
      const [wq, wk] = [lab.put(data.wq), lab.put(data.wk)];
      const normed = async (T: number) => {
        const out = outAs(lab, dtype, [T, width]);
        const qkv = putAs(lab, dtype, data.x.slice(0, T * width), [T, width]);
        qkNormForward(lab.stream, { out, qkv, wq, wk, heads, eps }); // without rstd, as decode does
        return await floats(lab, out);
      };
      const all = await normed(T);
      for (const rows of [1, 2, 65]) assertSameBits(await normed(rows), all.slice(0, rows * width));
      const y = outAs(lab, dtype, [T * 7, 48]), x = putAs(lab, dtype, data.x, [T * 7, 48]);
      for (const [w, from, to] of [[wq, 0, 3], [wk, 3, 5]] as const) {
        rmsnormForward(lab.stream, { y, x, w, eps });
        const plain = await floats(lab, y);
        for (let t = 0; t < T; t++) {
          const part = (a: Float32Array) => a.slice((t * 7 + from) * 48, (t * 7 + to) * 48);
          assertSameBits(part(all), part(plain), `heads ${from} to ${to} of row ${t}`);
        }
      }
    });
  },
);

testPrecisions("qk norm: the number of threads changes no bit", async (backend, dtype) => {
  await seeded(async (rand) => {
    const heads = { H: 5, Hk: 2, D: 80 }, T = 203;
    const data = inputs(rand, T, heads, dtype);
    await assertSameForAnyThreads(backend, (lab) => run(lab, dtype, T, heads, data));
  });
});

testBackends("qk norm: wrong shapes and a shared buffer are named", async (backend) => {
  using lab = await Lab.open({ backend });
  const heads = { H: 2, Hk: 1, D: 16 };
  const [qkv, out, wq, wk] = [
    lab.zeros([2, 64]),
    lab.zeros([2, 64]),
    lab.zeros([16]),
    lab.zeros([15]),
  ];
  assertThrows(
    () => qkNormForward(lab.stream, { out, qkv, wq, wk, heads, eps }),
    TypeError,
    "qk_norm_forward: wk is f32[15], expected f32[16]",
  );
  assertThrows(
    () => qkNormForward(lab.stream, { out: qkv, qkv, wq, wk: wq, heads, eps }),
    NativeError,
    "out and qkv must be distinct",
  );
});
