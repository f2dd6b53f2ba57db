import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  cast,
  embeddingBackward,
  embeddingForward,
  gatherRows,
  NativeError,
  rmsnormBackward,
  rmsnormForward,
  scatterAddRows,
  swigluBackward,
  swigluForward,
} from "../../ffi/mod.ts";
import { assertClose, assertSameBits, Lab, seeded, testBackends } from "../native.ts";
import { assertRounded, floats, outAs, putAs, roundTo, testPrecisions } from "./precision.ts";
import { assertSameForAnyThreads } from "./threads.ts";

const shapes = [1, 3, 17, 65].flatMap((T) => [1, 16, 33, 130].map((C) => [T, C] as const));

/** Central differences of a float64 function at x. */
function numericGradient(f: (x: Float64Array) => number, x: ArrayLike<number>): Float64Array {
  const at = Float64Array.from(x);
  return at.map((value, i) => {
    const step = 1e-5 * Math.max(1, Math.abs(value));
    const probe = (v: number) => f(at.with(i, v));
    return (probe(value + step) - probe(value - step)) / (2 * step);
  });
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function rmsnormRow(s: ArrayLike<number>, w: ArrayLike<number>, eps: number): Float64Array {
  const rstd = 1 / Math.sqrt(dot(s, s) / s.length + eps);
  return Float64Array.from(s, (v, i) => v * rstd * w[i]);
}

const swiglu = (gate: number, up: number) => gate / (1 + Math.exp(-gate)) * up;

testPrecisions(
  "embedding: rows are copied, negative ids give zeros and no gradient",
  async (backend, dtype) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      for (const [T, C] of [...shapes, [700, 20], [5, 2064], [3, 2051]]) {
        const V = 9;
        const ids = rand.ints(T, -2, V), table = rand.normal(V * C);
        const dout = roundTo(dtype, rand.normal(T * C)), before = rand.normal(V * C);
        const out = outAs(lab, dtype, [T, C]), dtable = lab.put(before, [V, C]);
        const idsT = lab.put(ids);
        embeddingForward(lab.stream, { out, ids: idsT, table: lab.put(table, [V, C]) });
        embeddingBackward(lab.stream, { dtable, ids: idsT, dout: putAs(lab, dtype, dout, [T, C]) });

        const rows = new Float32Array(T * C), sums = before.slice();
        ids.forEach((id, t) => {
          for (let c = 0; c < C && id >= 0; c++) {
            rows[t * C + c] = table[id * C + c];
            sums[id * C + c] += dout[t * C + c]; // float32, in order of t
          }
        });
        assertSameBits(await floats(lab, out), roundTo(dtype, rows), `rows (${T}, ${C})`);
        assertSameBits(await lab.f32(dtable), sums, `dtable (${T}, ${C})`);
      }
    });
  },
);

testBackends("embedding: an id outside the table is reported, not read", async (backend) => {
  using lab = await Lab.open({ backend });
  const ids = lab.put(Int32Array.of(1, 4));
  embeddingForward(lab.stream, { out: lab.out([2, 3]), ids, table: lab.zeros([4, 3]) });
  await assertRejects(() => lab.stream.sync(), NativeError, "token 1 has id 4");
});

