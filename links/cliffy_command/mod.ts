/**
 * Local stand-in for the JSR package `@cliffy/command`: the same calls with the same meaning, laid
 * over `npm:commander`, for networks where JSR cannot be reached. It holds the subset that the CLI
 * uses and nothing that the real package does not document, so removing the `links` line of
 * deno.json swaps the real one in.
 *
 * @module
 */
export { Command, type CommandResult } from "./command.ts";
export { ValidationError } from "./errors.ts";
export type { ActionHandler, EnvVarOptions, Option, OptionOptions } from "./types.ts";
