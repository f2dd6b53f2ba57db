import { type Backend, lmHeadLogprobs, lmHeadSample, samplingKey } from "../../ffi/mod.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSameBits, Lab, type Rand, seeded, testBackends } from "../native.ts";
import { logits64, logSoftmax64, putHead, randomHead } from "./head_reference.ts";
import { philox4x32, uniformAt } from "./philox.ts";
import { testPrecisions } from "./precision.ts";

/** One row to sample: temperature, top-p, top-k, sequence id (low, high), position. */
interface Row {
  temperature: number;
  topP: number;
  topK: number;
  id: [number, number];
  position: number;
}

type HostHead = ReturnType<typeof randomHead>;

function randomRows(rand: Rand, n: number, settings: Partial<Row> = {}): Row[] {
  const word = () => rand.int(-(2 ** 31), 2 ** 31);
  const row = (): Row => ({
    temperature: 1,
    topP: 1,
    topK: 0,
    id: [word(), word()],
    position: rand.int(0, 2 ** 31),
    ...settings,
  });
  return Array.from({ length: n }, row);
}

async function sample(
  backend: Backend,
  head: HostHead,
  rows: Row[],
  seed: bigint,
  options: { threads?: number; rows?: number } = {},
): Promise<{ tokens: Int32Array; logprobs: Float32Array }> {
  using lab = await Lab.open({ backend, ...options });
  const B = rows.length, tokens = lab.out([B], "i32"), logprobs = lab.out([B]);
  lmHeadSample(lab.stream, {
    ...putHead(lab, head, options.rows),
    tokens,
    logprobs,
    sampling: lab.put(Float32Array.from(rows.flatMap((r) => [r.temperature, r.topP, r.topK])), [
      B,
      3,
    ]),
    keys: lab.put(
      Int32Array.from(rows.flatMap((r) => [...samplingKey(seed, 0n).subarray(0, 2), ...r.id])),
      [B, 4],
    ),
    positions: lab.put(Int32Array.from(rows, (r) => r.position)),
  });
  return { tokens: await lab.i32(tokens), logprobs: await lab.f32(logprobs) };
}

/** Tolerance of float32 probabilities against float64 ones. */
const EDGE = 1e-6;

/** log-probs of the row's distribution; -Infinity outside top-k and top-p. */
function distribution(head: HostHead, t: number, { temperature, topP, topK }: Row): Float64Array {
  const logp = logSoftmax64(logits64(head, t, temperature));
  const order = Array.from(logp.keys()).sort((a, b) => logp[b] - logp[a]);
  const kept = order.slice(0, topK > 0 ? topK : order.length);
  const total = kept.reduce((sum, v) => sum + Math.exp(logp[v]), 0);
  let mass = 0, size = 0;
  while (size < kept.length && mass < topP * total) mass += Math.exp(logp[kept[size++]]);
  const inside = new Set(kept.slice(0, size));
  return logp.map((x, v) => inside.has(v) ? x - Math.log(mass) : -Infinity);
}

/** Tolerance of float32 logits against float64 ones: which of two tokens so close is larger is open. */
const TIE = 1e-5;

/** True when the border of the row's top-k or top-p is closer than float32 can tell. */
function isAmbiguous(head: HostHead, t: number, row: Row): boolean {
  const logits = logits64(head, t, row.temperature), kept = distribution(head, t, row);
  const last = logits.reduce((low, z, v) => kept[v] > -Infinity ? Math.min(low, z) : low, Infinity);
  if (logits.some((z, v) => kept[v] === -Infinity && last - z < TIE)) return true;
  if (row.topP >= 1) return false;
  const [narrow, wide] = [-EDGE, EDGE].map((shift) =>
    distribution(head, t, { ...row, topP: Math.min(1, row.topP + shift) })
  );
  return narrow.some((x, v) => (x === -Infinity) !== (wide[v] === -Infinity));
}

/** Asserts that every row drew the token at quantile u of its distribution, with its log-prob. */
async function assertDraws(
  backend: Backend,
  head: HostHead,
  rows: Row[],
  seed: bigint,
): Promise<void> {
  const { tokens, logprobs } = await sample(backend, head, rows, seed);
  let checked = 0;
  rows.forEach((row, t) => {
    if (isAmbiguous(head, t, row)) return;
    const logp = distribution(head, t, row), u = uniformAt(seed, row.id, row.position);
    const token = tokens[t];
    const before = logp.subarray(0, token).reduce((sum, x) => sum + Math.exp(x), 0);
    const what = `row ${t}: token ${token} covers [${before}, +${Math.exp(logp[token])}), u = ${u}`;
    assert(u >= before - EDGE && u < before + Math.exp(logp[token]) + EDGE, what);
    assertClose([logprobs[t]], [logp[token]], 1e-5 * Math.max(1, 1 / Math.abs(logp[token])), what);
    checked++;
  });
  assert(checked > 0.95 * rows.length, `only ${checked} of ${rows.length} rows are unambiguous`);
}

