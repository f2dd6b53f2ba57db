import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { UserError } from "../../src/base/errors.ts";
import {
  type ArithmeticProblem,
  arithmeticProblem,
  heldOut,
  isHeldOut,
  type Kind,
  type LevelMix,
  trainProblem,
  wrongAnswer,
  wrongAttempt,
  wrongAttempts,
} from "../../src/tiny/mod.ts";
import { Random } from "../../src/base/mod.ts";

/** Evaluates `12+25`, `85-47`, `8-1-4` or `3*47` without any code of the data set. */
function evaluate(sum: string): number {
  if (sum.includes("*")) return sum.split("*").map(Number).reduce((a, b) => a * b);
  return sum.match(/[+-]?\d+/g)!.map(Number).reduce((a, b) => a + b);
}

const only = (level: number): LevelMix => {
  const mix: LevelMix = { 1: 0, 2: 0, 3: 0, 4: 0 };
  return { ...mix, [level]: 1 };
};

/** The held-out or training key, computed independently: operands sorted unless subtracted. */
function key({ question }: ArithmeticProblem): string {
  const sum = question.slice(0, -1);
  if (sum.includes("-")) return sum;
  const sign = sum.includes("*") ? "*" : "+";
  return sum.split(sign).map(Number).sort((a, b) => a - b).join(sign);
}

const seeds = fc.integer({ min: 0, max: 1e9 });
const levels = fc.integer({ min: 1, max: 4 });
const samples = fc.record({ seed: seeds, level: levels })
  .map(({ seed, level }) => trainProblem(new Random(seed), only(level)));

Deno.test("arithmeticProblem: worked solutions as documented", () => {
  const table: [Kind, number[], string, string, number][] = [
    ["add1", [3, 4], "3+4=7", "7", 1],
    ["add2", [47, 85], "7+5=12 4+8+1=13", "132", 3],
    ["add2", [47, 22], "7+2=9 4+2=6", "69", 2],
    ["sub2", [85, 47], "15-7=8 8-1-4=3", "38", 3],
    ["sub2", [55, 47], "15-7=8 5-1-4=0", "8", 3],
    ["sub2", [58, 47], "8-7=1 5-4=1", "11", 2],
    ["mul", [3, 7], "3*7=21", "21", 1],
    ["mul", [3, 47], "3*40=120 3*7=21 120+21=141", "141", 4],
    ["mul", [47, 3], "3*40=120 3*7=21 120+21=141", "141", 4],
    ["mul", [3, 40], "3*40=120", "120", 4],
    ["add3", [12, 25, 41], "12+25=37 37+41=78", "78", 4],
  ];
  for (const [kind, terms, work, answer, level] of table) {
    const problem = arithmeticProblem(kind, terms);
    assertEquals([problem.work, problem.answer, problem.level], [work, answer, level]);
  }
  assertEquals(arithmeticProblem("sub2", [85, 47]).id, "arithmetic/85-47");
  assertEquals(arithmeticProblem("mul", [47, 3]).question, "47*3=");
});

Deno.test("trainProblem: right answer, right work, in the range of its kind and level", () => {
  fc.assert(
    fc.property(samples, (problem) => {
      const { question, answer, work, kind, terms, level } = problem;
      assertEquals(Number(answer), evaluate(question.slice(0, -1)));
      assert(Number(answer) >= 0);
      assert(work.length <= 40, work);
      const steps = work.split(" ");
      for (const step of steps) {
        const [left, right] = step.split("=");
        assertEquals(Number(right), evaluate(left), step);
      }
      // The answer follows from the work: two digit columns put together, or the last result.
      const results = steps.map((step) => Number(step.split("=")[1]));
      const columns = kind === "add2" || kind === "sub2";
      const implied = columns ? results[1] * 10 + results[0] % 10 : results.at(-1);
      assertEquals(implied, Number(answer));
      const digits = terms.map((term) => `${term}`.length).sort().join("");
      const range = { add1: /^11$/, add2: /^22$/, sub2: /^22$/, mul: /^1[12]$/, add3: /^[12]{3}$/ };
      assert(range[kind].test(digits), question);
      const onesCarry = kind === "add2" && terms[0] % 10 + terms[1] % 10 > 9;
      const onesBorrow = kind === "sub2" && terms[0] % 10 < terms[1] % 10;
      if (columns) assertEquals(level, onesCarry || onesBorrow ? 3 : 2);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("trainProblem: equal seeds give equal problems", () => {
  const list = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 50 }, () => trainProblem(random));
  };
  assertEquals(list(3), list(3));
  assert(JSON.stringify(list(3)) !== JSON.stringify(list(4)));
});

Deno.test("trainProblem: the level mix is kept", () => {
  const random = new Random(11);
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 10_000; i++) {
    counts[trainProblem(random, { 1: 1, 2: 2, 3: 0, 4: 7 }).level - 1]++;
  }
  assertEquals(counts[2], 0);
  for (const [i, expected] of [[0, 1000], [1, 2000], [3, 7000]]) {
    assert(Math.abs(counts[i] - expected) < 5 * Math.sqrt(expected), `${counts}`);
  }
});

Deno.test("trainProblem, heldOut: a bad mix is refused", () => {
  for (const bad of [-1, NaN, Infinity]) {
    const mix = { 1: 1, 2: 1, 3: 1, 4: bad };
    assertThrows(() => trainProblem(new Random(1), mix), UserError, "level mix");
  }
  assertThrows(() => heldOut(1, 0, { 1: 0, 2: 0, 3: 0, 4: 0 }), UserError, "level mix");
});

Deno.test("held-out: training never meets a held-out problem, in either order", () => {
  const held = new Set(heldOut(1500, 1).map(key));
  assertEquals(held.size, 1500);
  const random = new Random(2);
  for (let i = 0; i < 50_000; i++) {
    const problem = trainProblem(random);
    assert(!held.has(key(problem)), problem.question);
  }
});

/** Every question of which a text holds the spelling, computed independently: all that ends before a `=`. */
function asked(text: string): string[] {
  return [...text.matchAll(/=/g)].flatMap(({ index: end }) =>
    Array.from({ length: Math.min(end, 10) }, (_, i) => text.slice(end - i - 1, end + 1))
  );
}

Deno.test("held-out: no training text asks a held-out sum, steps and slips included", () => {
  const held = new Set(
    heldOut(1500, 1).flatMap((problem) => {
      const [a, b, c] = problem.terms;
      const orders = c === undefined
        ? [[a, b], [b, a]]
        : [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]];
      return orders.map((terms) => arithmeticProblem(problem.kind, terms).question);
    }),
  );
  const random = new Random(2);
  for (let i = 0; i < 10_000; i++) {
    const problem = trainProblem(random), { question, work } = problem;
    const slips = Array.from({ length: 8 }, () => wrongAttempt(problem, random).work);
    const text = [question, work, ...slips].join(" ");
    assertEquals(asked(text).filter((sum) => held.has(sum)), [], text);
  }
});

