import {
  type Backend,
  crossEntropyLoss,
  type LmHead,
  lmHeadLogprobs,
  lmHeadSample,
  ppoLoss,
  type PpoLossOptions,
  stat,
  type Tensor,
} from "../../ffi/mod.ts";
import { assert, assertRejects, assertThrows } from "@std/assert";
import { assertClose, assertSameBits, Lab, type Rand, seeded, testBackends } from "../native.ts";
import {
  assertGradients,
  crossEntropy64,
  headLoss64,
  logprobs64,
  ppo64,
  type PpoRows,
  putHead,
  randomHead,
} from "./head_reference.ts";
import { floats, logprobError, outAs, testPrecisions } from "./precision.ts";

type HostHead = ReturnType<typeof randomHead>;

async function logprobsOf(
  backend: Backend,
  head: HostHead,
  targets: Int32Array,
  temperature: number,
  options: { rows?: number; threads?: number } = {},
) {
  using lab = await Lab.open({ backend, ...options });
  const logprobs = lab.out([head.T]);
  const args = { ...putHead(lab, head, options.rows), targets: lab.put(targets), temperature };
  lmHeadLogprobs(lab.stream, { ...args, logprobs });
  return await lab.f32(logprobs);
}

for (const V of [1, 5, 33, 513, 1100]) {
  testPrecisions(
    `lm_head_logprobs, V = ${V}: float64, whatever the workspace, rows and threads`,
    async (backend, dtype) => {
      await seeded(async (rand) => {
        const head = randomHead(rand, [37, 24, V], 2, dtype), targets = rand.ints(37, 0, V);
        for (const temperature of [1, 0.7]) {
          const expected = logprobs64(head, targets, temperature);
          const all = await logprobsOf(backend, head, targets, temperature);
          assertClose(all, expected, logprobError(dtype, 24), "logprobs");
          const variants = [[37, 1, 1], [37, 5, 3], [37, 40, 1], [1, 1, 2], [9, 4, 2]];
          for (const [T, rows, threads] of variants) {
            const some = { ...head, h: head.h.slice(0, T * head.C), T };
            const actual = await logprobsOf(backend, some, targets.slice(0, T), temperature, {
              rows,
              threads,
            });
            const what = `T = ${T}, workspace of ${rows} rows, ${threads} threads`;
            assertSameBits(actual, all.slice(0, T), `logprobs, ${what}`);
          }
        }
      });
    },
  );
}

testPrecisions(
  "lm_head_logprobs: logits of 300 neither overflow nor lose the sum",
  async (backend, dtype) => {
    await seeded(async (rand) => {
      const head = randomHead(rand, [20, 8, 700], 100, dtype), targets = rand.ints(20, 0, 700);
      const expected = logprobs64(head, targets, 1),
        actual = await logprobsOf(backend, head, targets, 1);
      assertClose(actual, expected, logprobError(dtype, 8), "logprobs");
    });
  },
);

/** Which loss to run on the device: cross-entropy of tokenWeights, or PPO of rows and options. */
type Loss = { tokenWeights: Float32Array } | { rows: HostRows; options: PpoLossOptions };
type HostRows = { [name in keyof PpoRows]: Float32Array };

interface Result {
  stats: Float32Array;
  logprobs: Float32Array;
  dh: Float32Array;
  dw: Float32Array;
}

