import {
  attentionBackward,
  attentionForward,
  type Backend,
  type Heads,
  rope,
} from "../../ffi/mod.ts";
import { assertRejects, assertThrows } from "@std/assert";
import { assertClose, assertSameBits, Lab, type Rand, seeded, testBackends } from "../native.ts";
import {
  attention64,
  attentionGradient64,
  cosSinTable,
  layout,
  rope64,
} from "./attention_reference.ts";
import {
  assertRounded,
  floats,
  logprobError,
  outAs,
  type Precision,
  putAs,
  roundTo,
  sumError,
  testPrecisions,
} from "./precision.ts";

/** Packed lengths around the key tile (16) and the query block (8), with an empty sequence. */
const LENGTHS = [1, 2, 15, 0, 16, 17, 33, 70];

const SHAPES: Heads[] = [
  { H: 1, Hk: 1, D: 16 },
  { H: 4, Hk: 2, D: 32 },
  { H: 6, Hk: 2, D: 48 },
  { H: 7, Hk: 1, D: 64 },
  { H: 2, Hk: 1, D: 128 },
];

/**
 * What rounding may do, as a share of the largest value. In bfloat16 the weights and their gradients are
 * rounded to 8 bits before they meet values, keys and queries: an error of at most 2^-9 of the largest
 * value in the output; the gradient adds up several such terms and the rounding of `out` itself.
 */
function tolerances(dtype: Precision, { cu, heads }: ReturnType<typeof randomCase>) {
  const longest = Math.max(...cu.subarray(1).map((end, b) => end - cu[b]));
  const lse = logprobError(dtype, heads.D), sums = sumError(dtype, longest);
  if (dtype === "f32") return { out: 3e-6, lse, dqkv: 1e-5 };
  return { out: 2 ** -9 + sums, lse, dqkv: 2 ** -8 + sums };
}

function offsets(lengths: number[]): Int32Array<ArrayBuffer> {
  const cu = new Int32Array(lengths.length + 1);
  lengths.forEach((n, i) => cu[i + 1] = cu[i] + n);
  return cu;
}

/** Forward and backward of one packed batch. */
async function attention(
  backend: Backend,
  dtype: Precision,
  { qkv, dout, cu, heads, scale }: ReturnType<typeof randomCase>,
  threads?: number,
): Promise<{ out: Float32Array; lse: Float32Array; dqkv: Float32Array }> {
  using lab = await Lab.open({ backend, threads });
  const { H, D } = heads, { row } = layout(heads), T = cu.at(-1)!;
  const [out, bare, dqkv] = [H * D, H * D, row].map((n) => outAs(lab, dtype, [T, n]));
  const lse = lab.out([T, H]), doutT = putAs(lab, dtype, dout, [T, H * D]);
  const packed = { qkv: putAs(lab, dtype, qkv, [T, row]), cuSeqlens: lab.put(cu), heads, scale };
  attentionForward(lab.stream, { ...packed, out, lse });
  attentionForward(lab.stream, { ...packed, out: bare });
  attentionBackward(lab.stream, { ...packed, dqkv, dout: doutT, out, lse });
  assertSameBits(await floats(lab, bare), await floats(lab, out), "out without lse");
  return { out: await floats(lab, out), lse: await lab.f32(lse), dqkv: await floats(lab, dqkv) };
}

/** Compares with the float64 reference. */
async function assertAttention(
  backend: Backend,
  dtype: Precision,
  data: ReturnType<typeof randomCase>,
  looser: Partial<ReturnType<typeof tolerances>> = {},
): Promise<void> {
  const tolerance = { ...tolerances(dtype, data), ...looser };
  const actual = await attention(backend, dtype, data);
  const expected = attention64(data.qkv, data.cu, data.heads, data.scale);
  assertRounded(dtype, actual.out, expected.out, tolerance.out, "out");
  assertClose(actual.lse, expected.lse, tolerance.lse, "lse");
  const gradient = attentionGradient64(data.dout, data.qkv, data.cu, data.heads, data.scale);
  assertRounded(dtype, actual.dqkv, gradient, tolerance.dqkv, "dqkv");
}