for (const [T, C] of shapes) {
  testPrecisions(
    `rmsnorm (${T}, ${C}): forward, residual and gradients`,
    async (backend, dtype) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        const eps = C === 1 ? 0.5 : 1e-3; // without eps, one element is normalised to its sign
        const [x, residual, dy] = [1, 2, 3].map(() => roundTo(dtype, rand.normal(T * C)));
        const [w, dw0] = [rand.normal(C), rand.normal(C)];
        const row = <A extends Float32Array | Float64Array>(a: A, t: number) =>
          a.subarray(t * C, (t + 1) * C);
        const reference = (s: Float32Array) =>
          Float64Array.from({ length: T }, (_, t) => t).reduce<number[]>(
            (all, t) => [...all, ...rmsnormRow(row(s, t), w, eps)],
            [],
          );
        const put = (a: Float32Array) => putAs(lab, dtype, a, [T, C]);
        const out = () => outAs(lab, dtype, [T, C]);
        const [xT, wT] = [put(x), lab.put(w)];

        const y = out(), rstd = lab.out([T]);
        rmsnormForward(lab.stream, { y, x: xT, w: wT, eps, rstd });
        assertRounded(dtype, await floats(lab, y), reference(x), 2e-6, "y");
        const rstds = Array.from({ length: T }, (_, t) => {
          return 1 / Math.sqrt(dot(row(x, t), row(x, t)) / C + eps);
        });
        assertClose(await lab.f32(rstd), rstds, 1e-6, "rstd");

        const s = roundTo(dtype, x.map((v, i) => Math.fround(v + residual[i])));
        const sum = out(), fused = out(), residualT = put(residual);
        rmsnormForward(lab.stream, { y: fused, x: xT, w: wT, eps, residual: residualT, sum });
        assertSameBits(await floats(lab, sum), s, "sum");
        assertRounded(dtype, await floats(lab, fused), reference(s), 2e-6, "y of the sum");
        const unfused = out();
        rmsnormForward(lab.stream, { y: unfused, x: sum, w: wT, eps });
        assertSameBits(await floats(lab, unfused), await floats(lab, fused), "fused and unfused");
        rmsnormForward(lab.stream, {
          y: unfused,
          x: xT,
          w: wT,
          eps,
          residual: residualT,
          sum: residualT,
        });
        assertSameBits(await floats(lab, residualT), s, "sum in place");
        assertSameBits(await floats(lab, unfused), await floats(lab, fused), "y with sum in place");

        const dx = out(), dw = lab.put(dw0), dyT = put(dy);
        rmsnormBackward(lab.stream, { dx, dw, dy: dyT, x: xT, rstd, w: wT });
        const slope = Array.from({ length: T }, (_, t) => [
          ...numericGradient((r) => dot(rmsnormRow(r, w, eps), row(dy, t)), row(x, t)),
        ]).flat();
        assertRounded(dtype, await floats(lab, dx), slope, 1e-5, "dx");
        const columns = Float64Array.from(dw0);
        for (let t = 0; t < T; t++) {
          const part = numericGradient((v) => dot(rmsnormRow(row(x, t), v, eps), row(dy, t)), w);
          part.forEach((v, c) => columns[c] += v);
        }
        // Terms of size 1, of which a single column may cancel nearly all.
        assertRounded("f32", await lab.f32(dw), columns, 1e-5, "dw", 1);
        const dx1 = put(residual);
        rmsnormBackward(lab.stream, {
          dx: dx1,
          dw,
          dy: dyT,
          x: xT,
          rstd,
          w: wT,
          accumulate: true,
        });
        const both = slope.map((v, i) => v + residual[i]);
        assertRounded(dtype, await floats(lab, dx1), both, 1e-5, "dx accumulated");
      });
    },
  );
}

/** Rows that a block of the CUDA kernels visits in several passes, with and without a tail. */
for (const C of [8200, 8203]) {
  testPrecisions(`rmsnorm (3, ${C}): long rows`, async (backend, dtype) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const T = 3, eps = 1e-3;
      const [x, residual, dy] = [1, 2, 3].map(() => roundTo(dtype, rand.normal(T * C)));
      const w = rand.normal(C);
      const [xT, residualT, dyT] = [x, residual, dy].map((a) => putAs(lab, dtype, a, [T, C]));
      const [y, sum, dx] = [1, 2, 3].map(() => outAs(lab, dtype, [T, C]));
      const wT = lab.put(w), rstd = lab.out([T]), dw = lab.zeros([C]);
      rmsnormForward(lab.stream, { y, x: xT, w: wT, eps, residual: residualT, sum, rstd });
      rmsnormBackward(lab.stream, { dx, dw, dy: dyT, x: sum, rstd, w: wT });

      const s = roundTo(dtype, x.map((v, i) => Math.fround(v + residual[i])));
      const norm = new Float64Array(T * C), slope = norm.slice(), columns = new Float64Array(C);
      for (let t = 0; t < T; t++) {
        const [row, g] = [s, dy].map((a) => a.subarray(t * C, (t + 1) * C));
        const r = 1 / Math.sqrt(dot(row, row) / C + eps);
        norm.set(rmsnormRow(row, w, eps), t * C);
        const mean = dot(Float64Array.from(g, (v, c) => v * w[c]), row) / C;
        g.forEach((v, c) => {
          slope[t * C + c] = r * (v * w[c] - row[c] * r * r * mean);
          columns[c] += v * row[c] * r;
        });
      }
      assertRounded(dtype, await floats(lab, y), norm, 2e-6, "y");
      assertRounded(dtype, await floats(lab, dx), slope, 1e-5, "dx");
      assertClose(await lab.f32(dw), columns, 1e-5, "dw");
    });
  });
}

