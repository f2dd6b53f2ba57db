/**
 * From options to a training config, for the commands that take one.
 *
 * @module
 */
import { readJson, UserError } from "../src/base/mod.ts";
import { parseTrainConfig, type TrainConfig } from "../src/setup/mod.ts";

/**
 * A config with a file laid over it, and single settings over both. Settings that are undefined leave
 * it as it is.
 *
 * @throws {UserError} when the file cannot be read or the result is no training config.
 */
export function layConfig(
  start: TrainConfig,
  file: string | undefined,
  settings: Record<string, unknown>,
): TrainConfig {
  const base = merge(start, file ? readConfig(file) : {});
  // Start and settings have been checked: what does not fit comes from the file.
  return parseTrainConfig(merge(base, settings), file ?? "options");
}

function readConfig(file: string): Record<string, unknown> {
  const hint =
    "it must be a JSON object; see src/setup/config.ts, or config.json of any run folder";
  const content = readJson(file, hint);
  if (!isObject(content)) throw new UserError(`${file} is not a JSON object`, { hint });
  return content;
}

/** `over` laid over `base`, object by object. */
function merge(base: object, over: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const below = merged[key];
    const nested = isObject(value) && isObject(below);
    merged[key] = nested ? merge(below, value) : value;
  }
  return merged;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
