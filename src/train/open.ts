/**
 * Opening a run: everything that can be wrong with it shows here, before a folder is made or a step is taken.
 *
 * @module
 */
import { type Device, openDevice, type Stream } from "../../ffi/mod.ts";
import { firstDifference, type Hooks, memoryFor, treeBytes, UserError } from "../base/mod.ts";
import { Bandwidth, Engine } from "../engine/mod.ts";
import { GradePool } from "../grade/mod.ts";
import { type Decoder, type ModelConfig, readTrained, type Trained } from "../model/mod.ts";
import {
  checkDisk,
  checkMemory,
  checkResumed,
  checkRunnable,
  fitConfig,
  keepChoices,
  type LoadedTokenizer,
  openActor,
  openModelConfig,
  openTasks,
  openTokenizer,
  type RunTasks,
  type TrainConfig,
  trainedAs,
} from "../setup/mod.ts";
import type { TaskSpec } from "../task/mod.ts";
import { checkScripts, tinyVocabSize } from "../tiny/mod.ts";
import { type Checkpoint, RunFolder } from "./folder.ts";
import { goOn, originOf, programAt, writeOrigin } from "./origin.ts";
import { openProblems, type ProblemSource } from "./problems.ts";
import { takeUp } from "./resume.ts";

/** How to run. */
export interface TrainOptions extends Hooks {
  /** The run folder; a new run that names none gets the next free one under `runs/`. */
  readonly out?: string;
  /** Go on from the folder's latest checkpoint. */
  readonly resume?: boolean;
  /** Aborting stops the run; what was learned up to the last whole step is saved first. */
  readonly signal?: AbortSignal;
  /** The tasks that `config.task` may name; default: the built-in ones. */
  readonly tasks?: readonly TaskSpec[];
}

/** A run that is ready to go on; disposing frees device and workers. */
export interface OpenRun extends AsyncDisposable {
  /** What runs: nothing is left open in it. */
  readonly config: TrainConfig;
  readonly folder: RunFolder;
  /** The checkpoint that the run is taken up from; null for a new one. */
  readonly latest: Checkpoint | null;
  /** Of a run that is taken up and has a KL term: the folder of the policy before PPO. Otherwise null. */
  readonly start: string | null;
  readonly stream: Stream;
  readonly tokenizer: LoadedTokenizer;
  readonly tasks: RunTasks;
  /** What its checkpoints say of how the policy is asked. */
  readonly trained: Trained;
  readonly problems: ProblemSource;
  /** Fresh where the model is made here and there is no checkpoint. */
  readonly actor: Decoder;
  readonly engine: Engine;
  readonly pool: GradePool;
  /** How fast the device reads. */
  readonly bandwidth: Bandwidth;
}

/**
 * Opens a new run, or the one in the folder.
 *
 * @throws {UserError} for what a user can fix: files, folders, budgets, compiler.
 */
