import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { gae, NativeError, stat, valueLoss, whiten } from "../../ffi/mod.ts";
import { assertClose, Lab, type Rand, seeded, testBackends } from "../native.ts";
import { assertSameForAnyThreads } from "./threads.ts";

function clippedSquare(v: number, old: number, target: number, clip: number): number {
  const near = Math.min(Math.max(v, old - clip), old + clip);
  return 0.5 * Math.max((v - target) ** 2, (near - target) ** 2);
}

for (const clip of [0.2, Infinity]) {
  testBackends(
    `value loss, clip ${clip}: loss, statistics and slope agree with float64`,
    async (backend) => {
      using lab = await Lab.open({ backend });
      await seeded(async (rand) => {
        for (const T of [1, 3, 17, 65, 1000]) {
          const [v, returns] = [rand.normal(T), rand.normal(T)];
          const old = v.map((x) => x + (rand.uniform() - 0.5));
          const tokenWeights = Float32Array.from(
            v,
            () => rand.uniform() < 0.2 ? 0 : rand.uniform(),
          );
          const stats = lab.zeros([stat.count]), dvalues = lab.out([T]);
          const [values, oldValues, R, w] = [v, old, returns, tokenWeights].map((a) => lab.put(a));
          const call = () =>
            valueLoss(lab.stream, {
              stats,
              dvalues,
              values,
              oldValues,
              returns: R,
              tokenWeights: w,
              clip,
            });
          call();
          const c = Math.fround(clip);
          const term = (t: number, x: number) =>
            tokenWeights[t] * clippedSquare(x, old[t], returns[t], c);
          const slope = Array.from(v, (x, t) => (term(t, x + 1e-6) - term(t, x - 1e-6)) / 2e-6);
          assertClose(await lab.f32(dvalues), slope, 1e-6, "dvalues");
          let loss = 0, cut = 0;
          for (let t = 0; t < T; t++) {
            loss += term(t, v[t]);
            if (clippedSquare(v[t], old[t], returns[t], c) > 0.5 * (v[t] - returns[t]) ** 2) {
              cut += tokenWeights[t];
            }
          }
          const expected = new Float64Array(stat.count);
          expected[stat.value] = loss;
          expected[stat.valueClipped] = cut;
          assertClose(await lab.f32(stats), expected, 1e-6, "stats");
          call();
          assertClose(await lab.f32(stats), expected.map((x) => 2 * x), 1e-6, "stats, twice");
        }
      });
    },
  );
}

/** Uploads a GAE problem and returns [advantages, returns]. */
async function runGae(
  lab: Lab,
  p: {
    rewards: Float32Array;
    values: Float32Array;
    segments: number[];
    link: number[];
    gamma: number;
    lambda: number;
  },
): Promise<[Float32Array, Float32Array]> {
  const T = p.rewards.length;
  const [advantages, returns] = [lab.out([T]), lab.out([T])];
  gae(lab.stream, {
    advantages,
    returns,
    rewards: lab.put(p.rewards),
    values: lab.put(p.values),
    segments: lab.put(Int32Array.from(p.segments)),
    link: lab.put(Float32Array.from(p.link)),
    gamma: p.gamma,
    lambda: p.lambda,
  });
  return [await lab.f32(advantages), await lab.f32(returns)];
}

const byHand = {
  rewards: Float32Array.of(1, 2, 4),
  values: Float32Array.of(0.5, 1, 2),
  segments: [0, 2, 3],
  gamma: 0.5,
  lambda: 0.5,
};

testBackends("gae: computed by hand, closed and open border", async (backend) => {
  using lab = await Lab.open({ backend });
  const closed = await runGae(lab, { ...byHand, link: [0, 0] });
  assertEquals(closed, [Float32Array.of(1.25, 1, 2), Float32Array.of(1.75, 2, 4)]);
  const open = await runGae(lab, { ...byHand, link: [0.5, 0] });
  assertEquals(open, [Float32Array.of(1.4375, 1.75, 2), Float32Array.of(1.9375, 2.75, 4)]);
});

testBackends(
  "gae: nothing passes a closed border, and nothing follows the last segment",
  async (backend) => {
    using lab = await Lab.open({ backend });
    const values = Float32Array.of(0.5, 1, NaN);
    const [advantages] = await runGae(lab, { ...byHand, values, link: [0, 0] });
    assertEquals(advantages.subarray(0, 2), Float32Array.of(1.25, 1));
    const closed = await runGae(lab, { ...byHand, link: [0.5, 0] });
    assertEquals(await runGae(lab, { ...byHand, link: [0.5, 7] }), closed);
  },
);

