import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { normalForm, normalizeAnswer } from "../../src/grade/mod.ts";

Deno.test("normalizeAnswer: one spelling", () => {
  const table: [string, string][] = [
    ["$\\frac{1}{2}$", "\\frac{1}{2}"],
    ["\\dfrac12", "\\frac{1}{2}"],
    ["\\tfrac1{72}", "\\frac{1}{72}"],
    ["\\frac{1}2", "\\frac{1}{2}"],
    ["1/2", "\\frac{1}{2}"],
    ["-\\pi/4", "-\\frac{\\pi}{4}"],
    ["\\sqrt3", "\\sqrt{3}"],
    ["\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\frac{\\pi}{2})"],
    ["\\left.\\frac{1}{2}\\right.", "\\frac{1}{2}"],
    ["\\left\\lbrace 1,\\;2 \\right\\rbrace", "\\{1,2\\}"],
    ["p^{2}+14 p+49", "p^2+14p+49"],
    ["90^\\circ", "90"],
    ["45^{\\circ}", "45"],
    ["30°", "30"],
    ["(45^{\\circ}, 60^{\\circ})", "(45,60)"],
    ["20\\%", "20"],
    ["\\$0.50", "0.50"],
    ["995\\text{ dollars}", "995"],
    ["144 \\mbox{ m}^3", "144"],
    ["450 \\mathrm{~m}", "450"],
    ["\\frac{68}{3}\\text{ pounds}", "\\frac{68}{3}"],
    ["4\\pi \\text{ cm}", "4\\pi"],
    ["15 hours", "15"],
    ["5cm^2", "5"],
    ["1,\\!234", "1234"],
    ["1{,}234", "1234"],
    ["10\\,000", "10000"],
    ["x = 5", "5"],
    ["n=1,234", "1,234"],
    ["f(x)=2 x", "2x"],
    ["\\theta = \\pi", "\\pi"],
    ["\\text{Evelyn}", "evelyn"],
    ["\\text{(C)}", "C"],
    ["(C)", "C"],
    ["\\textbf{Yes}.", "yes"],
    ["-1 < x \\leqslant 1", "-1<x\\leq1"],
    ["\\pi r", "\\pi r"],
    ["2\n\n ", "2"],
  ];
  for (const [latex, normal] of table) assertEquals(normalizeAnswer(latex), normal, latex);
});

Deno.test("normalizeAnswer: what carries meaning stays", () => {
  const table: [string, string][] = [
    ["2,3", "2,3"],
    ["(1,2)", "(1,2)"],
    ["3 1/2", "3 1/2"],
    ["1 2", "1 2"],
    ["2x", "2x"],
    ["2 \\mathrm{i}", "2i"],
    ["5 \\text{ million}", "5million"],
    ["5 \\text{ PM}", "5PM"],
    ["19 \\text{ and }43", "19and43"],
    ["5 theta", "5theta"],
    ["x=1, y=2", "x=1,y=2"],
    ["x = y = 2", "x=y=2"],
    ["\\text{points}", "points"],
    ["0.333...", "0.\\overline{3}"],
    ["3.14...", "3.14..."],
    ["1011_2", "1011_2"],
    ["AB", "AB"],
    ["63^{\\circ}45", "63 45"],
    ["5%6", "5%6"],
    ["\\text{not able}", "not able"],
    ["Mg", "Mg"],
    ["$2$$3$", "2 3"],
  ];
  for (const [latex, normal] of table) assertEquals(normalizeAnswer(latex), normal, latex);
});

Deno.test("normalForm: name, unit and number are kept apart", () => {
  const form = normalForm("x = 1,234.5 \\text{ miles per hour}");
  assertEquals([form.name, form.value, form.unit], ["x", "1,234.5", "mileperhour"]);
  assertEquals(form.number, { num: 12345n, den: 10n });
  assertEquals(normalForm("5 mph").unit, "mileperhour");
  assertEquals(normalForm("-\\$5").unit, "dollar");
  assertEquals(normalForm("5\\text{ dollars}").unit, "dollar");
  assertEquals(normalForm("3\\text{ ft}^{2}").unit, "foot^2");
  assertEquals(normalForm("x = 5").number, { num: 5n, den: 1n });
  assertEquals(normalForm("\\text{ cm}").unit, "");
});

Deno.test("normalizeAnswer: normalising twice changes nothing more on plain LaTeX", () => {
  const piece = fc.constantFrom("1", "2", "x", "+", "-", ",", "(", ")", "\\pi", " ", "\\sqrt{2}");
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    const once = normalizeAnswer(pieces.join(""));
    assertEquals(normalizeAnswer(once), once);
  }));
});

Deno.test("normalizeAnswer: never throws, and 100 kB takes linear time", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    normalizeAnswer(text);
  }));
  const pieces = [
    "{",
    "}",
    "\\text{",
    "\\text{a}",
    "\\frac",
    "\\frac{",
    "\\frac1",
    "1,000,",
    " ",
    "1 ",
  ]
    .concat([
      "\\",
      "$",
      "%",
      "^\\circ",
      "\\$",
      "a",
      "x=",
      "1/",
      "_{",
      "\\, ",
      "cm ",
      "\\mathrm{~m}",
      ".",
    ])
    .concat(["\\left", "\\left ", "(", "-", "\n", "٣", "\u2028", "^{2}", "\\sqrt"]);
  const slowest = (size: number) => {
    let worst = 0;
    for (const piece of pieces) {
      const text = piece.repeat(size / piece.length);
      const start = performance.now();
      normalizeAnswer(text);
      normalizeAnswer(`5${text}5`);
      worst = Math.max(worst, performance.now() - start);
    }
    return worst;
  };
  slowest(10_000);
  assert(slowest(100_000) < 500);
});
