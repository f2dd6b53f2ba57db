import { assert, assertEquals } from "@std/assert";
import { ComputeEngine } from "npm:@cortex-js/compute-engine@0.140.0";
import { integral } from "../../src/grade/quadrature.ts";
import { sameSymbolic, symbolicQuestion } from "../../src/grade/symbolic.ts";

const engine = new ComputeEngine();
const quietly = <T>(work: () => T): T => {
  const { error, warn } = console;
  console.error = console.warn = () => {};
  try {
    return work();
  } finally {
    Object.assign(console, { error, warn });
  }
};
const find = (a: string, b: string) => {
  const question = symbolicQuestion(a, b);
  return question ? quietly(() => sameSymbolic(engine, question)) : "not asked";
};

/** Equal, in the forms that answers have. */
const EQUAL: [string, string][] = [
  ["\\sum_{i=1}^n\\sum_{j=1}^i j", "\\frac{n(n+1)(n+2)}{6}"],
  ["\\sum_{k=0}^{n}\\binom{n}{k}", "2^n"],
  ["\\sum_{n=0}^{\\infty} \\frac{1}{2^n}", "2"],
  ["\\sum_{n=1}^\\infty \\frac{n}{3^n}", "\\frac34"],
  ["\\sum_{n=0}^{\\infty} \\frac{x^n}{n!}", "e^x"],
  ["\\sum_{n=0}^{\\infty} a_n x^n", "\\sum_{k=0}^{\\infty} a_k x^k"],
  ["\\sum_{n=1}^{\\infty} \\frac{1}{n^3}", "\\sum_{m=1}^{\\infty} \\frac{1}{m^3}"],
  ["\\int_0^\\infty x^3 e^{-x}dx", "6"],
  ["\\int_0^1 \\ln x \\, dx", "-1"],
  ["\\int_0^2 \\sqrt{4-x^2}dx", "\\pi"],
  ["\\int_{-\\infty}^{\\infty}\\frac{1}{1+x^2}dx", "\\pi"],
  ["\\int_{-1}^{1} x^3 dx", "0"],
  ["\\int_0^1\\int_0^{y} e^{x} dx dy", "e-2"],
  ["\\int_0^a x^2 dx", "\\frac{a^3}{3}"],
  ["\\frac{d}{dx} (x^2 y)", "2xy"],
  ["\\frac{d^2}{dx^2} x^3", "6x"],
  ["\\lim_{n\\to\\infty}(1+\\frac1n)^n", "e"],
  ["\\lim_{x\\to\\infty}(\\sqrt{x^2+x}-x)", "\\frac12"],
  ["\\lim_{x\\to0^+} x\\ln x", "0"],
  ["\\max(a, 2b, 3c)", "\\max(3c,a,2b)"],
  ["\\max(x,y)", "\\frac{x+y+|x-y|}{2}"],
  ["\\gcd(m,n)\\operatorname{lcm}(m,n)", "mn"],
  ["\\coth x", "\\frac{e^x+e^{-x}}{e^x-e^{-x}}"],
];

/** Different, or not to be told: never equal. */
const NEVER: [string, string][] = [
  // Agreement in floating point.
  ["\\max(1-e^{-100},0)", "1"],
  ["\\int_0^1 x^2 dx", "\\frac13+10^{-13}"],
  ["\\int_0^1 x^2 dx", "0.33333333333333"],
  ["\\int_0^1 x^2 dx + e^{-40}", "\\frac13"],
  ["\\gcd(2,4)^{1009}+\\pi", "2^{1009}"],
  ["\\sum_{k=1}^{100} \\frac{1}{k}", "5.187377517"],
  // Peaks between the points of a rule.
  ["\\int_0^1 e^{-900(10x-3)^2}dx", "0"],
  ["\\int_0^{1000} e^{-(x-500)^2}dx", "0"],
  ["\\int_{-\\infty}^{\\infty} e^{-(x-50)^2}dx", "0"],
  ["\\int_0^{\\infty} \\frac{1}{1+(x-90)^{10}}dx", "0"],
  // Cases that no point meets.
  ["\\max(x,-100)", "x"],
  ["\\max(x-50,0)", "0"],
  ["\\max(a, 2b, 3c)", "\\max(a,2b,4c)"],
  // Words and lines.
  ["\\max at n \\pi", "\\min at n\\pi"],
  ["\\max at n \\pi", "\\max n t a \\pi"],
  ["\\min(BW, 2WR)", "\\min(WB, 2RW)"],
  // Terms that are unknowns; far terms; slow or no convergence.
  ["\\sum_{n=0}^{\\infty} a_n x^n", "\\sum_{k=0}^{\\infty} a_n x^k"],
  ["\\sum_{n=0}^{\\infty} a_n x^n", "\\frac{a_n}{1-x}"],
  ["\\sum_{n=0}^{\\infty} \\frac{1+\\lfloor n/500\\rfloor}{2^n}", "2"],
  ["\\sum_{n=1}^{\\infty} \\frac{1}{n}", "\\sum_{n=2}^{\\infty} \\frac{1}{n}"],
  ["\\lim_{x\\to 0}\\sin(\\frac1x)", "0"],
  ["\\lim_{x\\to\\infty}\\frac{\\ln x}{x^{0.01}}", "0"],
  ["\\lim_{x\\to0}\\frac{|x|}{x}", "1"],
  // Units and names that contradict, the others' readings.
  ["\\max(1,2) \\text{ kg}", "2 \\text{ cm}"],
  ["x=\\max(1,2)", "y=2"],
  ["\\prod_{i=1}^n i", "i^n"],
  ["\\gcd(m,n)", "n"],
  // What real or whole points cannot show.
  ["\\Re(z)", "z"],
  ["\\Im(z)", "0"],
  ["\\max(1,2) \\overline{z}", "2z"],
  ["\\sin(\\pi x)\\gcd(x,1)", "0"],
  ["x\\gcd(x,1)", "|x|"],
  ["\\max(1,0)\\sqrt{(x-60)^2}", "60-x"],
  ["\\max(1,0)|x-60|", "60-x"],
  // A maximum over what is not said.
  ["\\max(S)", "S"],
  ["\\max_{x} x^2", "x^2"],
];