Deno.test("held-out: facts that every solution needs are for training", () => {
  for (const problem of heldOut(1500, 0)) {
    const { kind, terms } = problem;
    assert(!terms.every((term) => term < 10) || kind === "add3" && !terms.includes(1));
    assert(kind !== "mul" || terms.every((term) => term % 10 !== 0), problem.question);
  }
});

Deno.test("held-out: the side does not depend on the order of commuting operands", () => {
  const digits = fc.integer({ min: 10, max: 99 });
  fc.assert(fc.property(digits, digits, digits, fc.integer({ min: 1, max: 9 }), (a, b, c, d) => {
    const side = (kind: Kind, ...terms: number[]) => isHeldOut(arithmeticProblem(kind, terms));
    assertEquals(side("add2", a, b), side("add2", b, a));
    assertEquals(side("mul", d, a), side("mul", a, d));
    for (const terms of [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]]) {
      assertEquals(side("add3", a, b, c), side("add3", ...terms));
    }
  }));
});

Deno.test("held-out: about a fifth of every large level, the same list for the same seed", () => {
  for (const kind of ["add2", "sub2"] as const) {
    let [held, all] = [0, 0];
    for (let a = 10; a < 100; a++) {
      for (let b = 10; b <= a; b++, all++) {
        held += Number(isHeldOut(arithmeticProblem(kind, [a, b])));
      }
    }
    assert(Math.abs(held / all - 0.2) < 0.03, `${kind} ${held / all}`);
  }
  assertEquals(heldOut(100, 5), heldOut(100, 5));
  assert(JSON.stringify(heldOut(100, 5)) !== JSON.stringify(heldOut(100, 6)));
  assert(heldOut(100, 5).every(isHeldOut));
  assertEquals(heldOut(0, 5), []);
});

Deno.test("held-out: an exhausted level is filled by others, an exhausted set is an error", () => {
  const levels = heldOut(1000, 0).map(({ level }) => level);
  assertEquals([...new Set(levels)].sort(), [2, 3, 4], "level 1 has none: it is all facts");
  assertThrows(() => heldOut(1000, 0, only(1)), UserError, "cannot draw 1000 held-out");
});

Deno.test("wrongAnswer, wrongAttempt: never right, one slip, consistent to the end", () => {
  fc.assert(
    fc.property(samples, seeds, (problem, seed) => {
      const { kind, answer } = problem;
      const wrong = wrongAttempt(problem, new Random(seed));
      assertEquals(wrongAnswer(problem, new Random(seed)), wrong.answer);
      assert(wrong.answer !== answer && /^\d+$/.test(wrong.answer), wrong.answer);
      assert(wrong.work.length <= 40, wrong.work);
      const steps = wrong.work.split(" ").map((step) => step.split("="));
      const slips = steps.filter(([left, right]) => evaluate(left) !== Number(right)).length;
      // A forgotten carry leaves every written step right; any other slip makes one step wrong.
      const columns = kind === "add2" || kind === "sub2";
      assert(slips === 1 || (slips === 0 && columns), wrong.work);
      const results = steps.map(([, right]) => Number(right));
      const implied = columns ? results[1] * 10 + results[0] % 10 : results.at(-1);
      assertEquals(implied, Number(wrong.answer));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("wrongAttempts: the mistakes people make are among them", () => {
  const answers = (kind: Kind, ...terms: number[]) =>
    wrongAttempts(kind, terms).map(({ answer }) => answer);
  assertEquals(answers("add2", 47, 85).sort(), ["122", "122", "131", "133", "142"]);
  assert(answers("sub2", 85, 47).includes("48"), "borrow forgotten");
  assert(answers("mul", 3, 7).includes("24"), "neighbour in the table");
  assert(answers("add3", 12, 25, 41).includes("88"), "off by ten");
  assertEquals(answers("add1", 0, 0), ["1"]);
});

Deno.test("wrongAttempts: no problem is without one", () => {
  fc.assert(fc.property(samples, ({ kind, terms }) => {
    assert(wrongAttempts(kind, terms).length > 0);
  }));
});
