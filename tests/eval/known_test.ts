import { assertEquals, assertRejects } from "@std/assert";
import { UserError } from "../../src/base/mod.ts";
import { lineOf, problemKey } from "../../src/eval/answers.ts";
import { EvalFolder } from "../../src/eval/config.ts";
import { readKnown } from "../../src/eval/known.ts";

const problem = { id: "1", question: "1+1=", answer: "2" };
const sets = [{ name: "sums", problems: [problem], skipped: 0 }];
const turn = { stage: "answer", tokens: 2, truncated: false, text: "2", correct: true };
const line = (sample: number, more: object = {}) => {
  const of = { set: "sums", id: "1", sample, problem: problemKey(problem) };
  return JSON.stringify(lineOf({ ...of, turns: [turn], final: 0, ...more }));
};

Deno.test("known answers: what is no answer is refused with its place, and nothing is lost", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const folder = EvalFolder.at(dir);
    const write = (lines: string[]) => Deno.writeTextFile(folder.answers, lines.join("\n"));
    const refused = async (lines: string[], message: string) => {
      await write(lines);
      const error = await assertRejects(() => readKnown(folder, sets, 8), UserError);
      assertEquals(error.message, `${folder.answers}:${message}`);
      assertEquals(error.hint!.includes("remove"), true, error.hint);
      assertEquals(await Deno.readTextFile(folder.answers), lines.join("\n"));
    };
    const { turns: _, ...cut } = JSON.parse(line(1));
    const none = "Invalid input: expected object, received null";
    await refused([line(0), "null", line(1), "torn"], `2: ${none}`);
    await refused(
      [line(0), JSON.stringify(cut), "torn"],
      "2: turns: Invalid input: expected array, received undefined",
    );
    await refused([line(0), line(1, { final: 1 }), ""], "2: final: no such turn");
    const wrong = line(1).replace('"correct":true', '"correct":false');
    await refused([line(0), wrong, ""], "2 is not as it was written");
    await refused(
      [line(0), line(1), line(0), ""],
      '3: sample 0 of "1" in sums stands there a second time',
    );
    // Answers to other questions and a torn end are no fault.
    await write([line(0), line(1, { set: "other" }), line(2), '{"set":"su']);
    const known = await readKnown(folder, sets, 8);
    assertEquals(known.get("sums")!.get("1")!.map(({ sample }) => sample), [0, 2]);
    assertEquals((await Deno.readTextFile(folder.answers)).split("\n").length, 4);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