/** The definition as a double sum: the advantage of t is the discounted sum of all later deltas. */
function naiveGae(
  p: Parameters<typeof runGae>[1],
): { advantages: Float64Array; returns: Float64Array } {
  const T = p.rewards.length;
  const gamma = Math.fround(p.gamma), lambda = Math.fround(p.lambda);
  // Factor on the step from token t to t + 1: the links of all segments that end between them.
  const step = Float64Array.from(p.rewards, (_, t) => {
    if (t === T - 1) return 0;
    return p.link.reduce((f, l, s) => p.segments[s + 1] === t + 1 ? f * Math.fround(l) : f, 1);
  });
  const delta = Float64Array.from(
    p.rewards,
    (r, t) => r + (t + 1 < T ? gamma * step[t] * p.values[t + 1] : 0) - p.values[t],
  );
  const advantages = delta.map((_, t) => {
    let total = 0, factor = 1;
    for (let k = t; k < T; k++) {
      total += factor * delta[k];
      factor *= gamma * lambda * step[k];
    }
    return total;
  });
  return { advantages, returns: advantages.map((a, t) => a + p.values[t]) };
}

function randomProblem(rand: Rand, T: number): Parameters<typeof runGae>[1] {
  const S = rand.int(1, 8);
  const inner = Array.from(rand.ints(S - 1, 0, T + 1)).sort((a, b) => a - b); // empty ones too
  const link = Array.from({ length: S }, () => [0, 1, rand.uniform()][rand.int(0, 3)]);
  return {
    rewards: rand.normal(T),
    values: rand.normal(T),
    segments: [0, ...inner, T],
    link,
    gamma: [1, 0.97][rand.int(0, 2)],
    lambda: [1, 0.9, 0][rand.int(0, 3)],
  };
}

testBackends("gae: random segments and links agree with the double sum", async (backend) => {
  using lab = await Lab.open({ backend });
  await seeded(async (rand) => {
    for (const T of [1, 3, 17, 65, 65, 65, 300]) {
      const problem = randomProblem(rand, T);
      const [advantages, returns] = await runGae(lab, problem);
      const expected = naiveGae(problem);
      assertClose(advantages, expected.advantages, 1e-6, "advantages");
      assertClose(returns, expected.returns, 1e-6, "returns");
    }
  });
});

testBackends(
  "gae: with gamma = lambda = 1 the return is the sum of the rewards to come",
  async (backend) => {
    using lab = await Lab.open({ backend });
    await seeded(async (rand) => {
      const problem = { ...randomProblem(rand, 40), gamma: 1, lambda: 1, segments: [0, 15, 40] };
      const [, returns] = await runGae(lab, { ...problem, link: [0, 0] });
      const togo = Float64Array.from(problem.rewards);
      for (let t = 38; t >= 0; t--) if (t !== 14) togo[t] += togo[t + 1];
      assertClose(returns, togo, 1e-6, "returns");
    });
  },
);

testBackends("gae: segments that do not cover the tokens are refused", async (backend) => {
  using lab = await Lab.open({ backend });
  for (const segments of [[0, 2, 2], [1, 2, 3], [0, 4, 3]]) {
    await assertRejects(
      () => runGae(lab, { ...byHand, segments, link: [0, 0] }),
      NativeError,
      "gae: segments must rise from 0 to 3",
    );
  }
  const empty = { ...byHand, segments: [0], link: [] };
  await assertRejects(() => runGae(lab, empty), NativeError, "tokens without a segment");
});

testBackends("whiten: mean 0 and variance 1, in float64 sums", async (backend) => {
  using lab = await Lab.open({ backend });
  await seeded(async (rand) => {
    for (const T of [2, 3, 17, 65, 9000]) {
      const x = rand.normal(T, 3).map((v) => v + 1000);
      const mean = x.reduce((a, b) => a + b, 0) / T;
      const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / T;
      const xT = lab.put(x);
      whiten(lab.stream, xT);
      const expected = Array.from(x, (v) => (v - mean) / Math.sqrt(variance));
      assertClose(await lab.f32(xT), expected, 1e-6, `whitened ${T}`);
    }
    for (const T of [1, 5]) {
      const same = lab.put(new Float32Array(T).fill(2.5));
      whiten(lab.stream, same);
      assertEquals(await lab.f32(same), new Float32Array(T)); // the floor under the variance
    }
    const small = lab.put(Float32Array.of(1e-6, -1e-6));
    whiten(lab.stream, small);
    assertClose(await lab.f32(small), [1e-2, -1e-2], 1e-6, "floored");
  });
});

testBackends("whiten: the number of threads changes no bit", async (backend) => {
  await seeded(async (rand) => {
    const x = rand.normal(150_001);
    await assertSameForAnyThreads(backend, async (lab) => {
      const xT = lab.put(x);
      whiten(lab.stream, xT);
      return [await lab.f32(xT)];
    });
  });
});

testBackends("losses: a wrong shape is named", async (backend) => {
  using lab = await Lab.open({ backend });
  const [T3, T4, stats] = [lab.zeros([3]), lab.zeros([4]), lab.zeros([stat.count])];
  const args = {
    stats,
    dvalues: T3,
    values: T3,
    oldValues: T3,
    returns: T4,
    tokenWeights: T3,
    clip: 1,
  };
  assertThrows(
    () => valueLoss(lab.stream, args),
    TypeError,
    "value_loss: returns is f32[4], expected f32[3]",
  );
});
