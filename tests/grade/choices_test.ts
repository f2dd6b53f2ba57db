import { assertEquals } from "@std/assert";
import { published } from "../published.ts";
import { grade, gradeResponse } from "../../src/grade/mod.ts";

const choices = { A: "10^{-4} eV", B: "Warm gas.", C: "$\\frac{1}{2}$", D: "about 12.5 m/s" };

Deno.test("choices: the letter, in every dress", () => {
  for (
    const answer of ["B", "(B)", "b", "B.", "B)", "[B]", "\\text{B}", "\\textbf{(B)}", "Option B"]
      .concat(["option (B)", "The correct answer is B", "choice: B", "$B$", "\\mathrm{B}"])
  ) {
    assertEquals(grade(answer, "B", { choices }), { equal: true, reason: "choice" }, answer);
    assertEquals(grade(answer, "C", { choices }), { equal: false, reason: "different" }, answer);
  }
});

Deno.test("choices: the value, and letter and value together", () => {
  const right: [string, string][] = [
    ["Warm gas", "B"],
    ["\\text{warm gas}", "B"],
    ["B. Warm gas.", "B"],
    ["(B) Warm gas", "B"],
    ["0.5", "C"],
    ["\\frac{2}{4}", "C"],
    ["C) 1/2", "C"],
    ["10^{-4} \\text{ eV}", "A"],
    ["about 12.5 m/s", "D"],
  ];
  for (const [answer, letter] of right) {
    assertEquals(grade(answer, letter, { choices }).equal, true, answer);
    const other = letter === "A" ? "D" : "A";
    assertEquals(grade(answer, other, { choices }).equal, false, answer);
  }
});

Deno.test("choices: no answer, no option, two options, a letter that contradicts its value", () => {
  assertEquals(grade("", "B", { choices }).reason, "no-answer");
  assertEquals(grade(undefined, "B", { choices }).reason, "no-answer");
  assertEquals(grade("E", "B", { choices }).reason, "undecided");
  assertEquals(grade("cold gas", "B", { choices }).reason, "undecided");
  for (const answer of ["B, C", "B or C", "B and C", "C. Warm gas", "B. 0.5", "gas", "ABCD"]) {
    for (const gold of ["A", "B", "C"]) {
      assertEquals(grade(answer, gold, { choices }).equal, false, `${answer} for ${gold}`);
    }
  }
});

Deno.test("choices: options that cannot be told apart are not paid for by value", () => {
  const twins = { A: "0.5", B: "\\frac12", C: "2" };
  assertEquals(grade("1/2", "A", { choices: twins }).equal, false);
  // Word for word it is one of them.
  assertEquals(grade("0.5", "A", { choices: twins }).equal, true);
  assertEquals(grade("0.5", "B", { choices: twins }).equal, false);
  assertEquals(grade("A", "A", { choices: twins }).equal, true);
  // The same text twice, as in a few rows of GPQA: then either letter is right.
  const copies = { A: "0.5", B: "0.5", C: "2" };
  for (const answer of ["A", "B", "0.5", "1/2"]) {
    assertEquals(grade(answer, "A", { choices: copies }).equal, true, answer);
  }
  assertEquals(grade("C", "A", { choices: copies }).equal, false);
});

Deno.test("choices: letters as values of options", () => {
  const letters = { A: "d", B: "a", C: "b", D: "c" };
  assertEquals(grade("D", "D", { choices: letters }).equal, true);
  assertEquals(grade("c", "D", { choices: letters }).equal, true);
  assertEquals(grade("d", "D", { choices: letters }).equal, false);
  assertEquals(grade("D", "A", { choices: letters }).equal, false);
});

Deno.test("choices: a gold answer that is given by value, or is no option", () => {
  assertEquals(grade("B", "Warm gas.", { choices }).equal, true);
  assertEquals(grade("7", "7.0", { choices }), { equal: true, reason: "exact" });
  assertEquals(gradeResponse("so \\boxed{(C)}", "C", { choices }).equal, true);
});

const rows = published("eval/gpqa_diamond.jsonl");

Deno.test({
  name: "choices: every letter and every value of GPQA Diamond",
  ignore: rows.ignore,
  fn: async () => {
    interface Row {
      readonly id: string;
      readonly answer: string;
      readonly choices: Record<string, string>;
    }
    const lines = (await Deno.readTextFile(rows.path)).split("\n").filter((line) => line !== "");
    // Ids only: the texts must not get into logs.
    const misjudged: string[] = [];
    for (const { id, answer: gold, choices } of lines.map((line): Row => JSON.parse(line))) {
      for (const [letter, value] of Object.entries(choices)) {
        const right = value === choices[gold];
        for (const answer of [letter, `(${letter})`, `\\text{${letter}}`, `${letter}. ${value}`]) {
          if (grade(answer, gold, { choices }).equal !== right) misjudged.push(`${id} ${letter}`);
        }
        for (const answer of [value, `\\text{${value}}`]) {
          if (grade(answer, gold, { choices }).equal !== right) {
            misjudged.push(`${id} value of ${letter}`);
          }
        }
      }
    }
    assertEquals(misjudged, []);
  },
});

Deno.test("choices: a letter that is joined, judged or used in a formula names no option", () => {
  const numbers = { A: "5", B: "6", C: "7", D: "8" };
  const none = [
    "(A) or (B)",
    "A. C. D.",
    "\\text{(A) 5, (B) 6}",
    "(A) wrong",
    "(A)+(B)",
    "(A), (B)",
  ]
    .concat([
      "(A)(B)(C)(D)",
      "A. B. C. D.",
      "A:B",
      "(A)^2",
      "(A) and B",
      "A. is not right",
      "(A) - (B)",
    ]);
  for (const answer of none) {
    assertEquals(grade(answer, "A", { choices: numbers }).equal, false, answer);
    assertEquals(grade(answer, "A").equal, false, answer);
  }
  for (
    const answer of ["(A) 5", "A. 5", "(A) five", "A) 5", "(A) -x", "(A) [1, 2]"].concat([
      "(A) +\\infty",
      "A. but-2-ene",
      "(A) (S)-CH3C(H)(C2H5)",
      "A. Vitamin C",
    ])
  ) {
    assertEquals(grade(answer, "A").equal, true, answer);
  }
});
