import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { cp } from "node:fs/promises";
import { markFolder, sealJson, UserError } from "../../src/base/mod.ts";
import { checkWhole } from "../../src/model/mod.ts";
import { RunFolder } from "../../src/train/mod.ts";
import { markLogs } from "../../src/train/log_marks.ts";
import { chooseCheckpoint } from "../../src/train/whole.ts";
import { digests as allDigests, TempDir } from "../e2e/small.ts";
import { type Rand, seeded } from "../native.ts";

/** Every kind of file that a checkpoint has. */
const model = [
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "thinker.json",
  "tokenizer.json",
  "tokenizer_config.json",
];
const trainer = [
  "trainer/critic/config.json",
  "trainer/critic/model.safetensors",
  "trainer/optimizer.safetensors",
];
const digests = "digests.json", state = "trainer/state.json";

/** Writes a checkpoint whose files hold some bytes. */
async function make(folder: RunFolder, step: number, stated = step) {
  return await folder.checkpoint(step, async (dir) => {
    await Deno.mkdir(`${dir}/trainer/critic`, { recursive: true });
    const write = (name: string) => Deno.writeTextFile(`${dir}/${name}`, `${name} of step ${step}`);
    for (const name of model) await write(name);
    const marks = await markFolder(dir);
    await Deno.writeTextFile(`${dir}/${digests}`, sealJson({ files: marks }));
    for (const name of trainer) await write(name);
    const updates = { taken: step, skipped: 0 };
    const counts = { tokens: 10, trailing: 0.5, actor: updates, critic: updates };
    const numbers = { step: stated, ...counts, logs: await markLogs(folder) };
    await Deno.writeTextFile(
      `${dir}/${state}`,
      sealJson({ ...numbers, files: await markFolder(dir) }),
    );
  });
}

/** Runs a test on a run with checkpoints of steps 0, 10 and 20. */
async function withRun(test: (folder: RunFolder) => Promise<void>): Promise<void> {
  await using dir = await TempDir.make();
  using folder = await RunFolder.create(`${dir.path}/run`);
  for (const step of [0, 10, 20]) await make(folder, step);
  await test(folder);
}

async function flip(path: string, rand: Rand): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[rand.int(0, bytes.length - 1)] ^= 1 << rand.int(0, 7);
  await Deno.writeFile(path, bytes);
}

Deno.test("whole: the newest checkpoint, and nothing to say", () =>
  withRun(async (folder) => {
    const { checkpoint, note } = await chooseCheckpoint(folder);
    assertEquals([checkpoint?.step, note], [20, undefined]);
    assertEquals(Object.keys(await checkWhole(folder.checkpointPath(20)) ?? {}), model);
    const { files } = JSON.parse(
      await Deno.readTextFile(`${folder.checkpointPath(20)}/${state}`),
    );
    assertEquals(Object.keys(files), [...model, ...trainer, digests].sort());
  }));

Deno.test("whole: one flipped bit in any file, or one more, fewer or none: an older one is taken", () =>
  seeded((rand) =>
    withRun(async (folder) => {
      const newest = folder.checkpointPath(20), good = `${folder.path}/good`;
      await cp(newest, good, { recursive: true });
      const damages: Record<string, (path: string) => Promise<void>> = {
        flip: (path) => flip(path, rand),
        longer: (path) => Deno.writeTextFile(path, "\n", { append: true }),
        shorter: async (path) => await Deno.truncate(path, (await Deno.stat(path)).size - 1),
        gone: (path) => Deno.remove(path),
        folder: async (path) => {
          await Deno.remove(path);
          await Deno.mkdir(path);
        },
      };
      for (const file of [digests, ...model, ...trainer, state]) {
        for (const [kind, damage] of Object.entries(damages)) {
          await damage(`${newest}/${file}`);
          const before = kind === "folder" ? {} : await allDigests(folder.path);
          const { checkpoint, note } = await chooseCheckpoint(folder);
          const expected = `checkpoint step-20 is damaged (${file}): going on from step-10`;
          assertEquals([checkpoint?.step, note], [10, expected], `${kind} ${file}`);
          if (kind !== "folder") assertEquals(await allDigests(folder.path), before);
          // Whoever asks the policy needs nothing of the trainer's folder but the marks.
          if (file.startsWith("trainer/")) await checkWhole(newest);
          else await assertRejects(() => checkWhole(newest), UserError, file);
          await Deno.remove(newest, { recursive: true });
          await cp(good, newest, { recursive: true });
        }
      }
    })
  ));

Deno.test("whole: what was damaged is replaced when its step is saved again", () =>
  withRun(async (folder) => {
    await Deno.remove(`${folder.checkpointPath(20)}/thinker.json`);
    await Deno.truncate(`${folder.checkpointPath(10)}/config.json`);
    const { checkpoint, note } = await chooseCheckpoint(folder);
    assertEquals(checkpoint?.step, 0);
    assertEquals(
      note,
      "checkpoint step-20 is damaged (thinker.json), step-10 is damaged (config.json): going on " +
        "from step-0",
    );
    await make(folder, 20);
    assertEquals(await chooseCheckpoint(folder), {
      checkpoint: { step: 20, path: folder.checkpointPath(20) },
    });
    const left = [...Deno.readDirSync(`${folder.path}/checkpoints`)].map(({ name }) => name);
    assertEquals(left.sort(), ["step-0", "step-10", "step-20"]);
  }));

Deno.test("whole: a state of another step, weights alone, none at all, and an older version's", () =>
  withRun(async (folder) => {
    await make(folder, 30, 29);
    await cp(folder.checkpointPath(20), folder.checkpointPath(40), { recursive: true });
    await make(folder, 50);
    await Deno.remove(`${folder.checkpointPath(50)}/trainer`, { recursive: true });
    assertEquals(
      (await chooseCheckpoint(folder)).note,
      "checkpoint step-50 holds a model and no training state, step-40 is damaged (its state is that of step 20), " +
        "step-30 is damaged (its state is that of step 29): going on from step-20",
    );
    // A model alone, or a copy, still knows its files, until it is told to forget them.
    const alone = folder.checkpointPath(50);
    assertEquals(Object.keys(await checkWhole(alone) ?? {}), model);
    await Deno.writeTextFile(`${alone}/config.json`, "{}");
    await assertRejects(() => checkWhole(alone), UserError, "config.json is not as it was");
    await Deno.remove(`${alone}/${digests}`);
    assertEquals(await checkWhole(alone), undefined);
    for (const step of [0, 10, 20]) await Deno.remove(`${folder.checkpointPath(step)}/${state}`);
    const before = await allDigests(folder.path);
    const error = await assertRejects(
      () => chooseCheckpoint(folder),
      UserError,
      "no whole checkpoint",
    );
    assertStringIncludes(error.message, "step-0 is damaged (trainer/state.json)");
    assertEquals(await allDigests(folder.path), before);
    const old = `${folder.checkpointPath(50)}`;
    await Deno.mkdir(`${old}/trainer`);
    await Deno.writeTextFile(`${old}/${state}`, '{"step":50,"tokens":10}');
    await assertRejects(() => chooseCheckpoint(folder), UserError, "written by an older version");
    await assertRejects(() => checkWhole(old), UserError, "has no digests.json");
  }));

Deno.test("whole: a run without checkpoints has none to choose", async () => {
  await using dir = await TempDir.make();
  using folder = await RunFolder.create(`${dir.path}/run`);
  assertEquals(await chooseCheckpoint(folder), { checkpoint: null });
});
