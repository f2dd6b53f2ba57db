/**
 * Append-only logs with one JSON object per line.
 *
 * A line counts only when its newline is there: writers put object and newline down in one write,
 * so whatever follows the last newline was cut off by a kill.
 */

import { UserError, writeError } from "./errors.ts";
import { writeAtomic } from "./files.ts";

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
 * Reads every complete line; a cut last line is left out.
 *
 * @typeParam T What the caller knows about the rows; not checked here.
 * @throws {UserError} when a complete line is not JSON.
 */
export async function readJsonl<T extends object>(path: string): Promise<T[]> {
  return Array.from(rowsOf<T>(await Deno.readFile(path), path), ({ row }) => row);
}

/**
 * Keeps the lines up to the first row that `keep` refuses and drops that row, everything after it
 * and a cut last line. Kept lines stay as they are, byte for byte. A missing file stays missing.
 *
 * @returns How many rows were kept.
 * @throws {UserError} when a complete line is not JSON.
 */
export async function truncateAfter<T extends object>(
  path: string,
  keep: (row: T) => boolean,
): Promise<number> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
  let rows = 0;
  let end = 0;
  for (const line of rowsOf<T>(bytes, path)) {
    if (!keep(line.row)) break;
    rows++;
    end = line.end;
  }
  if (end < bytes.length) await writeAtomic(path, bytes.subarray(0, end));
  return rows;
}

/** The parsed rows with the offset just behind each row's newline. */
function* rowsOf<T extends object>(
  bytes: Uint8Array,
  path: string,
): Generator<{ row: T; end: number }> {
  const decoder = new TextDecoder();
  let start = 0;
  for (let number = 1;; number++) {
    const newline = bytes.indexOf(NEWLINE, start);
    if (newline < 0) return;
    const line = decoder.decode(bytes.subarray(start, newline));
    start = newline + 1;
    yield { row: parseLine<T>(line, `${path}:${number}`), end: start };
  }
}

function parseLine<T extends object>(line: string, where: string): T {
  try {
    return JSON.parse(line) as T;
  } catch (cause) {
    throw new UserError(`${where}: this line is not JSON`, {
      hint: "mend or remove the line",
      cause,
    });
  }
}
