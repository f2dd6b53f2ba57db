/**
 * The log of an evaluation: `answers.jsonl`, one line per sample. It may be far larger than memory, so
 * it is read as a stream.
 *
 * @module
 */
import { UserError } from "../base/mod.ts";
import type { Answer } from "./answers.ts";

const NEWLINE = 10;

/**
 * Hands every complete line to `visit`, in the order of the file; a missing file has none.
 *
 * @returns The offset behind the last complete line: what follows was cut off by a kill.
 * @throws {UserError} when a complete line is not JSON.
 */
export async function readAnswers(path: string, visit: (answer: Answer) => void): Promise<number> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
  const decoder = new TextDecoder();
  let line = 0, end = 0;
  /** Chunks of the line that is not over. */
  let parts: Uint8Array[] = [];
  for await (const chunk of file.readable) {
    let start = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, at));
      const text = parts.map((part) => decoder.decode(part, { stream: true })).join("") +
        decoder.decode();
      line++;
      end += parts.reduce((sum, part) => sum + part.length, 1);
      parts = [];
      start = at + 1;
      visit(parse(text, `${path}:${line}`));
    }
    if (start < chunk.length) parts.push(chunk.slice(start));
  }
  return end;
}

function parse(text: string, where: string): Answer {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${where}: this line is not JSON`, {
      hint: "remove the line; its sample is then taken again",
      cause,
    });
  }
}

/** Removes what a kill left behind the last complete line, which ends at `end`. */
export async function cutAfter(path: string, end: number): Promise<void> {
  try {
    if ((await Deno.stat(path)).size > end) await Deno.truncate(path, end);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