testPrecisions(
  "rmsnorm: the bits of a row do not depend on the number of rows",
  async (backend, dtype) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const [T, C] = [300, 130];
      const x = rand.normal(T * C), w = lab.put(rand.normal(C));
      const run = async (rows: number) => {
        const y = outAs(lab, dtype, [rows, C]);
        const xT = putAs(lab, dtype, x.slice(0, rows * C), [rows, C]);
        rmsnormForward(lab.stream, { y, x: xT, w, eps: 1e-6 });
        return await floats(lab, y);
      };
      const all = await run(T);
      for (const rows of [1, 2, 65]) assertSameBits(await run(rows), all.slice(0, rows * C));
    });
  },
);

testBackends("rmsnorm: residual without sum is refused", async (backend) => {
  using lab = await Lab.open({ backend });
  const [y, x, residual, w] = [[2, 4], [2, 4], [2, 4], [4]].map((s) => lab.zeros(s));
  const call = () => rmsnormForward(lab.stream, { y, x, w, residual, eps: 1e-6 });
  assertThrows(call, NativeError, "residual and sum go together");
});

testPrecisions(
  "swiglu: forward and gradients agree with float64, also far from zero",
  async (backend, dtype) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      for (const [T, F] of shapes) {
        const gateUp = roundTo(dtype, rand.normal(T * 2 * F, 4));
        const dy = roundTo(dtype, rand.normal(T * F));
        const at = (t: number, f: number) => [gateUp[t * 2 * F + f], gateUp[t * 2 * F + F + f]];
        const y = outAs(lab, dtype, [T, F]), dgateUp = outAs(lab, dtype, [T, 2 * F]);
        const gateUpT = putAs(lab, dtype, gateUp, [T, 2 * F]);
        swigluForward(lab.stream, { y, gateUp: gateUpT });
        const dyT = putAs(lab, dtype, dy, [T, F]);
        swigluBackward(lab.stream, { dgateUp, dy: dyT, gateUp: gateUpT });

        const expected = new Float64Array(T * F), slope = new Float64Array(T * 2 * F);
        for (let t = 0; t < T; t++) {
          for (let f = 0; f < F; f++) {
            const point = at(t, f);
            expected[t * F + f] = swiglu(point[0], point[1]);
            const [dgate, dup] = numericGradient(([g, u]) => swiglu(g, u), point);
            slope[t * 2 * F + f] = dgate * dy[t * F + f];
            slope[t * 2 * F + F + f] = dup * dy[t * F + f];
          }
        }
        assertRounded(dtype, await floats(lab, y), expected, 1e-6, `y (${T}, ${F})`);
        assertRounded(dtype, await floats(lab, dgateUp), slope, 2e-6, `dgateUp (${T}, ${F})`);
      }
      const huge = 2 ** 100, far = Float32Array.of(-200, 200, -88, huge, 2, 3, 4, 1);
      const y = outAs(lab, dtype, [1, 4]);
      swigluForward(lab.stream, { y, gateUp: putAs(lab, dtype, far, [1, 8]) });
      assertRounded(dtype, await floats(lab, y), [0, 600, 0, huge], 1e-6, "saturated");
    });
  },
);

testPrecisions("gather and scatter: rows by index", async (backend, dtype) => {
  using lab = await Lab.open({ backend });
  await seeded(async (rand) => {
    for (const [n, C] of shapes) {
      const T = n + 5;
      const order = Array.from({ length: T }, (_, t) => ({ t, key: rand.uniform() }));
      order.sort((a, b) => a.key - b.key);
      const index = Int32Array.from(order.slice(0, n), (o) => o.t);
      const x = roundTo(dtype, rand.normal(T * C)), dout = roundTo(dtype, rand.normal(n * C));
      const out = outAs(lab, dtype, [n, C]),
        [xT, dx] = [x, x].map((a) => putAs(lab, dtype, a, [T, C]));
      const indexT = lab.put(index), doutT = putAs(lab, dtype, dout, [n, C]);
      gatherRows(lab.stream, { out, x: xT, index: indexT });
      scatterAddRows(lab.stream, { dx, dout: doutT, index: indexT });
      const gathered = dout.map((_, i) => x[index[Math.floor(i / C)] * C + i % C]);
      const added = x.slice();
      dout.forEach((d, i) => added[index[Math.floor(i / C)] * C + i % C] += d);
      assertSameBits(await floats(lab, out), gathered, "gathered");
      assertSameBits(await floats(lab, dx), roundTo(dtype, added), "scattered");
    }
  });
});

