/**
 * Sends hostile answers to the grader: `deno task fuzz [COUNT] [SEED]`. Outside of CI, because it takes
 * minutes. Fails when grading throws, is not symmetric, takes longer than it may, or when the event
 * loop stands still.
 *
 * @module
 */
import { type Comparison, GradePool } from "../../src/grade/mod.ts";
import { Random } from "../../src/base/mod.ts";

const count = Number(Deno.args[0] ?? 100_000);
const seed = Number(Deno.args[1] ?? Date.now() % 2 ** 31);
/** Milliseconds that the cheap stages may take for one pair on a busy machine. */
const CHEAP_LIMIT = 1000;
/** Milliseconds that a symbolic question may take on a busy machine; that one needs more is a mistake. */
const TIME_LIMIT = 5000;
/** Every so many pairs one goes to the symbolic stage, which takes up to half a second. */
const SYMBOLIC_EVERY = 50;

const random = new Random(seed);
const pick = <T>(items: readonly T[]): T => items[Math.floor(random.next() * items.length)];
const int = (from: number, to: number): number =>
  from + Math.floor(random.next() * (to - from + 1));
const times = <T>(n: number, make: (i: number) => T): T[] =>
  Array.from({ length: n }, (_, i) => make(i));

const ANSWERS = [
  "\\frac{3}{4}",
  "2\\sqrt{5}",
  "(-\\infty, 2) \\cup [3, 7)",
  "x^{2}-3 x+1",
  "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
  "\\{1, 2, 3\\}",
  "x = 5, y = -7",
  "12,345.67 \\text{ miles per hour}",
  "1 \\pm \\sqrt{19}",
  "\\frac{e^{-2 t}}{15} \\sin 3 t",
  "4.5 \\times 10^{33}",
  "52_8",
  "\\text{(C)}",
  "|x - 3| \\le 4",
  "\\lfloor \\log_2 n \\rfloor + 1",
];
const TOKENS = [
  ..."0123456789xyznei+-*/^_=<>(){}[]|,;.!'&%$# \n\0\t",
  ..."\\frac \\sqrt \\left \\right \\pm \\cup \\in \\infty \\pi \\sin \\ln \\log \\binom \\text{ \\mathrm{"
    .split(" "),
  ..."\\{ \\} \\\\ \\, \\! \\% \\$ ^\\circ \\begin{pmatrix} \\end{pmatrix} \\overline{ \\boxed{ \\leq and or"
    .split(" "),
  "π",
  "−",
  "\u2028",
  "😀",
  "９",
  "1e999",
  "999999999999",
];
const BEYOND = [
  "\\sum_{k=1}^{",
  "\\prod_{k=1}^{",
  "\\int_0^{",
  "\\lim_{x\\to ",
  "\\max(",
  "\\gcd(",
  "\\frac{d}{dx}(",
];

/** A piece, repeated up to `size` characters. */
const repeat = (piece: string, size: number) => piece.repeat(Math.ceil(size / piece.length));

