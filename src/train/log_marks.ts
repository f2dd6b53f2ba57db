/**
 * Marks of what a run has logged, kept in its checkpoints: a number or a word that has changed since is found
 * by them, and so is a checkpoint that belongs to another run.
 *
 * @module
 */
import { createHash } from "node:crypto";
import * as z from "npm:zod@4.6.7";
import { type Metrics, rowsOf, stripClock, UserError } from "../base/mod.ts";
import type { Checkpoint, RunFolder } from "./folder.ts";

/** Of a log's first rows: how many, and what they are but for the clock. */
const markSchema = z.strictObject({ rows: z.int().nonnegative(), sha256: z.string() });

/** Marks of all logs. */
export const logMarksSchema = z.strictObject({
  warmstart: markSchema,
  metrics: markSchema,
  episodes: markSchema,
});

/** As {@linkcode logMarksSchema} has them. */
export type LogMarks = z.output<typeof logMarksSchema>;

/** Marks all rows that the logs of a run hold now. */
export async function markLogs(folder: RunFolder): Promise<LogMarks> {
  return {
    warmstart: await markRows(folder.warmstart),
    metrics: await markRows(folder.metrics),
    episodes: await markRows(folder.episodes),
  };
}

/**
 * Checks that the rows which a checkpoint marked are in the logs as they were then.
 *
 * @throws {UserError} naming the log that is not.
 */
export async function checkMarks(
  folder: RunFolder,
  { path: dir }: Checkpoint,
  marks: LogMarks,
): Promise<void> {
  for (const [log, { rows, sha256 }] of Object.entries(marks)) {
    const path = folder[log as keyof LogMarks];
    if ((await markRows(path, rows)).sha256 === sha256) continue;
    throw new UserError(`${path} is not as it was when ${dir} was saved`, {
      hint:
        `put its first ${rows} lines back as they were, or begin another run from the weights ` +
        `with --model ${dir}`,
    });
  }
}

async function markRows(path: string, most = Infinity): Promise<z.output<typeof markSchema>> {
  const hash = createHash("sha256");
  let rows = 0;
  if (most > 0) {
    for await (const row of rowsOf<Metrics>(path)) {
      hash.update(JSON.stringify(stripClock(row)) + "\n");
      if (++rows === most) break;
    }
  }
  return { rows, sha256: hash.digest("hex") };
}