/** What must be refused, or decided within a second. */
const COSTLY = [
  "\\sum_{n=1}^{\\infty} n^{n^n}",
  "\\sum_{n=1}^{\\infty}\\sum_{m=1}^{\\infty} \\frac{1}{2^{n+m}}",
  "\\prod_{n=2}^{\\infty}(1-\\frac1{n^2})",
  "\\sum_{a=1}^{1999}\\sum_{b=1}^{1999} \\sin(a^{b})",
  "\\sum_{k=1}^{2000} k^{k}",
  "\\sum_{k=1}^{999} \\binom{999}{k}",
  "\\sum_{n=0}^{\\infty} n! x^n",
  "\\int_0^{1000} \\sin(x^{2}) dx",
  "\\int_0^\\infty \\sin(x^2) dx",
  "\\int_0^{100}\\int_0^{100} \\sin(x^2 y) dx dy",
  "\\lim_{n\\to\\infty}\\sum_{k=1}^n \\frac{1}{k}",
  "\\lim_{n\\to\\infty} \\frac{n!}{n^n}",
  "\\lim_{n\\to\\infty} 2^{2^n}",
  "\\max(2^{2^{2^{2^x}}},1)",
  "\\max(9^{9^{9^9}},1)",
  "\\max(2^{2^{9}}, 5^{5^5})",
  "\\max(100!!,1)",
  "\\max((99!)!,1)",
  "\\max(\\binom{10000}{5000},1)",
  "\\gcd(99999, 88888^{999})",
];

Deno.test("symbolic: equal answers", () => {
  for (const [a, b] of EQUAL) {
    assertEquals(find(a, b), "equal", `${a} ~ ${b}`);
    assertEquals(find(b, a), "equal", `${b} ~ ${a}`);
  }
});

Deno.test("symbolic: what is not equal, or cannot be told, is never equal", () => {
  for (const [a, b] of NEVER) {
    assert(find(a, b) !== "equal", `${a} ~ ${b}`);
    assert(find(b, a) !== "equal", `${b} ~ ${a}`);
  }
});

Deno.test("symbolic: different only where it was refuted", () => {
  assertEquals(find("\\int_0^1 x^2 dx", "\\frac12"), "different");
  assertEquals(find("\\max(1-e^{-100},0)", "1"), "different");
  // Right answers, but too slow to be sure of.
  for (
    const [a, b] of [
      ["\\sum_{n=1}^{\\infty} \\frac{1}{n^2}", "\\frac{\\pi^2}{6}"],
      ["\\int_0^\\infty \\frac{\\sin x}{x}dx", "\\frac{\\pi}{2}"],
      ["\\max(1,2)\\%", "0.02"],
    ]
  ) {
    assert(["unknown", "not asked"].includes(find(a, b)), `${a} ~ ${b}`);
  }
});

Deno.test("symbolic: hard questions are refused or decided at once", () => {
  for (const text of COSTLY) {
    const began = performance.now();
    assert(find(text, "3") !== "equal", text);
    const ms = performance.now() - began;
    // A second on a machine that does nothing else.
    assert(ms < 3000, `${text} took ${ms.toFixed(0)} ms`);
  }
});

Deno.test("quadrature: takes singular and infinite ends, and says how sure it is", () => {
  const cases: [(x: number) => number, number, number, number][] = [
    [(x) => x * x, 0, 3, 9],
    [(x) => x * x, 3, 0, -9],
    [(x) => 1 / Math.sqrt(x), 0, 1, 2],
    [(x) => Math.exp(-x * x), -Infinity, Infinity, Math.sqrt(Math.PI)],
    [(x) => Math.exp(x), -Infinity, 0, 1],
    [(x) => x / (Math.exp(x) - 1), 0, Infinity, Math.PI ** 2 / 6],
  ];
  for (const [f, from, to, value] of cases) {
    const found = integral(f, from, to)!;
    assert(Math.abs(found.value - value) <= 1e-12 * found.size, `${f}: ${found.value}`);
    assert(found.error <= 1e-9 * found.size, `${f}: error ${found.error}`);
  }
  assert(integral((x) => Math.sin(x * x), 0, 1000)!.error > 1e-3);
  assertEquals(integral((x) => Math.log(x), -1, 1), undefined);
});
