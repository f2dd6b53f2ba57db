import { assert, assertEquals } from "@std/assert";
import { GradePool } from "../../src/grade/mod.ts";

const grader = new GradePool().grader();

Deno.test("grader: without options the checker decides alone", () => {
  assertEquals(grader("0.5", "\\frac12", {}), true);
  assertEquals(grader("A", "B", {}), false);
});

Deno.test("grader: options by letter, however it is set, and by value", async () => {
  const choices = { A: "12 km/s", B: "\\frac{1}{2}", C: "0.25", D: "10^{4}" };
  const right = [
    "B",
    "b",
    "(B)",
    "(b)",
    "B.",
    "B)",
    "\\text{B}",
    "\\textbf{(B)}",
    "\\mathrm{ B }",
    "$B$",
    "B. \\frac{1}{2}",
    "(B) \\frac{1}{2}",
    "\\frac{1}{2}",
    "0.5",
    "\\dfrac{1}{2}",
  ];
  for (const answer of right) {
    assertEquals(await grader(answer, "B", { choices }), true, answer);
    assertEquals(await grader("B", answer, { choices }), true, `${answer}, the other way round`);
  }
  const wrong = [
    "A",
    "c",
    "E",
    "BC",
    "A, B",
    "A. \\frac{1}{2}",
    "C. \\frac{1}{2}",
    "0.25",
    "12 km/s",
    "0.75",
    "B or C",
    "\\text{A}",
    "",
  ];
  for (const answer of wrong) assertEquals(await grader(answer, "B", { choices }), false, answer);
});

Deno.test("grader: options that are letters themselves mean what is written", async () => {
  const choices = { A: "d", B: "a", C: "b", D: "c" };
  const graded = (answer: string) => grader(answer, "D", { choices });
  assertEquals(await graded("D"), true);
  assertEquals(await graded("c"), true, "the text of option D");
  assertEquals(await graded("d"), false, "the text of option A");
  assertEquals(await graded("C"), false);
});

Deno.test("grader: answers that are no option are compared as they are, for the vote", async () => {
  const choices = { A: "1", B: "2" };
  assertEquals(await grader("7", "7.0", { choices }), true);
  assertEquals(await grader("7", "8", { choices }), false);
});

Deno.test("grader: what needs symbolic mathematics is decided in a worker", async () => {
  const verdict = grader("\\int_0^1 x dx", "\\frac{1}{2}", {});
  assert(verdict instanceof Promise);
  assertEquals(await verdict, true);
});

Deno.test("grader: hostile answers cost no time", async () => {
  const choices = { A: "1", B: "2" };
  const began = performance.now();
  for (const piece of ["\\text{", "$", "**", "(", "A. ", "{", "A)"]) {
    assertEquals(await grader(piece.repeat(20_000), "A", { choices }), false);
  }
  assertEquals(performance.now() - began < 3000, true);
});
