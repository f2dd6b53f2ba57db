import { assert, assertEquals } from "@std/assert";
import { grade, GradePool } from "../../src/grade/mod.ts";
import { right } from "./right_answers.ts";
import { wrong } from "./wrong_answers.ts";

/** A pair with the verdict that a careful reader gives. */
interface Case {
  readonly gold: string;
  readonly answer: string;
  readonly equal: boolean;
  readonly class: string;
}

Deno.test("grader: pairs that were misjudged once, all stages", async () => {
  const path = new URL("../fixtures/grade/cases.jsonl", import.meta.url);
  const cases: Case[] = Deno.readTextFileSync(path).trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  assert(cases.length > 300);
  await using pool = new GradePool();
  const wrong: string[] = [];
  for (const { gold, answer, equal } of cases) {
    const comparison = await pool.grade(answer, gold);
    if (comparison.equal !== equal) wrong.push(`${gold} <- ${answer}: ${comparison.reason}`);
  }
  assertEquals(wrong, []);
});

Deno.test("grader: right answers in other forms are paid, in either order", () => {
  const refused = right.filter(([a, b]) => !grade(a, b).equal || !grade(b, a).equal);
  assertEquals(refused, []);
});

Deno.test("grader: wrong answers that look like right ones are not paid, in either order", async () => {
  await using pool = new GradePool();
  const paid: string[] = [];
  for (const [a, b] of wrong) {
    const both = [await pool.grade(a, b), await pool.grade(b, a)];
    if (both.some(({ equal }) => equal)) paid.push(`${a} <- ${b}`);
  }
  assertEquals(paid, []);
});
