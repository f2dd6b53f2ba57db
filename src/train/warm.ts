/**
 * The warm start of a run, which an interruption leaves where it is and a resumed run takes up again.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { join } from "node:path";
import {
  changedFile,
  check,
  fileMarkSchema,
  JsonlWriter,
  markFolder,
  readMetrics,
  readSealed,
  sealJson,
  UserError,
} from "../base/mod.ts";
import { Warmstart } from "../ppo/mod.ts";
import { scriptedBatch } from "../tiny/mod.ts";
import type { OpenRun, TrainOptions } from "./open.ts";
import { sightingLine, Watch } from "./watch.ts";
import { loadTensors, type Named, saveTensors } from "./tensors.ts";

const stateSchema = z.strictObject({
  step: z.int().positive(),
  tokens: z.int().nonnegative(),
  /** Of the optimizer: updates taken, and those skipped in a row. */
  taken: z.int().nonnegative(),
  skipped: z.int().nonnegative(),
  files: z.record(z.string(), fileMarkSchema),
});

/** Trains a model that was made here on scripted dialogues. */
export async function warmStart(run: OpenRun, options: TrainOptions): Promise<void> {
  const { config, stream, actor: decoder, folder, tasks, tokenizer } = run;
  const { seed, warmstart: { skill, batch: count, steps } } = config, { signal } = options;
  const codec = tokenizer.tokenizer, watch = new Watch("warm start", config.ppo.spikeFactor);
  // What was said before it was left is not said again.
  for (const line of await readMetrics(folder.warmstart)) watch.see(line);
  using warm = new Warmstart({ stream, decoder }, config.warmstart, config.ppo.packTokens);
  const left = await folder.leftWarmstart();
  if (left) await load(left.path, run, warm);
  options.onPhase?.("warm start", steps, warm.step);
  using log = new JsonlWriter(folder.warmstart);
  try {
    await warm.run({
      signal,
      nextBatch: (step) => scriptedBatch(tasks.compared, { seed, step, count, codec, skill }),
      onStep: (step) => {
        log.write({ ...step });
        options.onStep?.(step.step, { loss: step.loss });
        for (const each of watch.see({ ...step })) options.onNote?.(sightingLine(each));
      },
    });
  } catch (error) {
    if (error === signal?.reason && warm.step > (left?.step ?? 0)) {
      await folder.leaveWarmstart(warm.step, (dir) => save(dir, run, warm));
    }
    throw error;
  }
}

/** All that the next update depends on. */
function tensorsOf({ actor }: OpenRun, { optimizer: { m, v } }: Warmstart): Named {
  return [["weights", actor.params.master.flat], ["m", m], ["v", v]];
}

async function save(dir: string, run: OpenRun, warm: Warmstart): Promise<void> {
  await saveTensors(join(dir, "warmstart.safetensors"), run.stream, tensorsOf(run, warm));
  const { step, tokens, optimizer: { t: taken, skipped } } = warm;
  const files = await markFolder(dir);
  const state: z.output<typeof stateSchema> = { step, tokens, taken, skipped, files };
  await Deno.writeTextFile(join(dir, "state.json"), sealJson(state));
}

async function load(dir: string, run: OpenRun, warm: Warmstart): Promise<void> {
  const path = join(dir, "state.json"), hint = `remove ${dir}: the warm start begins anew then`;
  const state = check(stateSchema, readSealed(path, hint), path, hint);
  const damaged = await changedFile(dir, state.files);
  if (damaged !== undefined) throw new UserError(`${dir}/${damaged} is damaged`, { hint });
  loadTensors(join(dir, "warmstart.safetensors"), run.stream, tensorsOf(run, warm));
  run.actor.params.refresh(run.stream);
  await run.stream.sync();
  warm.step = state.step;
  warm.tokens = state.tokens;
  warm.optimizer.t = state.taken;
  warm.optimizer.skipped = state.skipped;
}