Deno.test("philox: the reference gives the published known answers", () => {
  const hex = (words: string) => words.split(" ").map((w) => parseInt(w, 16));
  const answers = [
    ["0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    [
      "ffffffff ffffffff ffffffff ffffffff",
      "ffffffff ffffffff",
      "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ],
    [
      "243f6a88 85a308d3 13198a2e 03707344",
      "a4093822 299f31d0",
      "d16cfe09 94fdcceb 5001e420 24126ea1",
    ],
  ].map((line) => line.map(hex));
  for (const [counter, key, expected] of answers) assertEquals(philox4x32(counter, key), expected);
});

testPrecisions(
  "lm_head_sample: the uniform number shows in a flat distribution",
  async (backend, dtype) => {
    await seeded(async (rand) => {
      const V = 4096, B = 200, head = randomHead(rand, [B, 4, V], 0, dtype);
      const rows = randomRows(rand, B);
      rows[0] = { ...rows[0], id: [0, 0], position: 0 };
      for (const seed of [0n, 1n, 0xffffffffffffffffn, BigInt(rand.int(1, 2 ** 31)) << 32n]) {
        const { tokens, logprobs } = await sample(backend, head, rows, seed);
        rows.forEach((row, t) => {
          const u = uniformAt(seed, row.id, row.position);
          assert(
            Math.abs((tokens[t] + 0.5) / V - u) <= 0.5 / V + EDGE,
            `row ${t}: ${tokens[t]} at ${u}`,
          );
        });
        assertClose(logprobs, Array(B).fill(-Math.log(V)), 1e-6, "logprobs");
      }
    });
  },
);

for (const V of [1, 5, 33, 513, 1100]) {
  testPrecisions(
    `lm_head_sample, V = ${V}: draws what the float64 reference predicts`,
    async (backend, dtype) => {
      await seeded(async (rand) => {
        const seed = BigInt(rand.int(0, 2 ** 31)) * 0x100000001n,
          head = randomHead(rand, [150, 12, V], 2, dtype);
        for (
          const settings of [
            {},
            { temperature: 0.7 },
            { temperature: 1.5, topK: 3 },
            { topP: 0.9 },
            { temperature: 0.6, topP: 0.95, topK: 20 },
            { topP: 0.01 },
            { topK: V + 5 },
          ]
        ) await assertDraws(backend, head, randomRows(rand, head.T, settings), seed);
      });
    },
  );
}

testPrecisions(
  "lm_head_sample: greedy, top-k 1 and top-p 0 take the largest logit",
  async (backend, dtype) => {
    await seeded(async (rand) => {
      const head = randomHead(rand, [40, 12, 700], 2, dtype);
      const best = Array.from({ length: head.T }, (_, t) => {
        const z = logits64(head, t, 1);
        return z.indexOf(z.reduce((a, b) => Math.max(a, b)));
      });
      const greedy = await sample(backend, head, randomRows(rand, head.T, { temperature: 0 }), 7n);
      assertEquals([...greedy.tokens], best);
      using lab = await Lab.open({ backend });
      const [logprobs, targets] = [lab.out([head.T]), lab.put(greedy.tokens)];
      lmHeadLogprobs(lab.stream, { ...putHead(lab, head), logprobs, targets, temperature: 1 });
      assertSameBits(greedy.logprobs, await lab.f32(logprobs), "greedy log-probs");
      for (const settings of [{ topK: 1 }, { topP: 0 }]) {
        const sure = await sample(backend, head, randomRows(rand, head.T, settings), 7n);
        assertEquals([...sure.tokens], best);
        assertSameBits(sure.logprobs, new Float32Array(head.T), "log-probs of the only choice");
      }
    });
  },
);

testBackends(
  "lm_head_sample: frequencies follow the softmax over sequences and over positions",
  async (backend) => {
    await seeded(async (rand) => {
      const [V, B] = [13, 20_000], one = randomHead(rand, [1, 6, V], 1);
      const head = {
        ...one,
        T: B,
        h: Float32Array.from({ length: B * 6 }, (_, i) => one.h[i % 6]),
      };
      const p = logSoftmax64(logits64(one, 0, 1)).map(Math.exp);
      const seed = BigInt(rand.int(0, 2 ** 31));
      const [row] = randomRows(rand, 1);
      for (
        const vary of [
          (i: number): Partial<Row> => ({ id: [i, 0] }),
          (i: number): Partial<Row> => ({ id: [7, i] }),
          (i: number): Partial<Row> => ({ position: i }),
        ]
      ) {
        const rows = Array.from({ length: B }, (_, i) => ({ ...row, ...vary(i) }));
        const { tokens } = await sample(backend, head, rows, seed, { rows: 1000 });
        const counts = new Float64Array(V);
        tokens.forEach((token) => counts[token]++);
        const chiSquare = counts.reduce((sum, n, v) => sum + (n - B * p[v]) ** 2 / (B * p[v]), 0);
        // 12 degrees of freedom: more than 60 happens by chance once in 40 million runs.
        assert(chiSquare < 60, `chi-square ${chiSquare}`);
      }
    });
  },
);

testPrecisions(
  "lm_head_sample: a row's draw ignores batch, order, workspace and threads",
  async (backend, dtype) => {
    await seeded(async (rand) => {
      const [B, C, V] = [50, 24, 1100], head = randomHead(rand, [B, C, V], 2, dtype);
      const settings = [{}, { topP: 0.8 }, { topK: 9, temperature: 0.7 }, { temperature: 0 }];
      const rows = randomRows(rand, B).map((row, t) => ({ ...row, ...settings[t % 4] }));
      const expected = await sample(backend, head, rows, 99n);
      const order = Array.from(rows.keys()).sort(() => rand.uniform() - 0.5);
      for (const [size, threads, chunk] of [[B, 1, 1], [B, 3, 7], [17, 2, 17], [1, 3, 1]]) {
        const chosen = order.slice(0, size);
        const h = Float32Array.from(
          { length: size * C },
          (_, i) => head.h[chosen[Math.floor(i / C)] * C + i % C],
        );
        const batch = { ...head, T: size, h };
        const actual = await sample(backend, batch, chosen.map((t) => rows[t]), 99n, {
          threads,
          rows: chunk,
        });
        assertEquals([...actual.tokens], chosen.map((t) => expected.tokens[t]));
        assertSameBits(
          actual.logprobs,
          Float32Array.from(chosen, (t) => expected.logprobs[t]),
          "logprobs",
        );
      }
    });
  },
);

testPrecisions(
  "lm_head_sample: rows with a negative position stay untouched",
  async (backend, dtype) => {
    await seeded(async (rand) => {
      const head = randomHead(rand, [9, 8, 50], 2, dtype);
      const rows = randomRows(rand, 9).map((row, t) => t % 2 ? { ...row, position: -1 - t } : row);
      const { tokens, logprobs } = await sample(backend, head, rows, 5n);
      rows.forEach((row, t) => {
        const idle = row.position < 0;
        assertEquals(Number.isNaN(logprobs[t]), idle, `log-prob of row ${t}`);
        assertEquals(tokens[t] === -77777, idle, `token of row ${t}`);
      });
    });
  },
);

testPrecisions(
  "lm_head_sample: NaN logits give some token and a NaN log-prob",
  async (backend, dtype) => {
    await seeded(async (rand) => {
      const head = randomHead(rand, [12, 8, 700], 2, dtype);
      rand.ints(12, 0, 8).forEach((c, t) => head.h[t * 8 + c] = NaN);
      const settings = [{}, { topP: 0.5 }, { topK: 9 }, { temperature: 0 }];
      const rows = randomRows(rand, 12).map((row, t) => ({ ...row, ...settings[t % 4] }));
      const { tokens, logprobs } = await sample(backend, head, rows, 5n);
      assert(tokens.every((token) => token >= 0 && token < 700), `tokens ${tokens}`);
      assert(logprobs.every(Number.isNaN), `log-probs ${logprobs}`);
    });
  },
);

testBackends("lm_head_sample: a wrong shape is named", async (backend) => {
  using lab = await Lab.open({ backend });
  await seeded((rand) => {
    const args = {
      ...putHead(lab, randomHead(rand, [2, 4, 6])),
      tokens: lab.out([2], "i32"),
      logprobs: lab.out([2]),
      sampling: lab.zeros([2, 2]),
      keys: lab.out([2, 4], "i32"),
      positions: lab.out([2], "i32"),
    };
    const message = "lm_head_sample: sampling is f32[2, 2], expected f32[2, 3]";
    assertThrows(() => lmHeadSample(lab.stream, args), TypeError, message);
  });
});
