import { assertEquals } from "@std/assert";
import { type EvalResults, modelName, reflectionWords, scoreSet } from "../../src/eval/mod.ts";
import { reflectionTable, resultRows, stageSections } from "../../src/eval/tables.ts";
import { thinker } from "../../src/task/mod.ts";

Deno.test("modelName: of a checkpoint run and step, of other folders the last part", () => {
  const checkpoint = "runs/mine/checkpoints/step-20";
  assertEquals(modelName(checkpoint), "mine, step-20");
  assertEquals(modelName(`../${checkpoint}/`, "-"), "mine-step-20");
  assertEquals(modelName("checkpoints/step-1"), "step-1");
  assertEquals(modelName("./models/Qwen2.5-1.5B/"), "Qwen2.5-1.5B");
  assertEquals(modelName("."), ".");
});

Deno.test("stageSections: slow answers after right and after wrong fast ones stand apart", () => {
  const stage = (tokens: number, more: object = {}) => ({
    ...{ reached: 1, responses: 4, tokens, truncated: 0, reflections: {} },
    ...more,
  });
  const set = (name: string, slow?: object) => ({
    set: name,
    stages: { fast: stage(10), verify: stage(20), ...(slow && { slow: stage(120, slow) }) },
  });
  const sets = [set("both", { afterRight: 0.5, afterWrong: 0.25 }), set("unasked")];
  const results = { sets, task: thinker } as unknown as EvalResults;
  assertEquals(stageSections(results).at(-1), {
    kind: "table",
    header: ["", "slow after right, %", "slow after wrong, %", "(fast + verify) / slow tokens"],
    rows: [["both", "50.00", "25.00", "0.25"], ["unasked", "–", "–", "–"]],
  });
  const none = stageSections({ ...results, sets: results.sets.slice(1) });
  assertEquals(none.length, 3, "nothing came after a verdict");
});

Deno.test("resultRows: greedy answers are called so, beside sampled ones of the same model", () => {
  const names = [1, 0].map((temperature) => {
    const config = { method: { model: "models/mine", sampling: { temperature } } };
    return resultRows({ config, sets: [], task: thinker } as unknown as EvalResults)[0].name;
  });
  assertEquals(names, ["Thinker (mine)", "Thinker (mine, greedy)"]);
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