/** Runs a loss on the device; stats and dw start from the given values, outputs are poisoned. */
async function lossOf(
  backend: Backend,
  head: HostHead,
  targets: Int32Array,
  loss: Loss,
  start: { stats: Float32Array; dw: Float32Array },
  device: { rows?: number; threads?: number } = {},
): Promise<Result> {
  using lab = await Lab.open({ backend, ...device });
  const { T, C, V } = head;
  const args = {
    ...putHead(lab, head, device.rows),
    targets: lab.put(targets),
    stats: lab.put(start.stats),
    logprobs: lab.out([T]),
    dh: outAs(lab, head.dtype, [T, C]),
    dw: lab.put(start.dw, [V, C]),
  };
  if ("tokenWeights" in loss) {
    crossEntropyLoss(lab.stream, { ...args, tokenWeights: lab.put(loss.tokenWeights) });
  } else {
    const rows = Object.fromEntries(
      Object.entries(loss.rows).map(([name, data]) => [name, lab.put(data)]),
    ) as { [name in keyof PpoRows]: Tensor };
    ppoLoss(lab.stream, { ...args, ...rows, options: loss.options });
  }
  const [stats, logprobs, dh, dw] = [args.stats, args.logprobs, args.dh, args.dw];
  return {
    stats: await lab.f32(stats),
    logprobs: await lab.f32(logprobs),
    dh: await floats(lab, dh),
    dw: await lab.f32(dw),
  };
}

/** Rows with both signs of advantage, ratios inside and beyond the clip, and rows without weight. */
function ppoRows(rand: Rand, logprobs: Float64Array, withOptional: boolean): HostRows {
  const T = logprobs.length, changes = [-0.5, -0.1, 0.05, 0.4];
  const old = (shift: number) =>
    Float32Array.from(logprobs, (x, t) => x - changes[(t + shift) % 4] - 0.02 * rand.uniform());
  const rows: HostRows = {
    advantages: rand.normal(T).map((x, t) => t % 8 < 4 ? Math.abs(x) : -Math.abs(x)),
    oldLogprobs: old(0),
    ...withOptional && {
      refLogprobs: old(rand.int(0, 4)),
      importanceWeights: Float32Array.from({ length: T }, () => 0.5 + rand.uniform()),
    },
    tokenWeights: Float32Array.from({ length: T }, () => 0.2 + rand.uniform()),
  };
  // A token without weight counts for nothing, whatever its other numbers are.
  for (let t = 3; t < T; t += 5) {
    Object.values(rows).forEach((data) => data[t] = NaN);
    rows.tokenWeights[t] = 0;
  }
  return rows;
}

const plain: PpoLossOptions = {
  temperature: 1,
  clipLow: 0.2,
  clipHigh: 0.2,
  entropyCoefficient: 0,
  klCoefficient: 0,
  klEstimator: 3,
};

/** The objectives that the gradient tests go through. */
const objectives: [string, Partial<PpoLossOptions>, boolean][] = [
  ["the plain surrogate", {}, false],
  ["temperature 0.8, unequal clips, entropy bonus", {
    temperature: 0.8,
    clipHigh: 0.28,
    entropyCoefficient: 0.3,
  }, false],
  ["k1 and importance tokenWeights", { klCoefficient: 0.5, klEstimator: 1 }, true],
  ["k2 and importance tokenWeights", { klCoefficient: 0.5, klEstimator: 2 }, true],
  ["k3, entropy bonus, temperature 0.8", {
    temperature: 0.8,
    entropyCoefficient: -0.1,
    klCoefficient: 0.5,
  }, true],
];

function assertLoss(
  head: HostHead,
  actual: Result,
  expected: ReturnType<typeof headLoss64>,
  start: { stats: Float32Array; dw: Float32Array },
): void {
  const stats = expected.stats.map((x, i) =>
    i === stat.gapMax ? Math.max(x, start.stats[i]) : x + start.stats[i]
  );
  assertClose(actual.stats, stats, 3e-6, "stats");
  // A log-prob is a difference of numbers of the logits' size, about 1, however near to 0 it is itself.
  const size = expected.logprobs.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6);
  const tolerance = logprobError(head.dtype, head.C) * Math.max(1, 1 / size);
  assertClose(actual.logprobs, expected.logprobs, tolerance, "logprobs");
  assertGradients(head, actual, expected, start.dw);
}

