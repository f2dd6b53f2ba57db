import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { UserError } from "../../src/base/errors.ts";
import type { TrainConfig } from "../../src/setup/config.ts";
import { presets } from "../../src/setup/presets.ts";
import { openProblems } from "../../src/train/problems.ts";
import { baseline, type Task } from "../../src/task/mod.ts";
import { tinyPrompts } from "../../src/tiny/mod.ts";
import { taskOf, thinker } from "../task/toy.ts";

const wordy = { ...tinyPrompts, answer: "{question} Answer this at any length you like." };
const tasks: Task[] = [
  thinker(),
  taskOf(baseline, { prompts: wordy }),
];

function config(changes: Partial<TrainConfig> = {}): TrainConfig {
  return { ...presets.tiny, evalProblems: 5, ...changes };
}

/** Writes questions to a file for the time of the body. */
async function withRows(
  questions: readonly string[],
  body: (data: string) => Promise<void>,
): Promise<void> {
  const data = await Deno.makeTempFile({ suffix: ".jsonl" });
  try {
    const rows = questions.map((question, i) =>
      JSON.stringify({ id: `r${i}`, question, answer: i })
    );
    await Deno.writeTextFile(data, rows.join("\n"));
    await body(data);
  } finally {
    await Deno.remove(data);
  }
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `question ${i}`);

Deno.test("problems: generated sums depend on seed and step alone", async () => {
  const open = (seed: number) => openProblems(config({ seed }), tasks);
  const [one, again, other] = [await open(1), await open(1), await open(2)];
  const later = again.batch(7, 20);
  assertEquals(one.batch(3, 20), again.batch(3, 20));
  assertEquals(one.batch(7, 20), later);
  assertNotEquals(one.batch(3, 20), later);
  assertNotEquals(one.batch(3, 20), other.batch(3, 20));
  assertEquals(one.held, other.held, "runs of any seed are measured on the same problems");
  const held = new Set(one.held.map(({ question }) => question));
  assertEquals([held.size, one.name, one.skipped], [5, "arithmetic", 0]);
  for (let step = 1; step < 50; step++) {
    assert(one.batch(step, 20).every(({ question }) => !held.has(question)));
  }
});

Deno.test("problems: each epoch has every row once, in its own order, and no row that is measured", () =>
  withRows(numbered(43), async (data) => {
    const source = await openProblems(config({ data }), tasks);
    assertEquals(source.held.length, 4); // a tenth at most
    const held = new Set(source.held.map(({ id }) => id));
    const stream = Array.from({ length: 39 }, (_, i) => source.batch(i + 1, 3)).flat();
    const epochs = [0, 1, 2].map((e) => stream.slice(39 * e, 39 * (e + 1)).map(({ id }) => id));
    for (const epoch of epochs) {
      assertEquals(new Set(epoch).size, 39);
      assert(epoch.every((id) => !held.has(id)));
    }
    assertNotEquals(epochs[0], epochs[1]);
    assertNotEquals(epochs[1], epochs[2]);
    // Any step can be asked for at any time: that is what a resumed run does.
    assertEquals(source.batch(5, 3), stream.slice(12, 15));
    assertEquals(source.batch(13, 3), stream.slice(36, 39));
    assertEquals(source.batch(14, 3), stream.slice(39, 42));
    const wide = source.batch(1, 100).map(({ id }) => id);
    assertEquals(wide, stream.slice(0, 100).map(({ id }) => id));
    const other = await openProblems(config({ data, seed: 2 }), tasks);
    assertEquals(other.held, source.held);
    assertNotEquals(other.batch(1, 39), source.batch(1, 39));
  }));

