/**
 * Schemas of settings and data: as much of a zod schema as this library promises. zod's own types
 * would carry all of zod into the public API.
 *
 * @module
 */
import type * as z from "npm:zod@4.6.7";

/** One thing that does not fit a schema. */
export interface SchemaIssue {
  /** Keys and list indices from the top, e.g. `["ppo", "clip"]`; empty: the value itself. */
  readonly path: readonly PropertyKey[];
  /** What is wrong, as a sentence for people. */
  readonly message: string;
  /** The kind of mistake, e.g. `invalid_type` or `unrecognized_keys`. */
  readonly code?: string;
  /** With `unrecognized_keys`: which keys the schema does not know. */
  readonly keys?: readonly string[];
}

/** Thrown by {@linkcode Schema.parse}: everything that does not fit, in the order of the fields. */
export interface SchemaError extends Error {
  /** At least one. */
  readonly issues: readonly SchemaIssue[];
}

/** What {@linkcode Schema.safeParse} returns. */
export type SchemaResult<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly error: SchemaError };

/** Checks unknown data and fills in defaults. Each one is a zod schema and nests in others. */
export interface Schema<T> {
  /**
   * The value with defaults filled in.
   *
   * @throws {SchemaError} when something does not fit; unknown keys do not fit either.
   */
  parse(value: unknown): T;
  /** As `parse`, but what does not fit is returned, not thrown. */
  safeParse(value: unknown): SchemaResult<T>;
  /** @internal */
  readonly _zod: z.core.$ZodTypeInternals<T>;
}

/**
 * One schema per field of `T`. `z.strictObject<Fields<T>>({...})` does not compile unless it has
 * exactly the fields of the interface `T`, so the two cannot drift apart.
 */
export type Fields<T> = { readonly [K in keyof T]-?: Schema<T[K]> };