for (const shape of [[1, 3, 5], [37, 24, 33], [300, 16, 40], [19, 24, 1100], [5, 9, 4130]]) {
  const [T, C, V] = shape;
  testPrecisions(
    `losses (${shape}): stats and gradients agree with float64`,
    async (backend, dtype) => {
      await seeded(async (rand) => {
        const head = randomHead(rand, shape, 2, dtype), targets = rand.ints(T, 0, V);
        const start = { stats: rand.normal(stat.count), dw: rand.normal(V * C, 0.1) };
        const tokenWeights = Float32Array.from(
          { length: T },
          (_, t) => t % 4 === 1 ? 0 : rand.uniform(),
        );
        const expected = headLoss64(head, targets, 1, crossEntropy64(tokenWeights));
        const whole = await lossOf(backend, head, targets, { tokenWeights }, start);
        assertLoss(head, whole, expected, start);
        for (const rows of [1, 7]) {
          const actual = await lossOf(backend, head, targets, { tokenWeights }, start, { rows });
          assertLoss(head, actual, expected, start);
          for (const name of ["stats", "logprobs", "dh"] as const) {
            assertSameBits(actual[name], whole[name], `${name}, workspace of ${rows} rows`);
          }
        }
        for (const [, options, withOptional] of objectives) {
          const settings = { ...plain, ...options };
          const logprobs = logprobs64(head, targets, settings.temperature);
          const rows = ppoRows(rand, logprobs, withOptional);
          const loss = ppo64(rows, settings);
          const actual = await lossOf(backend, head, targets, { rows, options: settings }, start);
          assertLoss(head, actual, headLoss64(head, targets, settings.temperature, loss), start);
        }
      });
    },
  );
}

// The gradient of k1 is its score-function gradient, not the slope of its value: see kl_estimate.
const sloped = objectives.filter(([, options]) => options.klEstimator !== 1);
for (const [name, options, withOptional] of sloped) {
  testBackends(
    `ppo_loss, ${name}: gradients are the slopes of the float64 loss`,
    async (backend) => {
      await seeded(async (rand) => {
        const head = randomHead(rand, [12, 3, 7]), { T, C, V } = head, targets = rand.ints(T, 0, V);
        const settings = { ...plain, ...options };
        const logprobs = logprobs64(head, targets, settings.temperature);
        const rows = ppoRows(rand, logprobs, withOptional);
        const total = (h: ArrayLike<number>, w: ArrayLike<number>) =>
          headLoss64({ ...head, h, w }, targets, settings.temperature, ppo64(rows, settings))
            .stats[stat.loss];
        const slope = (x: Float32Array, at: (moved: Float64Array) => number) =>
          Array.from(x, (_, i) => {
            const step = 1e-5, up = Float64Array.from(x), down = Float64Array.from(x);
            up[i] += step;
            down[i] -= step;
            return (at(up) - at(down)) / (2 * step);
          });
        const start = { stats: new Float32Array(stat.count), dw: new Float32Array(V * C) };
        const actual = await lossOf(backend, head, targets, { rows, options: settings }, start);
        assertClose(actual.dh, slope(head.h, (h) => total(h, head.w)), 1e-5, "dh");
        assertClose(actual.dw, slope(head.w, (w) => total(head.h, w)), 1e-5, "dw");
        assert(
          actual.stats[stat.clipped] > 0 && actual.stats[stat.clipped] < actual.stats[stat.weight],
        );
      });
    },
  );
}

testPrecisions("ppo_loss: every bit is the same on 1, 2 and 3 threads", async (backend, dtype) => {
  await seeded(async (rand) => {
    const head = randomHead(rand, [70, 40, 600], 2, dtype), targets = rand.ints(70, 0, 600);
    const rows = ppoRows(rand, logprobs64(head, targets, 1), true);
    const start = { stats: new Float32Array(stat.count), dw: new Float32Array(600 * 40) };
    const loss = { rows, options: { ...plain, klCoefficient: 0.1, entropyCoefficient: 0.1 } };
    const expected = await lossOf(backend, head, targets, loss, start, { threads: 2, rows: 33 });
    for (const threads of [1, 3]) {
      const actual = await lossOf(backend, head, targets, loss, start, { threads, rows: 33 });
      for (const name of ["stats", "logprobs", "dh", "dw"] as const) {
        assertSameBits(actual[name], expected[name], `${name} on ${threads} threads`);
      }
    }
  });
});

