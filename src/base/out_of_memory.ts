/**
 * Memory that ran out, and what to lower.
 *
 * @module
 */
import { UserError } from "./errors.ts";

/** Memory of a device, or an op's scratch, could not be had. */
export class OutOfMemory extends UserError {}

/** Whether a native library says so: in its own words, the C++ runtime's or CUDA's. */
export function isOutOfMemory(message: string): boolean {
  return /out of memory|bad_alloc/.test(message);
}

/**
 * Runs what takes memory for some part of a program. Of parts inside each other the inner one is named.
 *
 * @param part What the memory is for, as in `the KV cache`.
 * @param hint What to lower, by the names of its settings.
 * @throws {UserError} with both, where memory of the device or the host ran out.
 */
export function memoryFor<T>(part: string, hint: string, body: () => T): T {
  const explain = (error: unknown): never => {
    const ranOut = error instanceof OutOfMemory ||
      error instanceof RangeError && error.message.includes("Array buffer allocation failed");
    if (!ranOut) throw error;
    throw new UserError(`no memory for ${part}: ${error.message}`, { hint, cause: error });
  };
  try {
    const result = body();
    return result instanceof Promise ? result.catch(explain) as T : result;
  } catch (error) {
    return explain(error);
  }
}
