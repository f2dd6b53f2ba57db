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
  const layers = [file ? readConfig(file) : {}, settings];
  const lay = (over: readonly Record<string, unknown>[], where: string) => {
    const laid = over.reduce(merge, start as object) as Record<string, unknown>;
    // Another task has other settings: those of the start are not among them.
    if (laid.task !== start.task) {
      const own = over.map(({ taskSettings }) => ({ taskSettings }));
      laid.taskSettings = own.reduce(merge, { taskSettings: {} }).taskSettings;
    }
    return fitConfig(parseTrainConfig(laid, where), builtinTasks, where);
  };
  const config = lay(layers, file ?? "options");
  if (assignments.length === 0) return config;
  return lay([...layers, ...assignments.map(assignment)], "--set");
}

/** `a.b=1` as `{ a: { b: 1 } }`. */
function assignment(text: string): Record<string, unknown> {
  const [, path, value] = text.match(/^([\w.-]+)=(.*)$/s) ?? [];
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