Deno.test("problems: parquet trains as it is, under its file's name", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const data = `${dir}/my set.parquet`;
    const column = (name: string, of: (i: number) => string) => (
      { name, data: Array.from({ length: 20 }, (_, i) => of(i)), type: "STRING" as const }
    );
    const columnData = [column("problem", (i) => `${i}+1=`), column("answer", (i) => `${i + 1}`)];
    await Deno.writeFile(data, new Uint8Array(parquetWriteBuffer({ columnData })));
    const source = await openProblems(config({ data }), tasks);
    assertEquals([source.name, source.held.length], ["my set", 2]);
    for (const { id, question, answer } of source.batch(1, 18)) {
      assertEquals([`my set/${parseInt(question)}`, `${parseInt(question) + 1}`], [id, answer]);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("problems: a question that stands in a file twice is not trained on and measured", () =>
  withRows([...numbered(30), ...numbered(30)], async (data) => {
    const source = await openProblems(config({ data }), tasks);
    const measured = new Set(source.held.map(({ question }) => question));
    const trained = new Set(source.batch(1, 60).map(({ question }) => question));
    assert(measured.size >= 3);
    assertEquals([...measured].filter((question) => trained.has(question)), []);
    assertEquals(measured.size + trained.size, 30);
  }));

Deno.test("problems: a question's rows are on one side, whatever their white space and capitals", () => {
  const spaced = numbered(30).map((question) => ` ${question.replace(" ", "\n  ")}\t`);
  const loud = numbered(30).map((question) => question.toUpperCase());
  return withRows([...numbered(30), ...spaced, ...loud], async (data) => {
    const { held, split, batch } = await openProblems(config({ data }), tasks);
    const bare = ({ question }: { question: string }) => question.toLowerCase().replace(/\s/g, "");
    const measured = new Set(held.map(bare));
    assertEquals([held.length, measured.size], [3, 3], "each is measured once");
    assertEquals(batch(1, 81).filter((row) => measured.has(bare(row))), []);
    assertEquals(new Set(batch(1, 81).map(({ question }) => question)).size, 81);
    assertEquals(
      split,
      "Held out: 3 of 30 problems, drawn by a fixed shuffle of the rows that no seed changes; " +
        "6 more rows that ask the same are not trained on.",
    );
  });
});

Deno.test("problems: how many are held out is the config's to say, and said", () =>
  withRows(numbered(40), async (data) => {
    const open = (changes: Partial<TrainConfig>) =>
      openProblems(config({ data, ...changes }), tasks);
    const shares = [[0.1, 4], [0.125, 5], [0.5, 5], [0, 0]] as const;
    for (const [evalShare, count] of shares) {
      const { held, split } = await open({ evalShare });
      assertEquals(held.length, count);
      const said = count === 0
        ? "No problem is held out of 40"
        : `Held out: ${count} of 40 problems`;
      assert(split.startsWith(said), split);
    }
    const sums = await openProblems(config({ evalProblems: 7 }), tasks);
    assert(sums.split.startsWith("Held out: 7 sums, drawn by a fixed seed"), sums.split);
  }));

Deno.test("problems: a row is used if it fits the limit in every task, whatever task trains", () =>
  withRows([...numbered(40), "x1".repeat(80), "y2".repeat(80)], async (data) => {
    const longest = Math.max(...tasks.map((task) => task.promptTokens("question 39")));
    const promptLimit = longest;
    const all = await openProblems(config({ data, promptLimit }), tasks);
    assertEquals(all.skipped, 2);
    assertEquals(
      (await openProblems(config({ data, promptLimit }), tasks.toReversed())).held,
      all.held,
    );
    const message = `no row has a prompt of at most ${longest - 2} tokens`;
    const tight = config({ data, promptLimit: longest - 2 });
    const error = await assertRejects(() => openProblems(tight, tasks), UserError, message);
    assertEquals(error.hint, "raise promptLimit");
  }));

Deno.test("problems: rows of no use are left out and told; columns and instructions as the config says", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const data = `${dir}/set.jsonl`;
    const rows = Array.from({ length: 20 }, (_, i) => ({
      q: `${i}+1=? Please reason step by step, and put your final answer within \\boxed{}.`,
      meta: { gold: i % 5 === 4 ? "proof" : i + 1 },
    }));
    await Deno.writeTextFile(data, rows.map((row) => JSON.stringify(row)).join("\n"));
    const columns = { question: "q", answer: "meta.gold", id: null };
    const plain = await openProblems(config({ data, columns }), tasks);
    assertEquals(plain.skipped, 4);
    assertEquals(plain.notes.map((note) => note.replace(/, "[^"]*"/g, "")), [
      'set.jsonl: 4 rows left out: 4 × the answer is "proof" (first: line 5)',
      "set.jsonl: 16 × holds a box (first: line 1); " +
      "16 × asks to think step by step (first: line 1); " +
      "--strip-instructions cuts known instructions out",
    ]);
    const stripped = config({ data, columns, stripInstructions: true });
    const { batch } = await openProblems(stripped, tasks);
    for (const { question, answer } of batch(1, 15)) {
      assertEquals(question, `${Number(answer) - 1}+1=?`);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
