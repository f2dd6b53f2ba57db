import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { grade, gradeResponse, parseVerdict, type Reason } from "../../src/grade/mod.ts";

function assertGrade(answer: string, gold: string, equal: boolean, reason: Reason): void {
  assertEquals(grade(answer, gold), { equal, reason }, `${answer} against ${gold}`);
  assertEquals(grade(gold, answer), { equal, reason }, `${gold} against ${answer}`);
}

Deno.test("grade: equal answers", () => {
  const same: [string, string, Reason][] = [
    ["4", "n = 4", "string"],
    ["$\\dfrac12$.", "\\frac{1}{2}", "string"],
    ["0.5", "\\frac12", "exact"],
    ["1.50", "3/2", "exact"],
    ["3\\frac{1}{2}", "7/2", "exact"],
    ["500000", "500,000", "exact"],
    ["10,\\!000", "10000", "string"],
    ["4.5e33", "4.5 \\times 10^{33}", "exact"],
    ["10\\%", "10", "string"],
    ["10\\%", "0.1", "exact"],
    ["10\\%", "10\\text{ percent}", "string"],
    ["\\$995", "995\\text{ dollars}", "string"],
    ["5 \\mathrm{~ft}^{2}", "5\\text{ square feet}", "string"],
    ["45 mph", "45\\text{ miles per hour}", "string"],
    ["620", "620 \\text{ minutes}", "string"],
    ["90^\\circ", "90 \\text{ degrees}", "string"],
    ["(C)", "C", "string"],
    ["\\text{Evelyn}", "evelyn", "string"],
    ["(3,\\frac{\\pi}{2})", "\\left( 3, \\frac{\\pi}{2} \\right)", "string"],
    ["-0", "0", "exact"],
    ["y=2x+1", "2 x + 1", "string"],
  ];
  for (const [a, b, reason] of same) assertGrade(a, b, true, reason);
});

Deno.test("grade: unequal answers", () => {
  const other: [string, string, Reason][] = [
    ["4", "5", "different"],
    ["1/3", "0.333", "different"],
    ["10\\%", "1000\\%", "different"],
    ["10\\%", "1000", "different"],
    ["A", "(B)", "different"],
    ["x = 5", "y = 5", "different"],
    ["5 \\text{ cm}", "5 \\text{ kg}", "undecided"],
    ["5 \\text{ cm}", "5 \\text{ cm}^2", "undecided"],
    ["5 \\text{ AM}", "5 \\text{ PM}", "undecided"],
    ["5 \\text{ million}", "5", "different"],
    ["2x", "2", "different"],
    ["3 1/2", "31/2", "different"],
    ["2^{10}", "1023", "different"],
    ["1, 234", "1234", "different"],
  ];
  for (const [a, b, reason] of other) assertGrade(a, b, false, reason);
});

Deno.test("grade: a comma is never deleted", () => {
  assertGrade("2,3", "23", false, "different");
  assertGrade("(1,2)", "(12)", false, "undecided");
  assertGrade("(1,2)", "12", false, "undecided");
  assertGrade("1,23", "123", false, "different");
  assertGrade("1,234", "1234", true, "exact");
});

Deno.test("grade: an empty answer equals nothing", () => {
  for (const empty of ["", " ", "$$", "\\text{}", "\\,", ".", "\\%", "^\\circ", "\\$"]) {
    for (const gold of ["5", "", " ", "\\text{points}", "\\%", "\\text{ cm}", empty]) {
      assertGrade(empty, gold, false, "no-answer");
    }
  }
  assertEquals(grade(undefined, "5"), { equal: false, reason: "no-answer" });
  assertEquals(grade(undefined, ""), { equal: false, reason: "no-answer" });
});

Deno.test("grade: a huge exponent costs no time", () => {
  const start = performance.now();
  assertGrade("1e999999999", "5", false, "undecided");
  assertGrade("1e999999999", "1e999999998", false, "undecided");
  assertGrade("10^{10^{10}}", "7", false, "different");
  assertGrade("1e999999999", "1e999999999", true, "string");
  assert(performance.now() - start < 500);
});

Deno.test("grade: 100 kB inputs take linear time", () => {
  const start = performance.now();
  for (const piece of ["9", "\\frac{1}{", "\\text{ cm}", "1,000,", "x = ", "( ", "\\boxed{", "%"]) {
    const text = piece.repeat(100_000 / piece.length);
    grade(text, "5");
    grade("5", text);
    gradeResponse(`\\boxed{${text}}`, text);
  }
  assert(performance.now() - start < 2000);
});

/** Texts that look like answers, so that equal pairs and near misses are common. */
const answerLike = fc.oneof(
  fc.array(
    fc.constantFrom(
      "1",
      "2",
      "0",
      ",",
      ".",
      "/",
      "-",
      "x",
      "=",
      "y",
      " ",
      "%",
      "\\$",
      "(",
      ")",
      "e",
    )
      .map((s) => s),
    { maxLength: 6 },
  ).map((parts) => parts.join("")),
  fc.constantFrom(
    "\\frac12",
    "0.5",
    "50\\%",
    "1 \\text{ cm}",
    "1",
    "x = 1",
    "A",
    "(A)",
    "\\text{ m}",
  ),
  fc.string({ maxLength: 8 }),
);

Deno.test("grade: symmetric in its arguments", () => {
  fc.assert(
    fc.property(answerLike, answerLike, (a, b) => assertEquals(grade(a, b), grade(b, a))),
    { numRuns: 3000 },
  );
});

Deno.test("grade: every answer equals itself unless it is empty", () => {
  fc.assert(
    fc.property(answerLike, (a) => {
      const { equal, reason } = grade(a, a);
      assertEquals(equal, reason !== "no-answer");
    }),
    { numRuns: 2000 },
  );
});

Deno.test("grade: numbers are equal exactly when their values are", () => {
  const int = fc.integer({ min: -30, max: 30 });
  const positive = fc.integer({ min: 1, max: 30 });
  fc.assert(fc.property(int, positive, int, positive, (a, b, c, d) => {
    assertEquals(grade(`\\frac{${a}}{${b}}`, `${c}/${d}`).equal, a * d === b * c);
  }));
});

Deno.test("gradeResponse: the last box is what counts", () => {
  assertEquals(gradeResponse("\\boxed{5} no, \\boxed{\\frac12}", "0.5").equal, true);
  assertEquals(gradeResponse("\\boxed{0.5} no, \\boxed{5}", "0.5").reason, "different");
  assertEquals(gradeResponse("the answer is 0.5", "0.5").reason, "no-answer");
  assertEquals(gradeResponse("\\boxed{0.5", "0.5").reason, "no-answer");
  assertEquals(gradeResponse("\\boxed{}", "\\text{points}").reason, "no-answer");
});

Deno.test("parseVerdict: yes, no, or nothing", () => {
  for (
    const yes of ["Yes", "yes", " YES ", "\\text{Yes}", "\\textbf{yes}", "\\text{ Yes. }", "Yes."]
  ) {
    assertEquals(parseVerdict(`so \\boxed{${yes}}`), "yes", yes);
  }
  assertEquals(parseVerdict("\\boxed{Yes} or rather \\boxed{No}"), "no");
  assertEquals(parseVerdict("\\boxed{nO}"), "no");
  for (const none of ["Yes", "\\boxed{}", "\\boxed{maybe}", "\\boxed{Yes", "\\boxed{yes no}", ""]) {
    assertEquals(parseVerdict(none), undefined, none);
  }
});