function randomCase(rand: Rand, lengths: number[], heads: Heads, dtype: Precision = "f32") {
  const cu = offsets(lengths), T = cu.at(-1)!, { row } = layout(heads);
  const [qkv, dout] = [T * row, T * heads.H * heads.D].map((n) => roundTo(dtype, rand.normal(n)));
  return { qkv, dout, cu, heads, scale: 1 / Math.sqrt(heads.D) };
}

for (const heads of SHAPES) {
  const name = `(${heads.H}, ${heads.Hk}, ${heads.D})`;
  testPrecisions(
    `attention ${name}: forward and backward agree with float64`,
    (backend, dtype) =>
      seeded((rand) => assertAttention(backend, dtype, randomCase(rand, LENGTHS, heads, dtype))),
  );

  testPrecisions(
    `rope ${name}: agrees with float64, and its inverse undoes it`,
    async (backend, dtype) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        const T = 65, P = 300, { row } = layout(heads);
        const qkv = roundTo(dtype, rand.normal(T * row)), positions = rand.ints(T, 0, P);
        const table = cosSinTable(P, heads.D);
        const args = {
          qkv: putAs(lab, dtype, qkv, [T, row]),
          positions: lab.put(positions),
          cosSin: lab.put(table, [P, heads.D]),
          heads,
        };
        rope(lab.stream, args);
        const rotated = rope64(qkv, positions, table, heads);
        assertRounded(dtype, await floats(lab, args.qkv), rotated, 1e-6, "rope");
        rope(lab.stream, { ...args, inverse: true });
        // Each rounding is off by up to 2^-8 of a value: the first of two that are then mixed, as a
        // vector up to sqrt(2) longer than the largest, the second of the result.
        const mixed = dtype === "bf16" ? (1 + Math.SQRT2) * 2 ** -8 : 1e-6;
        assertClose(await floats(lab, args.qkv), qkv, mixed, "inverse");
      });
    },
  );
}

testPrecisions(
  "attention: sequences longer than one parallel task, and large scores",
  (backend, dtype) =>
    seeded((rand) => {
      const heads = { H: 2, Hk: 1, D: 32 };
      const data = { ...randomCase(rand, [5, 300, 257, 600], heads, dtype), scale: 2 };
      // Scores up to 100: in float32 their own rounding shows in the weights. In bfloat16 a weight near 1
      // meets dp - delta, where the rounding of `out` is all that is left; the large scale amplifies it.
      const looser = dtype === "f32" ? { out: 3e-5, dqkv: 3e-5 } : { dqkv: 2 ** -6 };
      return assertAttention(backend, dtype, data, looser);
    }),
);

testBackends(
  "attention: the gradient is the slope of the float64 forward pass",
  async (backend) => {
    await seeded(async (rand) => {
      const heads = { H: 2, Hk: 1, D: 16 };
      const data = randomCase(rand, [1, 4, 2], heads);
      const loss = (qkv: Float64Array) =>
        attention64(qkv, data.cu, heads, data.scale).out.reduce(
          (sum, x, i) => sum + x * data.dout[i],
          0,
        );
      const slopes = Array.from(data.qkv, (_, i) => {
        const step = 1e-5, up = Float64Array.from(data.qkv), down = Float64Array.from(data.qkv);
        up[i] += step;
        down[i] -= step;
        return (loss(up) - loss(down)) / (2 * step);
      });
      const analytic = attentionGradient64(data.dout, data.qkv, data.cu, heads, data.scale);
      assertClose(analytic, slopes, 1e-7, "reference");
      assertClose((await attention(backend, "f32", data)).dqkv, slopes, 1e-5, "kernel");
    });
  },
);

