import { assertEquals } from "@std/assert";
import { type EvalResults, modelName, reflectionWords, scoreSet } from "../../src/eval/mod.ts";
import { reflectionTable } from "../../src/eval/tables.ts";

Deno.test("modelName: of a checkpoint run and step, of other folders the last part", () => {
  const checkpoint = "runs/mine/checkpoints/step-20";
  assertEquals(modelName(checkpoint), "mine, step-20");
  assertEquals(modelName(`../${checkpoint}/`, "-"), "mine-step-20");
  assertEquals(modelName("checkpoints/step-1"), "step-1");
  assertEquals(modelName("./models/Qwen2.5-1.5B/"), "Qwen2.5-1.5B");
  assertEquals(modelName("."), ".");
});

Deno.test("reflectionTable: every response counts once, also of a stage that comes back", async () => {
  // One answer of three responses that say "wait," once each, and in another set one of one that does not.
  const setOf = (set: string, waits: number[]) => {
    const turns = waits.map((wait) => ({
      stage: "tool",
      tokens: 1,
      truncated: false,
      correct: false,
      reflections: [wait, 0, 0, 0, 0],
    }));
    return scoreSet({
      set,
      problems: [{ id: "a", question: "?", answer: "1" }],
      skipped: 0,
      answers: new Map([["a", [{ set, id: "a", sample: 0, problem: "", turns, final: 0 }]]]),
      grade: () => Promise.resolve(false),
      taskStages: [{ name: "tool" }],
    });
  };
  const sets = [await setOf("thrice", [1, 1, 1]), await setOf("once", [0])];
  const task = { name: "t", title: "T", stages: [{ name: "tool", title: "Tool" }] };
  const table = reflectionTable({ sets, task } as unknown as EvalResults);
  assertEquals(table.kind === "table" && table.rows, [
    ...reflectionWords.map((word) => [`\`${word}\``, word === "wait," ? "0.750" : "0.000"]),
    ["all", "0.750"],
  ]);
});
