/** What a run or an evaluation leaves in its folder, piece by piece, and where two of them differ. */
import { stripClock } from "../../src/base/mod.ts";
import { filesOf } from "../e2e/small.ts";

/** Pieces by name: `config.json`, `metrics.jsonl:3`, `checkpoints/step-4/model.safetensors`. */
export type Remains = Readonly<Record<string, string>>;

/** Pages and curves are drawn from what is compared, and hold the clock; hidden names are nobody's result. */
const passed = /(^|\/)\.|\.html$|\.svg$/;

/** Everything of a run that does not depend on the clock. */
export async function runRemains(dir: string): Promise<Remains> {
  const pieces: Record<string, string> = {};
  for (const file of (await filesOf(dir)).filter((name) => !passed.test(name))) {
    const path = `${dir}/${file}`;
    if (file.startsWith("checkpoints/")) pieces[file] = await digest(path);
    else if (file.endsWith(".jsonl")) {
      const lines = (await Deno.readTextFile(path)).split("\n").slice(0, -1);
      lines.forEach((line, i) => pieces[`${file}:${i}`] = timeless(line));
    } else if (file.endsWith(".md")) pieces[file] = rows(await Deno.readTextFile(path));
    else pieces[file] = await Deno.readTextFile(path);
  }
  return pieces;
}

/** Everything of an evaluation; its answers are a set, since they are filed as they are finished. */
export async function evalRemains(dir: string): Promise<Remains> {
  const pieces: Record<string, string> = { ...await runRemains(dir) };
  const answers = Object.keys(pieces).filter((name) => name.startsWith("answers.jsonl:"));
  const texts = answers.map((name) => pieces[name]).sort();
  answers.forEach((name) => delete pieces[name]);
  texts.forEach((text, i) => pieces[`answers.jsonl:${i}`] = text);
  return pieces;
}

/**
 * The first piece that differs, in words; undefined where there is none. A run that was stopped may have
 * saved more steps than one that was not: checkpoints of steps that only it has are no difference.
 */
export function difference(actual: Remains, expected: Remains): string | undefined {
  const step = (name: string) => /^checkpoints\/step-\d+\//.exec(name)?.[0];
  const steps = new Set(Object.keys(expected).map(step));
  for (const [name, text] of Object.entries(expected)) {
    if (actual[name] === undefined) return `${name} is missing`;
    if (actual[name] !== text) return `${name} differs`;
  }
  const more = Object.keys(actual).find((name) => !(name in expected) && steps.has(step(name)));
  return more && `${more} is too many`;
}

async function digest(path: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(hash).toHex();
}

/** A line of a log without the clock; one that is no JSON as it stands. */
function timeless(line: string): string {
  try {
    return JSON.stringify(stripClock(JSON.parse(line)));
  } catch {
    return line;
  }
}

/** The tables of a report: its other lines tell how long it took. */
function rows(text: string): string {
  return text.split("\n").filter((line) => line.startsWith("|")).join("\n");
}
