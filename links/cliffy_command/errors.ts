import type { CommanderError } from "npm:commander@^15";
import type { Command } from "./command.ts";

/** The user called the program wrongly: unknown command or option, missing or malformed value. */
export class ValidationError extends Error {
  /** Status the process ends with when nobody handles the error. */
  readonly exitCode: number;
  /** The command that rejected its input. */
  cmd?: Command;

  /** Makes the error; `exitCode` is 2 unless told otherwise. */
  constructor(
    message: string,
    options: ErrorOptions & { exitCode?: number } = {},
  ) {
    super(message, options);
    this.name = "ValidationError";
    this.exitCode = options.exitCode ?? 2;
  }
}

/** Brings commander's error (prefix, several lines, single quotes) into one plain sentence. */
export function fromCommander(error: CommanderError): ValidationError {
  const text = error.message
    .replace(/^error: /, "")
    .replace(/\n\(Did you mean (.*)\?\)$/, ". Did you mean $1?")
    .replaceAll("'", '"');
  return new ValidationError(text[0].toUpperCase() + text.slice(1), {
    cause: error,
  });
}
