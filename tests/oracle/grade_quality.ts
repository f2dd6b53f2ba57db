/**
 * Grades the labelled pairs of grade_pairs.py and writes how often we and math-verify are right.
 *
 *     deno run -A tests/oracle/grade_quality.ts "benchmark rows=eval.jsonl" "training rows=train.jsonl"
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

/** Counts of one set of pairs. */
interface Report {
  readonly lines: string[];
  readonly pairsPerSecond: number;
}

async function measure(pool: GradePool, name: string, path: string): Promise<Report> {
  const pairs: Pair[] = (await Deno.readTextFile(path)).trim().split("\n")
    .map((line) => JSON.parse(line));
  const began = performance.now();
  const verdicts = await Promise.all(
    pairs.map(({ answer, gold, choices }) => pool.grade(answer, gold, { choices })),
  );
  const pairsPerSecond = pairs.length / ((performance.now() - began) / 1000);
  const forms = new Map<string, { ours: Tally; theirs: Tally }>();
  const mistakes = new Map<string, { ours: number; theirs: number }>();
  for (const [i, pair] of pairs.entries()) {
    const { family, rule, equal, math_verify: theirs } = pair;
    const ours = verdicts[i].equal;
    const isMathematics = family !== "gpqa" && family !== "word";
    for (const key of ["all", ...(isMathematics ? ["mathematics"] : []), family]) {
      const tally = forms.get(key) ?? { ours: new Tally(), theirs: new Tally() };
      forms.set(key, tally);
      tally.ours.add(equal, ours);
      tally.theirs.add(equal, theirs);
    }
    const key = `${family} | ${rule} | ${equal ? "rejected" : "accepted"}`;
    const count = mistakes.get(key) ?? { ours: 0, theirs: 0 };
    if (ours !== equal) {
      count.ours++;
      const texts = family === "gpqa" ? "" : `${pair.gold}  ~  ${pair.answer}`;
      console.log(`${key}: ${texts} (${verdicts[i].reason})`);
    }
    if (theirs !== equal) count.theirs++;
    if (count.ours + count.theirs > 0) mistakes.set(key, count);
  }
  const rest = [...forms.keys()].filter((key) => key !== "all" && key !== "mathematics").sort();
  const lines = [
    `## ${name[0].toUpperCase()}${name.slice(1)}`,
    "",
    "| pairs of | n | ours, % | FP | FN | math-verify, % | FP | FN |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...["all", "mathematics", ...rest].map((form) => row(form, forms.get(form)!)),
    "",
    "Every class of mistake: equal answers that were rejected, near misses that were accepted.",
    "",
    "| form | rewriting | mistake | ours | math-verify |",
    "| --- | --- | --- | ---: | ---: |",
    ...[...mistakes].sort(([a], [b]) => a < b ? -1 : 1).map(([key, { ours, theirs }]) =>
      `| ${key} | ${ours} | ${theirs} |`
    ),
    "",
  ];
  return { lines, pairsPerSecond };
}

function row(form: string, { ours, theirs }: { ours: Tally; theirs: Tally }): string {
  return `| ${form} | ${ours.pairs} | ${ours.accuracy} | ${ours.falsePositives} ` +
    `| ${ours.falseNegatives} | ${theirs.accuracy} | ${theirs.falsePositives} ` +
    `| ${theirs.falseNegatives} |`;
}

await using pool = new GradePool();
const lines = [
  "# Grading quality",
  "",
  "Written by `grade_quality.ts` from the pairs of `grade_pairs.py` (seeded; math-verify 0.9.0 with a",
  "time limit of 60 s). Labels follow from how a pair was made. FP: paid for a wrong answer; FN: did not",
  "pay for a right one. `mathematics` leaves out words and GPQA, whose options math-verify is not told.",
  "",
  "The rules that make the pairs were known while the grader was written, so the figures say that both",
  "agree with these rules, not that no answer can be misjudged.",
  "",
];
for (const set of Deno.args) {
  const [name, path] = set.split("=");
  const report = await measure(pool, name, path);
  lines.push(...report.lines);
  console.log(report.lines.slice(2, 6).join("\n"));
  console.log(`${name}: ${report.pairsPerSecond.toFixed(0)} pairs/s`);
}
console.log(pool.counts);
await Deno.writeTextFile(new URL("grade_quality.md", import.meta.url), lines.join("\n"));
