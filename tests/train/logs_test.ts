import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UserError } from "../../src/base/mod.ts";
import { presets } from "../../src/setup/mod.ts";
import { checkMarks, markLogs } from "../../src/train/log_marks.ts";
import { checkLogs } from "../../src/train/logs.ts";
import { RunFolder } from "../../src/train/mod.ts";
import { TempDir } from "../e2e/small.ts";

const { tiny } = presets;
/** Three steps of warm start, two dialogues a step. */
const config = {
  ...tiny,
  warmstart: { ...tiny.warmstart, steps: 3 },
  keepEpisodes: 2,
  ppo: { ...tiny.ppo, questions: 4, samples: 2 },
};

const lines = (steps: readonly unknown[]) =>
  steps.map((step) => JSON.stringify({ step, value: 0.5 }) + "\n").join("");

/** Runs a test on a folder whose logs are those of a run at step 7, of which step 8 is begun. */
async function withLogs(test: (folder: RunFolder) => Promise<void>): Promise<void> {
  await using dir = await TempDir.make();
  const folder = RunFolder.at(dir.path);
  await Deno.writeTextFile(folder.warmstart, lines([1, 2, 3]));
  await Deno.writeTextFile(folder.metrics, lines([0, 1, 2, 3, 4, 5, 6, 7]));
  const episodes = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((step) => [step, step]);
  await Deno.writeTextFile(folder.episodes, lines(episodes.slice(0, -1)));
  await test(folder);
}

const contents = ({ warmstart, metrics, episodes }: RunFolder) =>
  [warmstart, metrics, episodes].map((path) => Deno.readTextFileSync(path));

Deno.test("logs: they go back to the checkpoint, whatever a power cut left behind its lines", () =>
  withLogs(async (folder) => {
    for (const [path, text] of [[folder.metrics, "\0\0\0\n\0"], [folder.episodes, "{\n"]]) {
      await Deno.writeTextFile(path, text, { append: true });
    }
    const rows = await checkLogs(folder, config, 5);
    assertEquals(rows, { warmstart: 3, metrics: 6, episodes: 10, pending: false });
    await folder.rewind(rows);
    const five = [1, 2, 3, 4, 5];
    const expected = [[1, 2, 3], [0, ...five], five.flatMap((step) => [step, step])];
    assertEquals(contents(folder), expected.map(lines));
    // The tail right behind the last line that is kept.
    await Deno.writeTextFile(folder.metrics, "\0\0\0\n", { append: true });
    await folder.rewind(await checkLogs(folder, config, 5));
    assertEquals(contents(folder), expected.map(lines));
  }));

Deno.test("logs: a step that waits for its evaluation has no line yet, and what it did is kept", () =>
  withLogs(async (folder) => {
    const hold = (step: number) =>
      folder.hold({ step, metrics: { step, value: NaN }, episodes: [{ step }] });
    const rows = (step: number) => checkLogs(folder, config, step);
    await hold(5);
    const whole = { warmstart: 3, metrics: 6, episodes: 10, pending: false };
    assertEquals(await rows(5), whole, "its line is there");
    assertEquals((await rows(4)).pending, false, "an older checkpoint has nothing to do with it");
    await Deno.writeTextFile(folder.metrics, lines([0, 1, 2, 3, 4]) + "\0\0\n");
    const waiting = { warmstart: 3, metrics: 5, episodes: 8, pending: true };
    assertEquals(await rows(5), waiting);
    await folder.rewind(waiting);
    assertEquals(contents(folder).slice(1), [
      lines([0, 1, 2, 3, 4]),
      lines([1, 1, 2, 2, 3, 3, 4, 4]),
    ]);
    assertEquals(folder.readPending()?.metrics, { step: 5, value: NaN });
    await folder.rewind(await rows(4));
    assertEquals(folder.readPending(), null);
    // Step 0 has no dialogues.
    await hold(0);
    await Deno.writeTextFile(folder.metrics, "\0\0\n");
    assertEquals(await rows(0), { warmstart: 3, metrics: 0, episodes: 0, pending: true });
    const bytes = await Deno.readTextFile(folder.pending);
    await Deno.writeTextFile(folder.pending, bytes.replace('"step": 0', '"step": 1'));
    await assertRejects(() => rows(0), UserError, "pending.json is not as it was written");
    await Deno.remove(folder.pending);
    await assertRejects(() => rows(0), UserError, "metrics.jsonl");
  }));

