import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Random } from "../../src/base/random.ts";
import { averageOf, clusteredMean } from "../../src/eval/statistics.ts";
import { passAtK, powersUpTo, standardError } from "../../src/rollout/mod.ts";

/** Share of the k-subsets of n samples that hold one of the first c. */
function enumerate(n: number, c: number, k: number): number {
  let all = 0, hits = 0;
  for (let set = 0; set < 2 ** n; set++) {
    if (set.toString(2).replaceAll("0", "").length !== k) continue;
    all++;
    if (set & (2 ** c - 1)) hits++;
  }
  return hits / all;
}

Deno.test("passAtK: the share of all choices of k samples that hold a right one", () => {
  for (let n = 1; n <= 9; n++) {
    for (let c = 0; c <= n; c++) {
      for (let k = 1; k <= n; k++) {
        assertAlmostEquals(passAtK(n, c, k), enumerate(n, c, k), 1e-12, `${n} ${c} ${k}`);
      }
    }
  }
  assertThrows(() => passAtK(3, 1, 4), RangeError);
});

Deno.test("passAtK: unbiased, where the plain estimate from the share of right ones is not", () => {
  const random = new Random(3), p = 0.2, n = 8, k = 4, rounds = 40_000;
  let estimate = 0, plain = 0;
  for (let i = 0; i < rounds; i++) {
    let c = 0;
    for (let j = 0; j < n; j++) c += Number(random.next() < p);
    estimate += passAtK(n, c, k) / rounds;
    plain += (1 - (1 - c / n) ** k) / rounds;
  }
  const truth = 1 - (1 - p) ** k;
  assertAlmostEquals(estimate, truth, 0.006);
  assert(truth - plain > 0.03, `${plain} is as good as ${truth}`);
});

Deno.test("clusteredMean: standard error of the problems' means", () => {
  assertEquals(clusteredMean([0.25]), { mean: 0.25, standardError: null });
  assertEquals(clusteredMean([1, 1, 1]), { mean: 1, standardError: 0 });
  const { mean, standardError } = clusteredMean([0, 0, 1, 0.5]);
  assertEquals(mean, 0.375);
  assertAlmostEquals(standardError!, Math.sqrt((2 * 0.375 ** 2 + 0.625 ** 2 + 0.125 ** 2) / 3 / 4));
});

Deno.test("clusteredMean: covers the truth as often as it says, with samples that hang together", () => {
  const random = new Random(4), rounds = 2000;
  let covered = 0;
  for (let i = 0; i < rounds; i++) {
    // A problem is hard or easy; its eight samples share that.
    const means = Array.from({ length: 60 }, () => {
      const p = random.next() < 0.5 ? 0.1 : 0.9;
      let right = 0;
      for (let j = 0; j < 8; j++) right += Number(random.next() < p);
      return right / 8;
    });
    const { mean, standardError } = clusteredMean(means);
    covered += Number(Math.abs(mean - 0.5) < 1.96 * standardError!);
  }
  assertAlmostEquals(covered / rounds, 0.95, 0.02);
});

Deno.test("averageOf: plain mean, errors added in squares, unknown when one is", () => {
  const a = { mean: 0.5, standardError: 0.3 }, b = { mean: 0.25, standardError: 0.4 };
  assertEquals(averageOf([a, b]), { mean: 0.375, standardError: 0.25 });
  assertEquals(averageOf([a, { mean: 0, standardError: null }]).standardError, null);
});

Deno.test("powersUpTo", () => {
  assertEquals([1, 2, 3, 16, 17].map(powersUpTo), [
    [1],
    [1, 2],
    [1, 2],
    [1, 2, 4, 8, 16],
    [1, 2, 4, 8, 16],
  ]);
});

Deno.test("standardError: of several samples that of the problems' means, of one the binomial one", () => {
  const random = new Random(5);
  for (const samples of [1, 2, 4, 8]) {
    // Problems of every difficulty, so that samples of one hang together.
    const counts = Array.from(
      { length: 200 },
      (_, i) =>
        Array.from({ length: samples }, () => Number(random.next() < i / 200))
          .reduce((a, b) => a + b),
    );
    const n = counts.length, mean = counts.reduce((a, b) => a + b) / samples / n;
    const squares = counts.reduce((sum, c) => sum + (c / samples - mean) ** 2, 0);
    const direct = Math.sqrt(squares / n / n);
    const several = samples === 1 ? undefined : {
      samples,
      passAt2: counts.reduce((sum, c) => sum + passAtK(samples, c, 2), 0) / n,
    };
    assertAlmostEquals(standardError(mean, n, several), direct, 1e-12);
  }
});
