import { assertEquals } from "@std/assert";
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
