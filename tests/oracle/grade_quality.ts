/**
 * Grades the labelled pairs of grade_pairs.py and writes how often we and math-verify are right.
 *
 *     deno run -A tests/oracle/grade_quality.ts pairs.jsonl
 *
 * Writes grade_quality.md beside this file (figures only: some benchmark texts must not be copied)
 * and prints our mistakes.
 *
 * @module
 */
import { GradePool } from "../../src/grade/mod.ts";

interface Pair {
  readonly family: string;
  readonly rule: string;
  readonly gold: string;
  readonly answer: string;
  readonly equal: boolean;
  readonly math_verify: boolean;
  readonly choices?: Record<string, string>;
}

/** Who was right how often. */
class Tally {
  pairs = 0;
  right = 0;
  falsePositives = 0;
  falseNegatives = 0;

  add(label: boolean, verdict: boolean): void {
    this.pairs++;
    if (label === verdict) this.right++;
    else if (verdict) this.falsePositives++;
    else this.falseNegatives++;
  }

  get accuracy(): string {
    return (100 * this.right / this.pairs).toFixed(2);
  }
}

const [path] = Deno.args;
const pairs: Pair[] = (await Deno.readTextFile(path)).trim().split("\n").map((line) =>
  JSON.parse(line)
);
await using pool = new GradePool();
const began = performance.now();
const verdicts = await Promise.all(
  pairs.map(({ answer, gold, choices }) => pool.grade(answer, gold, { choices })),
);
const seconds = (performance.now() - began) / 1000;

const families = new Map<string, { ours: Tally; theirs: Tally }>();
const classes = new Map<string, { ours: number; theirs: number }>();
for (const [i, pair] of pairs.entries()) {
  const { family, rule, equal, math_verify: theirs } = pair;
  const ours = verdicts[i].equal;
  for (
    const key of [family, "all", ...(family === "gpqa" || family === "word" ? [] : ["mathematics"])]
  ) {
    const tally = families.get(key) ?? { ours: new Tally(), theirs: new Tally() };
    families.set(key, tally);
    tally.ours.add(equal, ours);
    tally.theirs.add(equal, theirs);
  }
  const key = `${family} | ${rule} | ${equal ? "rejected" : "accepted"}`;
  const count = classes.get(key) ?? { ours: 0, theirs: 0 };
  if (ours !== equal) {
    count.ours++;
    console.log(
      `${key}: ${family === "gpqa" ? "" : `${pair.gold}  ~  ${pair.answer}`} (${
        verdicts[i].reason
      })`,
    );
  }
  if (theirs !== equal) count.theirs++;
  if (count.ours + count.theirs > 0) classes.set(key, count);
}

const row = (name: string, { ours, theirs }: { ours: Tally; theirs: Tally }) =>
  `| ${name} | ${ours.pairs} | ${ours.accuracy} | ${ours.falsePositives} | ${ours.falseNegatives} ` +
  `| ${theirs.accuracy} | ${theirs.falsePositives} | ${theirs.falseNegatives} |`;
const summary = ["all", "mathematics", ...[...families.keys()].sort()];
const lines = [
  "# Grading quality",
  "",
  "Written by `grade_quality.ts` from the pairs of `grade_pairs.py` (seeded; math-verify 0.9.0). Labels",
  "follow from how a pair was made. FP: paid for a wrong answer; FN: did not pay for a right one.",
  "`mathematics` leaves out words and GPQA, whose options math-verify is not told.",
  "",
  "| pairs of | n | ours, % | FP | FN | math-verify, % | FP | FN |",
  "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
  ...[...new Set(summary)].map((name) => row(name, families.get(name)!)),
  "",
  "## Every class of mistake",
  "",
  "Equal answers that were rejected, near misses that were accepted.",
  "",
  "| form | rewriting | mistake | ours | math-verify |",
  "| --- | --- | --- | ---: | ---: |",
  ...[...classes].sort(([a], [b]) => a < b ? -1 : 1).map(([key, { ours, theirs }]) =>
    `| ${key} | ${ours} | ${theirs} |`
  ),
  "",
];
await Deno.writeTextFile(new URL("grade_quality.md", import.meta.url), lines.join("\n"));
console.log(lines.slice(7, 10 + families.size).join("\n"));
console.log(`${(pairs.length / seconds).toFixed(0)} pairs/s`, pool.counts);