Deno.test("logs: a model from elsewhere has no warm start, and dialogues may be left out", () =>
  withLogs(async (folder) => {
    await Deno.remove(folder.warmstart);
    await Deno.remove(folder.episodes);
    const other = { ...config, model: "models/some", keepEpisodes: 0 };
    assertEquals(await checkLogs(folder, other, 7), {
      warmstart: 0,
      metrics: 8,
      episodes: 0,
      pending: false,
    });
  }));

Deno.test("logs: a line that is missing, doubled, misplaced or no JSON is refused by its place", async () => {
  const cases: [keyof RunFolder & string, string, RegExp][] = [
    ["metrics", lines([0, 1, 3, 4, 5]), /:3 is of step 3, not 2: .*missing, doubled/],
    ["metrics", lines([0, 1, 2, 2, 3, 4, 5]), /:4 is of step 2, not 3/],
    ["metrics", lines([1, 2, 3, 4, 5]), /:1 is of step 1, not 0/],
    ["metrics", lines([0, 1, 2, 4, 3, 5]), /:4 is of step 4, not 3/],
    ["metrics", lines([0, 1, 2, 3]), /ends after 4 lines: those of step 4 to 5 are missing/],
    ["metrics", lines([0, 1, 2, 3, 4]) + '{"step":5', /ends after 5 lines: those of step 5 are/],
    ["metrics", "", /ends after 0 lines/],
    ["metrics", lines([0, 1]) + "{\n" + lines([3, 4, 5]), /:3 is not valid JSON/],
    ["metrics", lines([0]) + "null\n" + lines([2, 3, 4, 5]), /:2 is of step none, not 1/],
    ["metrics", lines([0, "1", 2, 3, 4, 5]), /:2 is of step "1", not 1/],
    ["episodes", lines([1, 1, 2, 3, 3, 4, 4, 5, 5]), /:4 is of step 3, not 2/],
    ["warmstart", lines([1, 2]), /ends after 2 lines: those of step 3 are missing/],
  ];
  await withLogs(async (folder) => {
    const whole = contents(folder);
    for (const [log, text, expected] of cases) {
      const path = folder[log] as string, good = await Deno.readTextFile(path);
      await Deno.writeTextFile(path, text);
      const error = await assertRejects(() => checkLogs(folder, config, 5), UserError, path);
      assertEquals(expected.test(error.message), true, error.message);
      assertStringIncludes(error.hint ?? "", "put the lines back");
      assertEquals(await Deno.readTextFile(path), text, "nothing is changed");
      await Deno.writeTextFile(path, good);
    }
    assertEquals(contents(folder), whole);
    await Deno.remove(folder.metrics);
    await assertRejects(() => checkLogs(folder, config, 5), UserError, "ends after 0 lines");
  });
});

Deno.test("logs: without a checkpoint only a run without steps starts over", () =>
  withLogs(async (folder) => {
    await assertRejects(() => checkLogs(folder, config, null), UserError, "has no checkpoint, but");
    await Deno.remove(folder.metrics);
    await folder.rewind(await checkLogs(folder, config, null));
    assertEquals(await Deno.readTextFile(folder.warmstart), "");
  }));

Deno.test("logs: a number or a word that has changed is refused by its file, the clock may differ", () =>
  withLogs(async (folder) => {
    const checkpoint = { step: 7, path: "checkpoints/step-7" };
    await Deno.writeTextFile(folder.metrics, '{"step":8,"seconds":1}\n', { append: true });
    const marks = await markLogs(folder);
    const { metrics } = folder, text = await Deno.readTextFile(metrics);
    await Deno.writeTextFile(metrics, text.replace('"seconds":1', '"seconds":2') + '{"step":9}\n');
    await checkMarks(folder, checkpoint, marks);
    for (const path of [folder.warmstart, metrics, folder.episodes]) {
      const whole = await Deno.readTextFile(path);
      await Deno.writeTextFile(path, whole.replace('"value":0.5', '"value":0.4'));
      const error = await assertRejects(() => checkMarks(folder, checkpoint, marks), UserError);
      assertEquals(error.message, `${path} is not as it was when checkpoints/step-7 was saved`);
      await Deno.writeTextFile(path, whole);
    }
  }));