for (const temperature of [1, 0.8, 0.5, 1.1, 1.3]) {
  testPrecisions(
    `on-policy at temperature ${temperature}: sampling, scoring and PPO give the same log-prob bits`,
    async (backend, dtype) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        const [B, C, V] = [145, 24, 1100], head = randomHead(rand, [B, C, V], 2, dtype);
        const [tokens, sampled, scored] = [lab.out([B], "i32"), lab.out([B]), lab.out([B])];
        const settings = Array.from({ length: B }, () => [temperature, 1, 0]).flat();
        lmHeadSample(lab.stream, {
          ...putHead(lab, head, 4),
          tokens,
          logprobs: sampled,
          sampling: lab.put(Float32Array.from(settings), [B, 3]),
          keys: lab.put(rand.ints(4 * B, 0, 2 ** 31), [B, 4]),
          positions: lab.put(rand.ints(B, 0, 4096)),
        });
        lmHeadLogprobs(lab.stream, {
          ...putHead(lab, head),
          logprobs: scored,
          targets: tokens,
          temperature,
        });
        const logprobs = await lab.f32(sampled);
        assertSameBits(await lab.f32(scored), logprobs, "lm_head_logprobs");
        const rows = {
          tokenWeights: new Float32Array(B).fill(1),
          advantages: rand.normal(B),
          oldLogprobs: logprobs.slice(),
        };
        const start = { stats: new Float32Array(stat.count), dw: new Float32Array(V * C) };
        const options = { ...plain, temperature };
        const result = await lossOf(
          backend,
          head,
          await lab.i32(tokens),
          { rows, options },
          start,
          {
            rows: 7,
          },
        );
        assertSameBits(result.logprobs, logprobs, "ppo_loss");
        assert(result.stats[stat.gapMax] === 0, "the log-prob gap is exactly 0");
        assert(result.stats[stat.kl] === 0 && result.stats[stat.clipped] === 0);
      });
    },
  );
}

testBackends("lm head: wrong shapes, workspaces and targets are named", async (backend) => {
  using lab = await Lab.open({ backend });
  const head: LmHead = putHead(
    lab,
    randomHead({ normal: (n: number) => new Float32Array(n) } as Rand, [2, 4, 6]),
  );
  const args = {
    ...head,
    logprobs: lab.out([2]),
    targets: lab.put(Int32Array.of(0, 6)),
    temperature: 1,
  };
  assertThrows(
    () => lmHeadLogprobs(lab.stream, { ...args, h: lab.zeros([2, 5]) }),
    TypeError,
    "lm_head_logprobs: h is f32[2, 5], expected f32[-1, 4]",
  );
  assertThrows(
    () => lmHeadLogprobs(lab.stream, { ...args, workspace: lab.alloc("u8", [23]) }),
    Error,
    "the workspace of 23 bytes holds no row of 6 logits",
  );
  lmHeadLogprobs(lab.stream, args);
  const message = "token 1 has target 6, but the vocabulary has 6 entries";
  await assertRejects(() => lab.stream.sync(), Error, message);
  const tokenWeights = lab.put(Float32Array.of(1, 1)), stats = lab.zeros([stat.count]);
  crossEntropyLoss(lab.stream, {
    ...args,
    stats,
    dh: lab.out([2, 4]),
    dw: lab.zeros([6, 4]),
    tokenWeights,
  });
  await assertRejects(() => lab.stream.sync(), Error, message);
});
