/**
 * The one place that prints why a command failed.
 *
 * @module
 */
import { ValidationError } from "@cliffy/command";
import { BuildInterrupted, NativeError } from "../ffi/mod.ts";
import { unfold, UserError } from "../src/base/mod.ts";
import { Interrupted } from "./interrupt.ts";
import { mayNotWrite } from "./may_write.ts";
import { tell } from "./output.ts";

/** What was thrown; where Deno names a flag that no task takes, what helps with tasks. */
function explained(error: unknown): unknown {
  if (!(error instanceof Deno.errors.NotCapable)) return error;
  const path = /^Requires write access to "(.*)",/.exec(error.message)?.[1];
  return path === undefined ? error : mayNotWrite(`this task may not write to ${path}`, path);
}

/** Prints what was thrown, each error that it stands for, and returns the exit code. */
export function reportFailure(thrown: unknown): number {
  const errors = unfold(thrown).map(explained);
  for (const error of errors) tell(describe(error));
  if (errors[0] instanceof BuildInterrupted) return errors[0].exitCode;
  return errors[0] instanceof Interrupted ? errors[0].exitCode : 1;
}

/** One line and a hint where the error says all there is to say; else its stack and causes. */
function describe(error: unknown): string {
  if (error instanceof Interrupted || error instanceof BuildInterrupted) return error.message;
  if (error instanceof UserError || error instanceof NativeError) {
    return `error: ${error.message}${error.hint ? `\nhint: ${error.hint}` : ""}`;
  }
  if (error instanceof ValidationError || error instanceof Deno.errors.NotCapable) {
    return `error: ${error.message}`;
  }
  return `error: ${Deno.inspect(error)}`;
}
