import { assert, assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/mod.ts";
import { readTrained, type Trained, trainedFile } from "../../src/model/mod.ts";
import { howToAsk, noteOnTask } from "../../src/rollout/mod.ts";
import { baseline, builtinTasks, type TaskSpec, thinker, thinkerFast } from "../../src/task/mod.ts";

const trained: Trained = {
  task: "baseline",
  stages: ["answer"],
  settings: {},
  prompts: { system: "Be brief.", answer: "Now: {question}", fast: "Quick: {question}" },
  budgets: { answer: 7, fast: 5 },
  weightDtype: "bf16",
};

/** A folder that holds what the body writes, and is removed afterwards. */
function inFolder(body: (dir: string, write: (name: string, text: string) => void) => void): void {
  const dir = Deno.makeTempDirSync();
  try {
    body(dir, (name, text) => Deno.writeTextFileSync(`${dir}/${name}`, text));
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

Deno.test("readTrained: what the folder says, or that it is from elsewhere", () =>
  inFolder((dir, write) => {
    assertEquals(readTrained(dir), undefined);
    assertEquals(readTrained(`${dir}/nowhere`), undefined);
    write("thinker.json", JSON.stringify(trained));
    assertEquals(trainedFile(dir), `${dir}/thinker.json`);
    assertEquals(readTrained(dir), trained);
    Deno.symlinkSync(dir, `${dir}/link`);
    assertEquals(readTrained(`${dir}/link`), trained);
  }));

Deno.test("readTrained: what does not fit is one line, and no model from elsewhere", () =>
  inFolder((dir, write) => {
    const refused = (message: string) => {
      const { hint } = assertThrows(() => readTrained(dir), UserError, message);
      assert(hint);
    };
    Deno.mkdirSync(`${dir}/trainer`);
    write("trainer/state.json", "{}");
    refused("has no thinker.json, which says how to ask it");
    Deno.removeSync(`${dir}/trainer`, { recursive: true });
    write("state.json", "{}");
    refused("a checkpoint of an older version");
    write("thinker.json", "{");
    refused("thinker.json is not valid JSON");
    write("thinker.json", JSON.stringify({ ...trained, budgets: { answer: 0 } }));
    refused("thinker.json: budgets.answer: ");
    write("thinker.json", JSON.stringify({ ...trained, weights: "f32" }));
    refused('thinker.json: unknown key "weights"');
  }));

Deno.test("howToAsk: as trained, but for what the caller says", () => {
  const { prompts } = trained;
  assertEquals(howToAsk(trained), { task: baseline, prompts, budgets: { answer: 7 } });
  assertEquals(howToAsk(undefined), { task: thinker, prompts: {}, budgets: undefined });
  // Another task in the words of the training as far as they go.
  assertEquals(howToAsk(trained, { task: thinkerFast }), {
    task: thinkerFast,
    prompts,
    budgets: { fast: 5 },
  });
  const other = { ...baseline, name: "other", stages: [{ ...baseline.stages[0], name: "say" }] };
  assertEquals(howToAsk(trained, { task: other as never }).budgets, undefined);
  const chosen = { prompts: { answer: "{question}" }, budgets: { answer: 1 } };
  assertEquals(howToAsk(trained, chosen), { task: baseline, ...chosen });
});

Deno.test("howToAsk: a task of one's own must be there, and be the one of the training", () => {
  const own = { ...baseline, name: "own" }, record = { ...trained, task: "own" };
  assertEquals(howToAsk(record, { tasks: [...builtinTasks, own] }).task, own);
  assertEquals(howToAsk(record, { task: thinker }).task, thinker);
  const { hint } = assertThrows(() => howToAsk(record), UserError, 'the task "own", which is not');
  assert(hint?.includes("TypeScript module") && hint.includes("--task (thinker, "));
  const message = "with the stages a, answer; the one known here has answer";
  assertThrows(() => howToAsk({ ...trained, stages: ["a", "answer"] }), UserError, message);
});

Deno.test("howToAsk: a task that the run did not play keeps its own words and budgets", () => {
  const own = { ...baseline, name: "own" }, mine = { ...baseline, name: "mine" };
  const untouched = { prompts: {}, budgets: undefined };
  const run = { prompts: trained.prompts, budgets: { answer: 7 } };
  // Its stage is called as one of the run's is.
  assertEquals(howToAsk(trained, { task: mine }), { task: mine, ...untouched });
  assertEquals(howToAsk(trained, { task: mine, tasks: [mine] }), { task: mine, ...untouched });
  const chosen = { prompts: { answer: "{question}" }, budgets: { answer: 1 } };
  assertEquals(howToAsk(trained, { task: mine, ...chosen }), { task: mine, ...chosen });
  // A run on a task of one's own: that one, and what it is compared with.
  const record = { ...trained, task: "own" };
  assertEquals(howToAsk(record, { task: own }), { task: own, ...run });
  assertEquals(howToAsk(record, { task: mine }), { task: mine, ...untouched });
  assertEquals(howToAsk(record, { task: baseline }), { task: baseline, ...untouched });
  const first = { ...thinkerFast.stages[0], name: "say" };
  const compared: TaskSpec = { ...own, stages: [first], reference: baseline };
  const said = { ...record, stages: ["say"] };
  for (const tasks of [builtinTasks, [...builtinTasks, compared]]) {
    assertEquals(howToAsk(said, { task: baseline, tasks }), { task: baseline, ...run });
  }
  const alone: TaskSpec = { ...compared, reference: undefined };
  const tasks = [...builtinTasks, alone];
  assertEquals(howToAsk(said, { task: baseline, tasks }), { task: baseline, ...untouched });
});

Deno.test("noteOnTask: only where a model is asked in another way than it was trained", () => {
  const note = "the model was trained on the task baseline and is asked as thinker";
  assertEquals(noteOnTask(trained, thinker), note);
  assertEquals(noteOnTask(trained, baseline), undefined);
  assertEquals(noteOnTask(undefined, thinker), undefined);
});
