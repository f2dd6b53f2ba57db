/**
 * Published data sets for the tests that want real rows: the folder that `deno task data` fills, or the one
 * that `THINKER_TEST_DATA` names. Where a set is missing, its tests are skipped.
 */
import { existsSync } from "node:fs";

/** The folder, with a slash at its end. */
const folder = `${
  Deno.env.get("THINKER_TEST_DATA") ?? new URL("../data", import.meta.url).pathname
}/`;

/** A file or folder of it, and whether it is not there. */
export function published(path: string): { path: string; ignore: boolean } {
  const ignore = !existsSync(folder + path);
  if (ignore) console.log(`skipped: ${folder}${path} is not there (deno task data)`);
  return { path: folder + path, ignore };
}
