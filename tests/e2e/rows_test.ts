import { assert, assertEquals, assertRejects } from "@std/assert";
import { published } from "../published.ts";
import { UserError } from "../../src/base/errors.ts";
import type { EpisodeSample } from "../../src/train/mod.ts";
import { readJsonl, readMetrics } from "../../src/base/mod.ts";
import { train } from "../../src/train/train.ts";
import { type Changes, filesOf, smallConfig, TempDir } from "./small.ts";

const problems = [
  ["A tray holds 6 rows of 4 muffins. Nine muffins are sold. How many are left?", "15"],
  ["Mira walks 3 km a day on weekdays and 5 km on each of two weekend days. How far a week?", "25"],
  ["A rope of 84 cm is cut into pieces of 7 cm. How many pieces are there?", "12"],
  ["Tom is 4 years older than Ana, who is twice as old as Ben. Ben is 8. How old is Tom?", "20"],
  ["A shop sells pens at $1.50. What do 6 pens cost, in dollars?", "9"],
];

/** A run over the rows of a file whose questions are some hundred bytes, and so tokens, long. */
function overRows(data: string, changes: Changes = {}) {
  const shape = { ...smallConfig().shape, maxPositions: 1024 };
  const budgets = { fast: 6, verify: 8, slow: 8, summary: 6, answer: 8 };
  const ppo = { questions: 4, samples: 2, packTokens: 1024, ...changes.ppo };
  return smallConfig({ data, shape, budgets, promptLimit: 500, steps: 1, ...changes, ppo });
}

async function writeRows(path: string, rows: readonly (readonly string[])[]): Promise<string> {
  const lines = rows.map(([question, answer], i) =>
    JSON.stringify({ id: `${i}`, question, answer })
  );
  await Deno.writeTextFile(path, lines.join("\n") + "\n");
  return path;
}

Deno.test("rows: too few to hold any out are trained on and not measured", async () => {
  await using dir = await TempDir.make();
  const data = await writeRows(`${dir.path}/few.jsonl`, problems);
  const run = `${dir.path}/run`;
  await train(overRows(data, { steps: 2, keepEpisodes: 8 }), { out: run });
  const lines = await readMetrics(`${run}/metrics.jsonl`);
  assertEquals(lines.map(({ step }) => step), [0, 1, 2]);
  for (const line of lines) assertEquals(Object.keys(line).filter((k) => /eval/.test(k)), []);
  for (const line of lines.slice(1)) assertEquals(line["rollout/logprob_gap_max"], 0);
  // Two steps of four questions: every row once before any comes again.
  const samples = await readJsonl<EpisodeSample>(`${run}/episodes.jsonl`);
  assertEquals(new Set(samples.map(({ question }) => question)).size, 5);
  const report = await Deno.readTextFile(`${run}/report.md`);
  assert(report.includes("few") && !report.includes("measured on 0"), report);
});

Deno.test("rows: those over the prompt limit are left out, counted and told", async () => {
  await using dir = await TempDir.make();
  const long = "Once more: ".repeat(60);
  const rows = [...problems, [`${long}what is 1 + 1?`, "2"], [`${long}what is 2 + 2?`, "4"]];
  const data = await writeRows(`${dir.path}/rows.jsonl`, rows);
  const run = `${dir.path}/run`;
  const notes: string[] = [];
  const config = overRows(data, { keepEpisodes: 100 });
  await train(config, { out: run, onNote: (text) => notes.push(text) });
  assertEquals(
    notes.filter((text) => text.startsWith("2 rows left out: their prompt")).length,
    1,
    `${notes}`,
  );
  const samples = await readJsonl<EpisodeSample>(`${run}/episodes.jsonl`);
  assert(samples.every(({ question }) => !question.startsWith(long)));
  assert((await Deno.readTextFile(`${run}/report.md`)).includes("2 rows were left out"));

  const none = overRows(data, { promptLimit: 20 });
  const failed = `${dir.path}/failed`;
  const message = "no row has a prompt of at most 20 tokens";
  await assertRejects(() => train(none, { out: failed }), UserError, message);
  await assertRejects(() => Deno.stat(failed), Deno.errors.NotFound);
});

Deno.test("train: settings that cannot work are refused before there is a folder", async () => {
  await using dir = await TempDir.make();
  const out = `${dir.path}/run`;
  const cases: [Changes, string][] = [
    [{ ppo: { packTokens: 100 } }, "do not fit into packs of 100"],
    [{ promptLimit: 600 }, "exceed the model's 512 positions"],
    [{ data: `${dir.path}/missing.jsonl` }, "cannot be read"],
    [{ prompts: `${dir.path}/missing.json` }, "cannot read"],
    [{ model: `${dir.path}/missing` }, "cannot read"],
  ];
  for (const [changes, message] of cases) {
    const error = await assertRejects(
      () => train(smallConfig(changes), { out }),
      UserError,
      message,
    );
    assert(!error.message.includes("\n") && error.hint, error.message);
    assertEquals(await filesOf(dir.path), []);
  }
});

for (const name of ["gsm8k_train.jsonl", "orz_57k_sample.json"]) {
  const { path, ignore } = published(`train/${name}`);
  Deno.test({
    name: `rows: one step on ${name}`,
    ignore,
    fn: async () => {
      await using dir = await TempDir.make();
      const run = `${dir.path}/run`;
      const notes: string[] = [];
      await train(overRows(path, { evalProblems: 10 }), {
        out: run,
        onNote: (text) => notes.push(text),
      });
      const [before, after] = await readMetrics(`${run}/metrics.jsonl`);
      assert(Number.isFinite(before["eval/final"]) && Number.isFinite(after["eval/final"]));
      assertEquals(after["rollout/logprob_gap_max"], 0);
      assert(notes.some((text) => /^\d+ rows left out/.test(text)), "some prompts are too long");
    },
  });
}