export async function openRun(asked: TrainConfig, options: TrainOptions): Promise<OpenRun> {
  await using scope = new AsyncDisposableStack();
  const wanted = await settle(asked, options);
  // A run that is taken up belongs to this process before anything is read that another could change.
  const taken = options.resume
    ? scope.use(await RunFolder.create(resumed(options), { resume: true }))
    : null;
  const before = taken && await takeUp(taken, wanted);
  const latest = before?.checkpoint ?? null, start = before?.start ?? null;
  // A checkpoint needs nothing of what its run started from.
  const loaded = openTokenizer({ model: latest?.path ?? wanted.model }), { tokenizer } = loaded;
  const notes: string[] = [...before?.notes ?? []];
  const device = scope.use(
    await openDevice(wanted.device, {
      onBuild: (text) => options.onNote?.(text),
      onNote: (text) => notes.push(text),
    }),
  );
  const config = choose(wanted, device);
  const stream = scope.use(device.stream());
  const source = { ...config, model: latest?.path ?? config.model };
  const model = openModelConfig(source, tokenizer);
  const tasks = openTasks(config, tokenizer, model.eos, options.tasks);
  const backend = device.info.backend === "cpu" ? "cpu" : "cuda";
  checkMemory(config, model, { ...tasks, backend, deviceBytes: device.info.memoryBytes });
  await checkDisk(config, model, {
    out: options.out ?? "runs",
    present: taken ? await treeBytes(taken.path) : undefined,
  });
  // Before the models: what it takes is free again by then, and no part of the plan.
  const bandwidth = new Bandwidth(stream);
  await bandwidth.measure();
  options.signal?.throwIfAborted(); // large weights and files take their time
  const actor = scope.use(openActor(stream, source, tokenizer));
  options.signal?.throwIfAborted();
  const trained = trainedAs(tasks, actor);
  if (latest) checkAsked(latest.path, trained);
  const stem = before?.origin?.config.data;
  const problems = await openProblems(config, tasks.all, stem);
  if (latest === null && config.model === null) tasks.compared.forEach(checkScripts);
  const { maxTokens, stop } = tasks;
  const engine = scope.use(
    memoryFor(
      "KV cache and buffers of the engine",
      "lower engine.cacheTokens or engine.maxSequences",
      () => new Engine(stream, actor, { ...config.engine, maxTokens, stop }),
    ),
  );
  checkPacks(config, tasks);
  // Nearly every grade is there at once; a worker starts when one needs symbolic mathematics, which sums
  // never do. On other problems it should fail before the run rather than in the middle of it.
  const pool = scope.use(new GradePool());
  if (config.data !== null) await pool.ready();
  const program = await programAt(latest?.step ?? 0, device);
  const { origin, note } = before?.origin
    ? goOn(before.origin, program)
    : { origin: await originOf(config, program) };
  if (note !== undefined) notes.push(note);
  options.signal?.throwIfAborted();
  // Only now, so that a run that cannot start leaves no folder in the way of the next one.
  const folder = taken ?? scope.use(await begin(config, options));
  if (before) await folder.rewind(before.rows);
  await folder.writeJson(folder.config, config);
  await writeOrigin(folder, origin);
  for (const note of [...notes, ...warnings(config, model, problems)]) options.onNote?.(note);
  const parts = { config, folder, latest, start, stream, tokenizer: loaded, tasks, trained };
  const working = { problems, actor, engine, pool, bandwidth }, kept = scope.move();
  return { ...parts, ...working, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The folder of the run that goes on. */
function resumed({ out }: TrainOptions): string {
  if (out !== undefined) return out;
  throw new UserError("--resume needs the run folder", { hint: "name it with --out" });
}

/** The folder of a new run. */
async function begin(config: TrainConfig, { out }: TrainOptions): Promise<RunFolder> {
  return await (out === undefined ? RunFolder.createNext(config) : RunFolder.create(out));
}

/** The config as it runs, but for what only the device knows: on resume it must be the run's own. */
async function settle(asked: TrainConfig, options: TrainOptions): Promise<TrainConfig> {
  const before = options.resume ? await RunFolder.savedConfig(resumed(options)) : undefined;
  const wanted = fitConfig(before ? keepChoices(asked, before) : asked, options.tasks);
  if (before) checkResumed(before, wanted);
  checkRunnable(wanted);
  return wanted;
}

/** The device and precision that were taken: another machine must not choose others on resume. */
function choose(wanted: TrainConfig, { info, precision }: Device): TrainConfig {
  const backend = info.backend === "cpu" ? "cpu" : "cuda";
  return {
    ...wanted,
    device: wanted.device === "auto" ? backend : wanted.device,
    weightDtype: wanted.weightDtype ?? precision,
  };
}

/** A prompts file that was changed since must not change the rest of a run in silence. */
function checkAsked(checkpoint: string, trained: Trained): void {
  const difference = firstDifference(readTrained(checkpoint), trained);
  if (difference === undefined) return;
  throw new UserError(`the run was started with another ${difference}`, {
    hint: "undo the change in the prompt file or the task, or begin another run with --out",
  });
}

function checkPacks({ ppo: { packTokens } }: TrainConfig, { maxTokens }: RunTasks): void {
  if (maxTokens <= packTokens) return;
  throw new UserError(
    `episodes of up to ${maxTokens} tokens do not fit into packs of ${packTokens}`,
    { hint: `set ppo.packTokens to at least ${maxTokens}, or lower promptLimit or the budgets` },
  );
}

/** What a user may not expect of the run. */
function warnings(config: TrainConfig, model: ModelConfig, { notes }: ProblemSource): string[] {
  return [
    ...(config.prompts === "tiny" && model.vocab !== tinyVocabSize
      ? [
        "prompts and learning rates are those of the tiny preset: for a pretrained model take " +
        "--preset q1.5b, or a --config of your own",
      ]
      : []),
    ...notes,
  ];
}
