/**
 * From options to a training config, for the commands that take one.
 *
 * @module
 */
import { readJson, UserError } from "../src/base/mod.ts";
import { fitConfig, parseTrainConfig, type TrainConfig } from "../src/setup/mod.ts";
import { builtinTasks } from "../src/task/mod.ts";

/**
 * A config with a file laid over it, and single settings over both. Settings that are undefined leave
 * it as it is.
 *
 * @param assignments `key.path=value`: the value as JSON, or as the text it is.
 * @throws {UserError} when the file cannot be read or the result is no training config.
 */
export function layConfig(
  start: TrainConfig,
  file: string | undefined,
  settings: Record<string, unknown>,
  assignments: readonly string[] = [],
): TrainConfig {
  // Start and settings have been checked: what does not fit comes from the file or an assignment.
  const said = file ? readConfig(file) : {};
  const base = merge(start, said);
  const parse = (value: unknown, where: string) =>
    fitConfig(parseTrainConfig(value, where), builtinTasks, where);
  const laid = merge(base, settings);
  // Another task has other settings.
  if (laid.task !== start.task) laid.taskSettings = said.taskSettings ?? {};
  const config = parse(laid, file ?? "options");
  if (assignments.length === 0) return config;
  return parse(assignments.map(assignment).reduce(merge, config), "--set");
}

/** `a.b=1` as `{ a: { b: 1 } }`. */
function assignment(text: string): Record<string, unknown> {
  const [, path, value] = text.match(/^([\w+.-]+)=(.*)$/s) ?? [];
  if (path === undefined) {
    throw new UserError(`--set: "${text}" is no key=value`, {
      hint: "write a dotted path and a value, for example --set ppo.clipHigh=0.28",
    });
  }
  return path.split(".").reduceRight<unknown>(
    (inner, key) => ({ [key]: inner }),
    parsed(value),
  ) as Record<string, unknown>;
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function readConfig(file: string): Record<string, unknown> {
  const hint = "it must be a JSON object; see docs/config.md, or config.json of any run folder";
  const content = readJson(file, hint);
  if (!isObject(content)) throw new UserError(`${file} is not a JSON object`, { hint });
  return content;
}

/** `over` laid over `base`, object by object. */
function merge(base: object, over: object): Record<string, unknown> {
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
