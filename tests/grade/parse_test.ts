import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { normalForm } from "../../src/grade/mod.ts";
import { parseAnswer } from "../../src/grade/parse.ts";

/** The type of the tree and how many parts it has. */
function shape(latex: string): string {
  const tree = parseAnswer(normalForm(latex).source);
  if (!tree) return "unreadable";
  switch (tree.type) {
    case "call":
      return tree.fn;
    case "tuple":
      return `${tree.open}${tree.items.length}${tree.close}`;
    case "matrix":
      return `matrix ${tree.rows.length}x${tree.rows[0].length}`;
    case "relation":
      return tree.ops.join(" ");
    case "set":
    case "union":
    case "list":
      return `${tree.type} ${tree.items.length}`;
    default:
      return tree.type;
  }
}

Deno.test("parseAnswer: what an answer is", () => {
  const table: [string, string][] = [
    ["5", "num"],
    ["x", "sym"],
    ["\\lambda_{\\text{red}}", "sym"],
    ["2x", "*"],
    ["-x", "neg"],
    ["x^{2} y", "*"],
    ["\\sin 2 x \\cos x", "*"],
    ["\\sin^2 x", "^"],
    ["\\log_3(27)", "/"],
    ["n(n-1)", "*"],
    ["f(x)", "@f"],
    ["u(t)", "@u"],
    ["f^{-1}(x)", "@f^-1"],
    ["3\\frac{1}{2}", "+"],
    ["3\\frac{x}{2}", "*"],
    ["1 \\pm \\sqrt2", "pm"],
    ["n!", "factorial"],
    ["52_8", "based"],
    ["(1,2]", "(2]"],
    ["\\left[\\frac{\\pi^2}{8}, 4\\right]", "[2]"],
    ["(x)", "sym"],
    ["\\{1,2,3\\}", "set 3"],
    ["\\emptyset", "set 0"],
    ["(-\\infty,2)\\cup(3,\\infty)", "union 2"],
    ["1, 2 \\text{ and } 3", "list 3"],
    ["x=1 \\text{ or } x=2", "list 2"],
    ["1<x\\le 2", "< <="],
    ["x\\in(1,2)", "in"],
    ["\\left[\\begin{array}{rr}1&2\\\\3&4\\\\5&6\\end{array}\\right]", "matrix 3x2"],
    ["10 \\mathrm{~m} / \\mathrm{s}, 20 \\text{ seconds}", "list 2"],
  ];
  for (const [latex, expected] of table) assertEquals(shape(latex), expected, latex);
});

Deno.test("parseAnswer: what it does not understand it does not read", () => {
  for (
    const latex of [
      "",
      "1 2",
      "x+",
      "(1",
      "1)",
      "\\frac{1}",
      "\\foo",
      "2^",
      "|x",
      "\\sqrt",
      "a=b=",
      "1,,",
    ]
      .concat([
        "east",
        "\\text{east}",
        "\\begin{pmatrix}1&2\\\\3\\end{pmatrix}",
        "{1",
        "x_",
        "\\{1",
      ])
      .concat(["\\frac{d}{dx} x", "AB", "é", "x<1 \\text{ and } x>3", "5 \\text{ if } x"])
  ) {
    assertEquals(shape(latex), "unreadable", latex);
  }
});

Deno.test("parseAnswer: never throws, whatever the tokens and however deep", () => {
  const token = fc.constantFrom(
    ..."0 1 9 . x y e i + - * / ^ _ = < > ( ) [ ] { } | , ; ! ' : &".split(" "),
    ..."\\frac \\sqrt \\sin \\ln \\log \\pm \\cup \\in \\infty \\pi \\{ \\} \\\\ \\binom \\lfloor \\rfloor"
      .split(" "),
    ..."\\begin{pmatrix} \\end{pmatrix} \\overline{ \\text{and} \\mathrm{~m} ^\\circ \\prime and or"
      .split(" "),
  );
  let read = 0;
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), fc.constantFrom("", " "), (tokens, space) => {
      if (parseAnswer(tokens.join(space))) read++;
    }),
    { numRuns: 20_000 },
  );
  assert(read > 200, `${read} of 20,000 were readable`);
  for (
    const piece of [
      "(",
      "{",
      "\\frac{1}{",
      "-",
      "x^",
      "\\sin ",
      "|",
      "2*-",
      "x+",
      "x!",
      "\\{",
      "f(",
    ]
  ) {
    parseAnswer(piece.repeat(3900 / piece.length));
    parseAnswer(piece.repeat(3900 / piece.length) + "x");
  }
});
