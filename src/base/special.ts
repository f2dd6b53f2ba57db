/**
 * Files that are none: pipes, devices, sockets.
 *
 * @module
 */
import { UserError } from "./errors.ts";

/**
 * Refuses to read what may never end (a device) or never begin (a pipe that nobody writes to). What does
 * not exist, may not be looked at or is a folder is left to the reading itself.
 *
 * @throws {UserError} when there is something else than a file or a folder.
 */
export function refuseSpecial(path: string): void {
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(path);
  } catch {
    return;
  }
  if (found.isFile || found.isDirectory) return;
  throw new UserError(`${path} is a pipe or a device, not a file`, {
    hint: "write what is to be read into a file first",
  });
}
