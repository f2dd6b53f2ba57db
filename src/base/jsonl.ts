/**
 * Append-only logs with one JSON object per line.
 *
 * A line counts only when its newline is there: writers put object and newline down in one write,
 * so whatever follows the last newline was cut off by a kill.
 */

import { Buffer } from "node:buffer";
import { UserError, writeError } from "./errors.ts";
import { exists } from "./files.ts";
import { parseJson } from "./json.ts";
import { refuseSpecial } from "./special.ts";

const NEWLINE = 10;

/** Appends JSON objects to a file, one line and one write call each. */
export class JsonlWriter implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #encoder = new TextEncoder();

  /**
   * Opens (or creates) the log at `path` for appending. Cut a log that a killed process left with
   * {@link truncateAfter} first.
   */
  constructor(path: string) {
    this.#path = path;
    this.#file = Deno.openSync(path, { append: true, create: true });
  }

  /**
   * Appends one object. `NaN` and infinities become `null`, as JSON has no name for them.
   *
   * @throws {UserError} when the line could not be written whole.
   */
  write(row: object): void {
    const line = this.#encoder.encode(JSON.stringify(row) + "\n");
    let written: number;
    try {
      written = this.#file.writeSync(line);
    } catch (cause) {
      throw writeError(this.#path, cause);
    }
    if (written !== line.length) {
      throw new UserError(`${this.#path}: a line was written only in part`, {
        hint: "free some disk space, then resume the run",
      });
    }
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Every complete row of a log, in order; a cut last line is left out, and a missing file has none. A log
 * may be larger than memory: only the row at hand is in it.
 *
 * @typeParam T What the caller knows about the rows; not checked here.
 * @throws {UserError} when a complete line is not JSON.
 */
export async function* rowsOf<T extends object>(path: string): AsyncGenerator<T> {
  for await (const { row } of placedRows<T>(path)) yield row;
}

/**
 * All rows of {@linkcode rowsOf} at once.
 *
 * @typeParam T What the caller knows about the rows; not checked here.
 * @throws {UserError} when a complete line is not JSON.
 */
export async function readJsonl<T extends object>(path: string): Promise<T[]> {
  return await Array.fromAsync(rowsOf<T>(path));
}

/**
 * Hands the rows to `keep`, up to the first one that it refuses; cuts off that row, everything after it
 * and a cut last line. Kept lines stay as they are, byte for byte. A missing file stays missing.
 *
 * @returns How many rows were kept.
 * @throws {UserError} when a complete line is not JSON.
 */
export async function truncateAfter<T extends object>(
  path: string,
  keep: (row: T) => boolean,
): Promise<number> {
  let rows = 0, kept = 0;
  for await (const { row, end } of placedRows<T>(path)) {
    if (!keep(row)) break;
    rows++;
    kept = end;
  }
  await cutAt(path, kept);
  return rows;
}

/**
 * Cuts off all rows but the first `count`; what follows them need not be JSON, as after a power cut. A
 * missing file stays missing.
 *
 * @throws {UserError} when one of the lines to keep is not JSON.
 */
export async function keepRows(path: string, count: number): Promise<void> {
  let rows = 0, kept = 0;
  if (count > 0) {
    for await (const { end } of placedRows(path)) {
      kept = end;
      if (++rows === count) break;
    }
  }
  await cutAt(path, kept);
}

async function cutAt(path: string, size: number): Promise<void> {
  if (await exists(path) && (await Deno.stat(path)).size > size) await Deno.truncate(path, size);
}

/** The rows with the offset just behind each one's newline. */
async function* placedRows<T extends object>(
  path: string,
): AsyncGenerator<{ row: T; end: number }> {
  if (!await exists(path)) return;
  refuseSpecial(path);
  using file = await Deno.open(path);
  const buffer = new Uint8Array(64 * 1024);
  /** Pieces of the line that is not over. */
  let line: Uint8Array[] = [];
  let end = 0;
  for (let number = 1;;) {
    const length = await file.read(buffer);
    if (length === null) return;
    const read = buffer.slice(0, length);
    let start = 0;
    for (let at = read.indexOf(NEWLINE); at >= 0; at = read.indexOf(NEWLINE, start)) {
      line.push(read.subarray(start, at));
      const bytes = Buffer.concat(line);
      const row = parseJson(bytes, `${path}:${number++}`, "correct or remove the line") as T;
      end += bytes.length + 1;
      line = [];
      start = at + 1;
      yield { row, end };
    }
    line.push(read.subarray(start));
  }
}