const KINDS: Record<string, () => string> = {
  "token soup": () => times(int(1, 60), () => pick(TOKENS)).join(pick(["", " "])),
  "mutated answer": () => {
    let text = pick(ANSWERS);
    for (let n = int(1, 6); n > 0; n--) {
      const at = int(0, text.length);
      const cut = int(0, 3);
      text = text.slice(0, at) + (random.next() < 0.7 ? pick(TOKENS) : "") +
        text.slice(at + cut);
    }
    return text;
  },
  "spliced answers": () => pick(ANSWERS).slice(0, int(0, 20)) + pick(ANSWERS).slice(int(0, 20)),
  "random bytes": () => String.fromCharCode(...times(int(0, 80), () => int(0, 65_535))),
  "nested": () => {
    const [open, close] = pick([
      ["{", "}"],
      ["(", ")"],
      ["\\frac{1}{", "}"],
      ["\\sqrt{", "}"],
      ["2^{", "}"],
      [
        "|",
        "|",
      ],
      ["\\left(", "\\right)"],
      ["\\text{", "}"],
      ["-", ""],
      ["\\sin ", ""],
      ["x_{", "}"],
      ["\\{", "\\}"],
    ]);
    const depth = pick([5, 30, 60, 500, 5000]);
    return open.repeat(depth) + "x" + close.repeat(int(0, 1) * depth);
  },
  "number tower": () =>
    pick([
      "9^{9^{9^{9}}}",
      "10^{10^{10}}",
      "((((9!)!)!)!)!",
      "123456789^{123456789}",
      "2^{2^{2^{2^{2^2}}}}",
    ])
      .replaceAll("9", String(int(1, 99))),
  "long number": () =>
    repeat(pick(["9", "1,000,", "0.", "1/", "10^", "3!"]), pick([300, 3000, 100_000])),
  "long expression": () =>
    times(
      pick([50, 400, 3000]),
      () => `${pick(["+", "-", ""])}${int(1, 99)}${pick(["x", "y^2", "", "\\pi", "!"])}`,
    )
      .join(""),
  "long list": () =>
    times(pick([40, 70, 2000]), () => pick(["1", "x", "\\sqrt{2}", "(1,2)", "\\pm 3"])).join(", "),
  "many terms": () => repeat(pick(["x+", "2x ", "x/", "x!", "x'", "^2", "x=", "1:", "-"]), 3900),
  "signs": () => repeat(pick(["\\pm 1", "x \\pm y", "\\pm\\pm", "1 \\mp 2 "]), pick([20, 400])),
  "wide matrix": () =>
    `\\begin{pmatrix}${repeat(pick(["1 & ", "1 \\\\ ", "& "]), pick([60, 3000]))}1\\end{pmatrix}`,
  "megabyte": () =>
    repeat(pick(["{", "}", "\\", "\\frac", "\\text{a}", " ", "$", "\0", "x^", "cm "]), 100_000),
};
const SYMBOLIC: Record<string, () => string> = {
  "huge sum": () =>
    `\\sum_{k=1}^{${pick(["10^9", "10^{10^{10}}", "99999999999", "n^n"])}} k^{${int(1, 99)}}`,
  "huge product": () => `\\prod_{k=1}^{${int(10, 10 ** 7)}} (k+${int(1, 9)})^{k}`,
  "hard integral": () =>
    `\\int_0^{${int(1, 999)}} \\sin(x^{${int(1, 99)}}) e^{x^{${int(1, 30)}}} dx`,
  "tower in a maximum": () => `\\max(${KINDS["number tower"]()}, ${int(1, 9)})`,
  "soup behind a command": () => pick(BEYOND) + KINDS["token soup"](),
  "many sums": () => times(int(1, 12), () => `\\sum_{k=1}^{${int(1, 3000)}}`).join("") + " k",
  "endless series": () =>
    `\\${pick(["sum", "prod"])}_{n=${int(0, 2)}}^{\\infty} ${
      pick(["\\frac{x^n}{n!}", "n^{-s}", "n^{n^n}", "2^{-n^2}", "\\sin(n)", "n!", "\\frac{1}{n^2}"])
    } + ${int(0, 99)}`,
  "series in series": () =>
    `\\sum_{n=1}^{${pick(["\\infty", "m", "999"])}}\\${
      pick(["sum", "prod", "int", "lim"])
    }_{k=1}^{${pick(["n", "\\infty", "99"])}} ${
      pick(["k^n", "\\frac{1}{k+n}", "\\binom{n}{k}"])
    } + ${int(0, 99)}`,
  "steep integral": () =>
    `\\int_{${pick(["-\\infty", "0", "x"])}}^{${pick(["\\infty", "1", "y", "999"])}} ${
      pick([
        "e^{-x^{9}}",
        "\\sin(x^{9})",
        "\\tan(9x)",
        "\\frac{1}{(x-9)^{9}}",
        "x^{x^{x}}",
        "\\ln(9x)",
      ])
        .replaceAll("9", String(int(1, 99)))
    } dx`,
  "far limit": () =>
    `\\lim_{n\\to ${pick(["\\infty", "0", "-\\infty"])}} ${
      pick([
        "n^{n}",
        "(1+\\frac{9}{n})^n",
        "2^{2^{n}}",
        "\\frac{n!}{n^n}",
        "\\sin(n^9)",
        "\\ln\\ln n",
      ])
        .replaceAll("9", String(int(1, 99)))
    }`,
  "tower of variables": () =>
    `\\max(${
      pick(["2^{x^{y^{2}}}", "x^{x^{x}}", "99^{9^{x}}", "\\binom{999}{x}", "(x!)!", "2^{9999x}"])
    }, 1)`,
  "factorials": () => `\\lim_{n\\to\\infty} (${int(1, 9999999)}!)^{n}`,
};

