/**
 * Git's large files: a clone without git-lfs holds a few lines of text in the place of each.
 *
 * @module
 */
import { UserError } from "./errors.ts";

const begin = "version https://git-lfs.github.com/spec/";

/**
 * Refuses such a placeholder.
 *
 * @param start The beginning of the file, at least 40 characters or bytes of it where it has so many.
 * @throws {UserError} when the file is a placeholder.
 */
export function refuseLfsPointer(path: string, start: string | Uint8Array): void {
  const text = typeof start === "string"
    ? start
    : new TextDecoder().decode(start.subarray(0, begin.length));
  if (!text.startsWith(begin)) return;
  throw new UserError(`${path} is a git-lfs pointer, not the file that it stands for`, {
    hint: "run `git lfs pull` in the clone that it comes from, or download the file itself",
  });
}
