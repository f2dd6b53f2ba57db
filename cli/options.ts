/**
 * Checks that several commands share.
 *
 * @module
 */
import type * as z from "npm:zod@^4";
import { UserError } from "../src/base/mod.ts";

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
