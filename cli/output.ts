/**
 * What a command writes: results to standard output, everything else to standard error. Text comes from
 * models, files and people, so no control character of it reaches a terminal.
 *
 * @module
 */
import { reason, UserError } from "../src/base/mod.ts";

/**
 * The text with control characters (C0 but for line break and tab, DEL, C1) as JSON escapes, so that
 * what is JSON stays the same JSON.
 */
export function visible(text: string): string {
  // deno-lint-ignore no-control-regex -- they are what it looks for
  return text.replaceAll(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, (each) => {
    return `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * Writes a line of the result, or a part of one that says its own `end`.
 *
 * @throws {UserError} when the system refuses it. A reader that went away (`| head`) is no error.
 */
export function print(text: string, end = "\n"): void {
  try {
    writeAll(Deno.stdout, visible(text) + end);
  } catch (cause) {
    if (cause instanceof Deno.errors.BrokenPipe) return;
    throw new UserError(`cannot write to standard output: ${reason(cause)}`, { cause });
  }
}

/** Writes a line for whoever looks on. */
export function tell(text: string): void {
  show(`${visible(text)}\n`);
}

/**
 * Writes to standard error as it is, if that is possible: a full disk below a log, a closed terminal or a
 * reader that went away must not end what it tells of.
 */
export function show(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // There is nowhere to say it.
  }
}

function writeAll(file: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