const reasons = new Map<string, number>();
const kinds = new Map<string, { count: number; slowest: number }>();
const problems: string[] = [];
const book = (kind: string, { reason }: Comparison, ms: number) => {
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const entry = kinds.get(kind) ?? { count: 0, slowest: 0 };
  kinds.set(kind, entry);
  entry.count++;
  entry.slowest = Math.max(entry.slowest, ms);
};

console.log(`seed ${seed}, ${count} pairs`);
await using pool = new GradePool({ timeLimit: TIME_LIMIT, memoryLimit: 256 });
let stillness = 0, last = performance.now();
const pulse = setInterval(() => {
  const now = performance.now();
  stillness = Math.max(stillness, now - last);
  last = now;
}, 10);
const waiting = new Set<Promise<void>>();
const began = performance.now();
for (let i = 0; i < count; i++) {
  const symbolic = i % SYMBOLIC_EVERY === 0;
  const kind = pick(Object.keys(symbolic ? SYMBOLIC : KINDS));
  const answer = (symbolic ? SYMBOLIC : KINDS)[kind]();
  const gold = symbolic ? String(int(1, 99)) : random.next() < 0.2 ? answer : pick(ANSWERS);
  const start = performance.now();
  try {
    const verdict = pool.decide(answer, gold);
    const ms = performance.now() - start;
    // Whoever asks the symbolic stage may start a worker first.
    if (ms > CHEAP_LIMIT && !(verdict instanceof Promise)) {
      problems.push(`${kind}: ${ms.toFixed(0)} ms for ${JSON.stringify(answer.slice(0, 200))}`);
    }
    if (verdict instanceof Promise) {
      const pending: Promise<void> = verdict.then((late) => {
        book(kind, late, performance.now() - start);
        waiting.delete(pending);
      }, (error) => void problems.push(`${kind}: ${error}`));
      waiting.add(pending);
    } else {
      book(kind, verdict, ms);
      const back = pool.decide(gold, answer);
      if (
        back instanceof Promise || back.equal !== verdict.equal || back.reason !== verdict.reason
      ) {
        problems.push(
          `not symmetric: ${JSON.stringify([answer.slice(0, 200), gold.slice(0, 200)])}`,
        );
      }
    }
  } catch (error) {
    problems.push(`${kind}: threw ${error} for ${JSON.stringify(answer.slice(0, 200))}`);
  }
  if (waiting.size >= 8) await Promise.race(waiting);
  else if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve));
  if ((i + 1) % 10_000 === 0) {
    console.log(`${i + 1} pairs, ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
}
await Promise.all(waiting);
clearInterval(pulse);
for (const [kind, { count, slowest }] of kinds) {
  console.log(
    `${kind.padEnd(24)} ${String(count).padStart(7)} pairs, slowest ${slowest.toFixed(0)} ms`,
  );
}
console.log("verdicts:", Object.fromEntries([...reasons].sort()));
console.log("symbolic stage:", pool.counts);
if (pool.counts.time > 0) problems.push(`${pool.counts.time} questions met the time limit`);
console.log(`event loop still for at most ${stillness.toFixed(0)} ms`);
console.log(`${problems.length} problems`);
for (const problem of problems.slice(0, 20)) console.log(problem);
if (problems.length > 0) Deno.exitCode = 1;
