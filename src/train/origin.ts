/**
 * What a run was begun with: its settings, marks of the files that they name, and the programs that took its
 * steps. A run that goes on with other files is another run, whatever its folder says.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Device } from "../../ffi/mod.ts";
import {
  check,
  fileDigest,
  type FileMark,
  fileMark,
  fileMarkSchema,
  readSealed,
  sealJson,
  shortDigest,
  UserError,
  version,
  writeAtomic,
} from "../base/mod.ts";
import { checkWhole, modelFiles } from "../model/mod.ts";
import { changedSetting, parseTrainConfig, promptsFile, type TrainConfig } from "../setup/mod.ts";
import type { RunFolder } from "./folder.ts";

/** What computed a run's steps from one on: where it changes, the bits may change too. */
const programSchema = z.strictObject({
  /** Of the checkpoint that it went on from; 0 for the first. */
  step: z.int().nonnegative(),
  version: z.string(),
  deno: z.string(),
  device: z.string(),
  isa: z.string(),
  /** SHA-256 of the kernels' library. */
  kernels: z.string(),
});

const originSchema = z.strictObject({
  /** As the run was begun; config.json has what may have changed since. */
  config: z.unknown(),
  data: z.nullable(fileMarkSchema),
  prompts: z.nullable(fileMarkSchema),
  /** By file of the folder. */
  model: z.record(z.string(), fileMarkSchema).nullable(),
  programs: z.array(programSchema).min(1),
});

/** What a run takes its steps with. */
export type Program = z.output<typeof programSchema>;

/** Content of origin.json. */
export interface Origin extends z.output<typeof originSchema> {
  readonly config: TrainConfig;
}

const moved = (option: string) => `if it lies elsewhere now, name its place with ${option}`;

/**
 * Reads what the run in a folder was begun with; undefined where it has not begun.
 *
 * @param saved Content of the folder's config.json.
 * @throws {UserError} when origin.json is damaged or missing, or config.json has been changed.
 */
export async function readOrigin(
  folder: RunFolder,
  saved: TrainConfig,
): Promise<Origin | undefined> {
  const path = folder.origin, latest = await folder.latestCheckpoint();
  if (!existsSync(path) && latest === null) return undefined;
  const hint = "put a copy of it in its place, or begin another run" +
    (latest ? ` from its weights with --model ${latest.path}` : " with --out");
  const found = check(originSchema, readSealed(path, hint), path, hint);
  const config = parseTrainConfig(found.config, `${path}: config`);
  const difference = changedSetting(config, saved);
  if (difference !== undefined) {
    throw new UserError(`${folder.config}: the run was begun with another ${difference}`, {
      hint: "undo the change in that file",
    });
  }
  return { ...found, config };
}

/** The origin of a run that begins now: all its files are read once. */
export async function originOf(config: TrainConfig, program: Program): Promise<Origin> {
  const { data, model } = config, prompts = promptsFile(config);
  return {
    config,
    data: data === null ? null : await fileMark(data, moved("--data")),
    prompts: prompts === null ? null : await fileMark(prompts, moved("--set prompts=FILE")),
    model: model === null ? null : await markModel(model),
    programs: [program],
  };
}

/** The marks of what is loaded of a model folder; a checkpoint's, once they are found true. */
async function markModel(dir: string): Promise<Record<string, FileMark>> {
  const known = await checkWhole(dir), marks: Record<string, FileMark> = {};
  for (const name of modelFiles(dir)) {
    marks[name] = known?.[name] ?? await fileMark(join(dir, name), moved("--model"));
  }
  return marks;
}

/**
 * Checks that problems and prompts are those that the run was begun with, wherever they lie now.
 *
 * @throws {UserError} naming the file that is another.
 */
export async function checkTexts(origin: Origin, config: TrainConfig): Promise<void> {
  const { data } = config, prompts = promptsFile(config);
  const compare = async (path: string | null, mark: FileMark | null, option: string) => {
    if (path === null) return;
    const now = await fileMark(path, moved(option));
    if (now.sha256 !== mark?.sha256) throw another(path, mark, now, option);
  };
  await compare(data, origin.data, "--data");
  await compare(prompts, origin.prompts, "--set prompts=FILE");
}

/**
 * Checks that a model folder holds what the run started from.
 *
 * @throws {UserError} naming the file that is another.
 */
export async function checkStart(origin: Origin, dir: string): Promise<void> {
  const now = await markModel(dir), then = origin.model ?? {};
  for (const name of new Set([...Object.keys(then), ...Object.keys(now)])) {
    if (now[name]?.sha256 === then[name]?.sha256) continue;
    throw another(join(dir, name), then[name], now[name], "--model");
  }
}

function another(
  path: string,
  then: FileMark | null | undefined,
  now: FileMark | undefined,
  option: string,
): UserError {
  const show = (mark?: FileMark | null) =>
    mark ? `SHA-256 ${shortDigest(mark.sha256)}…` : "missing";
  return new UserError(
    `${path} is another file than the run was begun with (${show(then)}, now ${show(now)})`,
    {
      hint: `put it back as it was, or name a copy with ${option}; what has changed is another run`,
    },
  );
}

/** The program at work, about to go on from a step. */
export async function programAt(step: number, { info, library }: Device): Promise<Program> {
  return {
    step,
    version,
    deno: Deno.version.deno,
    device: info.name,
    isa: info.isa,
    kernels: shortDigest(await fileDigest(library.path, "sha256")),
  };
}

/** The origin of a run that goes on with a program, and what to say where it is another than before. */
export function goOn(origin: Origin, now: Program): { origin: Origin; note?: string } {
  // What was begun from later checkpoints is done again.
  const programs = origin.programs.filter(({ step }, i) => i === 0 || step < now.step);
  const before = programs[programs.length - 1];
  const names = {
    version: "version",
    deno: "Deno",
    device: "device",
    isa: "ISA",
    kernels: "kernels",
  };
  const changes = Object.entries(names).flatMap(([key, name]) => {
    const [a, b] = [before[key as keyof Program], now[key as keyof Program]];
    return a === b ? [] : [`${name} ${b} (before: ${a})`];
  });
  if (changes.length === 0) return { origin: { ...origin, programs } };
  return {
    origin: { ...origin, programs: [...programs, now] },
    note:
      `from step ${now.step} on the run is taken up with ${changes.join(", ")}: that its bits ` +
      "stay those of one program cannot be promised",
  };
}

/** Writes origin.json, whole or not at all. */
export async function writeOrigin({ origin: path }: RunFolder, origin: Origin): Promise<void> {
  await writeAtomic(path, sealJson(origin));
}
