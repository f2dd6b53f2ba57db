/**
 * Whether a run's logs hold every line up to the checkpoint that it goes on from.
 *
 * @module
 */
import { rowsOf, UserError } from "../base/mod.ts";
import type { TrainConfig } from "../setup/mod.ts";
import type { LogRows, RunFolder } from "./folder.ts";

/**
 * Counts the rows that belong to what a checkpoint holds: every step once, in order. What follows them was
 * written after it, and is not looked at.
 *
 * @param step The checkpoint's; null where a run that was stopped early has none yet.
 * @throws {UserError} naming the first line that is missing, doubled or no JSON, or when steps are logged
 *   and there is no checkpoint.
 */
export async function checkLogs(
  folder: RunFolder,
  config: Pick<TrainConfig, "model" | "warmstart" | "keepEpisodes" | "ppo">,
  step: number | null,
): Promise<LogRows> {
  if (step === null) {
    await checkUnbegun(folder);
    const left = (await folder.leftWarmstart())?.step ?? 0;
    await checkSteps(folder.warmstart, left, (row) => row + 1, putBack);
    return { warmstart: left, metrics: 0, episodes: 0, pending: false };
  }
  const { model, warmstart, keepEpisodes, ppo: { questions, samples } } = config;
  const sampled = Math.min(keepEpisodes, questions * samples);
  const warm = model === null ? warmstart.steps : 0;
  await checkSteps(folder.warmstart, warm, (row) => row + 1, putBack);
  // A step that is evaluated has its line after its checkpoint: what it did is kept until then.
  const pending = folder.readPending()?.step === step && !await hasRow(folder, step);
  const lines = pending ? step : step + 1, dialogues = (lines - 1) * sampled;
  await checkSteps(folder.metrics, lines, (row) => row, putBackOrRepeat);
  const episodeStep = (row: number) => Math.floor(row / sampled) + 1;
  await checkSteps(folder.episodes, dialogues, episodeStep, putBackOrRepeat);
  return { warmstart: warm, metrics: lines, episodes: Math.max(0, dialogues), pending };
}

/** Before its first line of metrics a run has a checkpoint. */
async function checkUnbegun({ path, metrics }: RunFolder): Promise<void> {
  const [row] = await first(metrics);
  if (row === undefined) return;
  throw new UserError(`${path} has no checkpoint, but ${metrics} holds steps that were taken`, {
    hint: "put its checkpoints back, or begin another run with --out",
  });
}

/** Whether the line of a step stands at its place. */
async function hasRow({ metrics }: RunFolder, step: number): Promise<boolean> {
  let row = 0;
  try {
    for await (const found of rowsOf<NonNullable<Row>>(metrics)) {
      if (row++ === step) return (found as Row)?.step === step;
    }
  } catch (error) {
    // Not yet on disk when the power went: it is written again.
    if (!(error instanceof UserError)) throw error;
  }
  return false;
}

type Row = { readonly step?: unknown } | null;

async function first(path: string): Promise<Row[]> {
  for await (const row of rowsOf<NonNullable<Row>>(path)) return [row];
  return [];
}

/** Checks that the first `count` rows of a log are of the steps that `stepOf` says, by their index. */
async function checkSteps(
  path: string,
  count: number,
  stepOf: (row: number) => number,
  hintOf: (step: number) => string,
): Promise<void> {
  if (count <= 0) return;
  let row = 0;
  try {
    for await (const found of rowsOf<NonNullable<Row>>(path)) {
      const step = stepOf(row), is = (found as Row)?.step;
      if (is !== step) {
        throw new UserError(
          `${path}:${row + 1} is of step ${JSON.stringify(is) ?? "none"}, not ${step}: lines are ` +
            "missing, doubled or out of order",
        );
      }
      if (++row === count) return;
    }
    const from = stepOf(row), to = stepOf(count - 1);
    throw new UserError(
      `${path} ends after ${row} lines: those of step ${from}${from < to ? ` to ${to}` : ""} ` +
        "are missing",
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.message, { hint: hintOf(stepOf(row)), cause: error });
  }
}

function putBack(): string {
  return "put the lines back as they were, or begin another run with --out";
}

function putBackOrRepeat(step: number): string {
  return "put the lines back as they were, or move the checkpoints from " +
    `step-${step} on out of the run: it then takes those steps again`;
}