for (const D of [48, 64, 128]) {
  testPrecisions(
    `attention, head_dim ${D}: the bits depend on the sequence alone, not on threads or neighbours`,
    async (backend, dtype) => {
      await seeded(async (rand) => {
        const heads = { H: 4, Hk: 2, D }, { row } = layout(heads), width = heads.H * heads.D;
        const data = randomCase(rand, LENGTHS, heads, dtype);
        const expected = await attention(backend, dtype, data, 2);
        for (const threads of [1, 3]) {
          const actual = await attention(backend, dtype, data, threads);
          for (const name of ["out", "lse", "dqkv"] as const) {
            assertSameBits(actual[name], expected[name], `${name} with ${threads} threads`);
          }
        }
        for (let b = 0; b < LENGTHS.length; b++) {
          const [begin, end] = [data.cu[b], data.cu[b + 1]];
          if (begin === end) continue;
          const alone = await attention(backend, dtype, {
            ...data,
            cu: offsets([end - begin]),
            qkv: data.qkv.slice(begin * row, end * row),
            dout: data.dout.slice(begin * width, end * width),
          });
          const of = (all: Float32Array, n: number) => all.slice(begin * n, end * n);
          assertSameBits(alone.out, of(expected.out, width), `out of ${b} alone`);
          assertSameBits(alone.lse, of(expected.lse, heads.H), `lse of ${b} alone`);
          assertSameBits(alone.dqkv, of(expected.dqkv, row), `dqkv of ${b} alone`);
        }
      });
    },
  );
}

testBackends("attention: wrong shapes and indices are named", async (backend) => {
  using lab = await Lab.open({ backend });
  const heads = { H: 2, Hk: 1, D: 16 };
  const [qkv, out, cuSeqlens] = [
    lab.zeros([3, 64]),
    lab.out([3, 32]),
    lab.put(Int32Array.of(0, 3)),
  ];
  const forward = { out, qkv, cuSeqlens, heads, scale: 1 };
  assertThrows(
    () => attentionForward(lab.stream, { ...forward, out: lab.out([3, 33]) }),
    TypeError,
    "attention_forward: out is f32[3, 33], expected f32[3, 32]",
  );
  assertThrows(
    () => attentionBackward(lab.stream, { ...forward, dqkv: qkv, dout: out, lse: lab.out([3, 1]) }),
    TypeError,
    "attention_backward: lse is f32[3, 1], expected f32[3, 2]",
  );
  assertThrows(
    () =>
      attentionForward(lab.stream, {
        ...forward,
        heads: { H: 3, Hk: 2, D: 16 },
        qkv: lab.zeros([3, 112]),
        out: lab.out([3, 48]),
      }),
    Error,
    "the number of query heads must be a multiple of the number of kv heads",
  );
  assertThrows(
    () =>
      attentionForward(lab.stream, {
        ...forward,
        heads: { H: 2, Hk: 2, D: 8 },
        qkv: lab.zeros([3, 48]),
        out: lab.out([3, 16]),
      }),
    Error,
    "head_dim must be a multiple of 16",
  );
  for (
    const [cu, message] of [
      [[0, 4], "cu_seqlens ends at 4, but there are 3 tokens"],
      [[0, 2, 1, 3], "cu_seqlens must begin with 0 and never decrease"],
    ] as const
  ) {
    attentionForward(lab.stream, { ...forward, cuSeqlens: lab.put(Int32Array.from(cu)) });
    await assertRejects(() => lab.stream.sync(), Error, message);
  }
  const cosSin = lab.put(cosSinTable(8, 16), [8, 16]);
  rope(lab.stream, { qkv, positions: lab.put(Int32Array.of(0, 7, 8)), cosSin, heads });
  await assertRejects(
    () => lab.stream.sync(),
    Error,
    "token 2 has position 8, but cos_sin ends at 8",
  );
});
