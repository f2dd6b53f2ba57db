/**
 * The benchmarks of the paper's table, and GSM8K.
 *
 * @module
 */
import { join } from "node:path";
import { dataNotes, loadProblems, type Problem } from "../data/mod.ts";
import { exists, UserError } from "../base/mod.ts";

/** A benchmark as tables show it. */
export interface Benchmark {
  /** Its name on the command line, and that of its file: `<name>.jsonl`. */
  readonly name: string;
  /** Its name in tables. */
  readonly title: string;
  /** How many problems the published set has. */
  readonly size: number;
}

/** In the order of the paper's table (Thinker, arXiv 2505.21097); GSM8K is not in it. */
export const benchmarks: readonly Benchmark[] = [
  { name: "math500", title: "MATH500", size: 500 },
  { name: "aime24", title: "AIME24", size: 30 },
  { name: "aime25", title: "AIME25", size: 30 },
  { name: "gpqa_diamond", title: "GPQA-D", size: 198 },
  { name: "olympiadbench", title: "Olympiad", size: 675 },
  { name: "amc23", title: "AMC23", size: 40 },
  { name: "minerva_math", title: "Minerva", size: 272 },
  { name: "college_math", title: "College", size: 2818 },
  { name: "gsm8k", title: "GSM8K", size: 1319 },
];

/** The title of a set of problems: a benchmark's, or the name itself. */
export function titleOf(name: string): string {
  return benchmarks.find((each) => each.name === name)?.title ?? name;
}

/**
 * Reads the problems of a set: `<name>.jsonl` of the folder.
 *
 * @param limit Only the first so many.
 * @param onNote Told which rows cannot be asked.
 * @throws {UserError} when the file is missing or has no usable row.
 */
export async function loadBenchmark(
  folder: string,
  name: string,
  limit: number = Infinity,
  onNote?: (text: string) => void,
): Promise<Problem[]> {
  const path = join(folder, `${name}.jsonl`);
  if (!await exists(path)) {
    const known = benchmarks.map((each) => each.name);
    throw new UserError(`there is no ${path}`, {
      hint: known.includes(name)
        ? "`deno task data` fetches the benchmarks; --data names the folder they are in"
        : `benchmarks: ${known.join(", ")}; of your own set, put <name>.jsonl into the folder`,
    });
  }
  const { problems, skipped } = await loadProblems(path);
  for (const note of dataNotes(path, { skipped, remarks: [] })) onNote?.(note);
  return problems.slice(0, limit);
}
