/**
 * Whether the files of a checkpoint are those that training wrote: `digests.json` holds a mark of each that
 * belongs to the model, `trainer/state.json` of all, and either a digest of itself.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import * as z from "npm:zod@4.6.7";
import {
  changedFile,
  check,
  type FileMark,
  fileMarkSchema,
  readSealed,
  UserError,
} from "../base/mod.ts";
import { weightFiles } from "./shards.ts";

/** Where a checkpoint keeps what only a resumed run needs. */
export function trainerFolder(dir: string): string {
  return join(dir, "trainer");
}

/** Where a checkpoint keeps its numbers and the marks of all its files. */
export function stateFile(dir: string): string {
  return join(trainerFolder(dir), "state.json");
}

/** The files beside the weights that decide what a loaded model says. */
const besideWeights = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

/**
 * The names of the files of a model folder that loading it reads, weights among them.
 *
 * @throws {UserError} when the folder's index is malformed, or its weights are of another format.
 */
export function modelFiles(dir: string): string[] {
  return [...besideWeights.filter((name) => existsSync(join(dir, name))), ...weightFiles(dir)];
}

/** Where a checkpoint keeps the marks of its model's files: they go along with a copy of it. */
export function digestsFile(dir: string): string {
  return join(dir, "digests.json");
}

/** What a file with marks must hold for this room. */
const marksSchema = z.looseObject({ files: z.record(z.string(), fileMarkSchema) });

/** What is found of the files that a file with marks names, by their paths in the folder. */
interface Found {
  /** The first that is not as it was written, which may be the one with the marks. */
  readonly damaged?: string;
  /** Undefined where that one is damaged. */
  readonly marks?: Readonly<Record<string, FileMark>>;
}

async function compare(dir: string, path: string): Promise<Found> {
  let files: Record<string, FileMark>;
  try {
    ({ files } = check(marksSchema, readSealed(path, ""), path, ""));
  } catch (error) {
    if (error instanceof UserError) return { damaged: relative(dir, path) };
    throw error;
  }
  return { damaged: await changedFile(dir, files), marks: files };
}

/** The first file of a checkpoint that is not as it was written, as a path in it; undefined where all are. */
export async function damagedFile(dir: string): Promise<string | undefined> {
  return (await compare(dir, stateFile(dir))).damaged;
}

/**
 * Checks that the files of a checkpoint's model are as training wrote them. A folder without digests.json, as
 * a model from elsewhere is, says nothing of that.
 *
 * @returns The marks that were found true, where there are some.
 * @throws {UserError} naming the file that is damaged.
 */
export async function checkWhole(
  dir: string,
): Promise<Readonly<Record<string, FileMark>> | undefined> {
  const path = digestsFile(dir);
  if (!existsSync(path)) {
    if (!existsSync(trainerFolder(dir))) return undefined;
    throw new UserError(`${dir} has no digests.json, which says what its files must be`, {
      hint: "it is a part of the checkpoint: copy it again from its run; without its trainer " +
        "folder the model is taken unchecked",
    });
  }
  const { damaged, marks } = await compare(dir, path);
  if (damaged === undefined) return marks;
  throw new UserError(`${dir} is damaged: ${damaged} is not as it was written`, {
    hint:
      "name another checkpoint, or a whole copy of this one; files that you changed on purpose " +
      "are taken once digests.json is removed",
  });
}
