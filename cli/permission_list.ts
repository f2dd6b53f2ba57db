/**
 * Lists of folders for Deno's permission flags. Imports little: every start of a task waits for it.
 *
 * @module
 */
import { cacheDir } from "../ffi/cache.ts";

/** A list must name something; nothing can be written or loaded here. */
const nothing = "/dev/null/none";

/**
 * The folders as a flag's value; `cache` stands for the kernel cache. What a list cannot hold is left out:
 * the command itself says what is wrong with it, where it needs it.
 */
export function permissionList(folders: readonly (string | undefined)[]): string {
  const paths = folders.map((folder) => folder === "cache" ? cacheIfAny() : folder?.trim());
  return paths.filter((path) => path && !path.includes(",")).join(",") || nothing;
}

function cacheIfAny(): string | undefined {
  try {
    return cacheDir();
  } catch {
    return undefined;
  }
}