/** Round to nearest even, by comparing the two neighbours in float64. */
function bf16Reference(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  const value = (high: number) => new Float32Array(Uint32Array.of((high << 16) >>> 0).buffer)[0];
  const down = bits >>> 16, up = down + 1;
  const below = Math.abs(x - value(down));
  // Beyond the largest finite number the next step would be 2^128.
  const upper = Number.isFinite(value(up)) ? value(up) : Math.sign(x) * 2 ** 128;
  const above = Math.abs(upper - x);
  if (below === above) return down % 2 === 0 ? down : up;
  return below < above ? down : up;
}

testBackends(
  "cast: rounds to nearest even, keeps NaN and infinity, and comes back",
  async (backend) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const special = [0, -0, 1, 1.00390625, 1.01171875, -1.00390625, 3.4028234663852886e38, 1e-45];
      const x = Float32Array.of(...special, ...rand.normal(1021), ...rand.normal(1000, 1e30));
      const n = x.length;
      const half = lab.alloc("bf16", [n]), back = lab.out([n]);
      cast(lab.stream, { dst: half, src: lab.put(x) });
      cast(lab.stream, { dst: back, src: half });
      const bits = await lab.stream.download(half, new Uint16Array(n));
      assertEquals(bits, Uint16Array.from(x, bf16Reference));
      const wide = Uint32Array.from(bits, (b) => (b << 16) >>> 0);
      assertSameBits(await lab.f32(back), new Float32Array(wide.buffer), "back");

      const patterns = Uint32Array.of(0x7fffffff, 0x7f800001, 0xffffffff, 0x7f800000, 0xff800000);
      const odd = lab.alloc("f32", [5]), oddHalf = lab.alloc("bf16", [5]);
      lab.stream.upload(odd, new Float32Array(patterns.buffer));
      cast(lab.stream, { dst: oddHalf, src: odd });
      const oddBits = await lab.stream.download(oddHalf, new Uint16Array(5));
      const isNaN16 = (b: number) => (b & 0x7f80) === 0x7f80 && (b & 0x7f) !== 0;
      assertEquals(Array.from(oddBits, isNaN16), [true, true, true, false, false]);
      assertEquals([oddBits[3], oddBits[4]], [0x7f80, 0xff80]);
      assertThrows(
        () => cast(lab.stream, { dst: odd, src: odd }),
        NativeError,
        "only between",
      );
    });
  },
);

testBackends("layers: the number of threads changes no bit", async (backend) => {
  await seeded(async (rand) => {
    const [T, C, V] = [331, 530, 11];
    const [x, residual, dy] = [1, 2, 3].map(() => rand.normal(T * C));
    const w = rand.normal(C), gateUp = rand.normal(T * 2 * C), ids = rand.ints(T, -1, V);
    await assertSameForAnyThreads(backend, async (lab) => {
      const [xT, rT, dyT] = [x, residual, dy].map((a) => lab.put(a, [T, C]));
      const [wT, gateUpT, idsT] = [lab.put(w), lab.put(gateUp, [T, 2 * C]), lab.put(ids)];
      const [sum, y, act, rows, dx] = [1, 2, 3, 4, 5].map(() => lab.out([T, C]));
      const [rstd, dgateUp] = [lab.out([T]), lab.out([T, 2 * C])];
      const [dw, dtable] = [lab.zeros([C]), lab.zeros([V, C])];
      rmsnormForward(lab.stream, { y, x: xT, w: wT, eps: 1e-6, residual: rT, sum, rstd });
      rmsnormBackward(lab.stream, { dx, dw, dy: dyT, x: sum, rstd, w: wT });
      swigluForward(lab.stream, { y: act, gateUp: gateUpT });
      swigluBackward(lab.stream, { dgateUp, dy: dyT, gateUp: gateUpT });
      embeddingBackward(lab.stream, { dtable, ids: idsT, dout: dyT });
      embeddingForward(lab.stream, { out: rows, ids: idsT, table: dtable });
      const results = [sum, y, act, rows, dx, rstd, dgateUp, dw, dtable];
      return await Promise.all(results.map((t) => lab.f32(t)));
    });
  });
});

testBackends("layers: a wrong shape is named", async (backend) => {
  using lab = await Lab.open({ backend });
  const [y, gateUp] = [lab.zeros([2, 4]), lab.zeros([2, 9])];
  assertThrows(
    () => swigluForward(lab.stream, { y, gateUp }),
    TypeError,
    "swiglu_forward: gateUp is f32[2, 9], expected f32[2, 8]",
  );
});
