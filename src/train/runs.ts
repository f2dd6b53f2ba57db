/**
 * Finding earlier runs.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import { RunFolder } from "./folder.ts";

/**
 * The newest checkpoint of any run under `root`.
 *
 * @throws {UserError} when there is none.
 */
export async function latestCheckpoint(root: string): Promise<string> {
  let newest: { path: string; time: number } | undefined;
  try {
    for await (const entry of Deno.readDir(root)) {
      if (!entry.isDirectory) continue;
      const checkpoint = await RunFolder.at(`${root}/${entry.name}`).latestCheckpoint();
      if (!checkpoint) continue;
      const time = (await Deno.stat(checkpoint.path)).mtime?.getTime() ?? 0;
      if (!newest || time > newest.time) newest = { path: checkpoint.path, time };
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (!newest) {
    throw new UserError(`no checkpoint under ${root}/`, {
      hint: "train one with `deno task train`, or name a model folder with --model",
    });
  }
  return newest.path;
}
