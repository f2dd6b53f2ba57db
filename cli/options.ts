/**
 * Checks that several commands share.
 *
 * @module
 */
import type * as z from "npm:zod@4.6.7";
import { UserError } from "../src/base/mod.ts";
import { builtinTasks } from "../src/task/mod.ts";

/** The tasks that `--task` may name. */
export const taskNames: readonly string[] = builtinTasks.map(({ name }) => name);

/**
 * Parses option values with a schema.
 *
 * @throws {UserError} naming the first option that does not fit, as the user wrote it.
 */
export function checkOptions<T extends z.ZodType>(schema: T, options: unknown): z.output<T> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const option = String(issue.path[0] ?? "options").replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  throw new UserError(`--${option}: ${issue.message}`);
}
