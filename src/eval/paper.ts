/**
 * What the paper reports: Thinker, arXiv 2505.21097, second version. Accuracy in percent, the mean of
 * 16 samples.
 *
 * @module
 */

/** One row of the paper's table. */
export interface PaperResult {
  /** The model that was trained. */
  readonly model: string;
  /** `Pretrained`, `Baseline`, `Thinker` or `Thinker-Fast`. */
  readonly name: string;
  /** Accuracy in percent by benchmark; empty where only the average is known. */
  readonly accuracy: Readonly<Record<string, number>>;
  /** Mean over the eight benchmarks, in percent. */
  readonly average: number;
}

const columns = [
  "math500",
  "aime24",
  "aime25",
  "gpqa_diamond",
  "olympiadbench",
  "amc23",
  "minerva_math",
  "college_math",
];

function result(model: string, name: string, values: number[], average: number): PaperResult {
  const accuracy = Object.fromEntries(values.map((value, i) => [columns[i], value]));
  return { model, name, accuracy, average };
}

const q15 = "Qwen2.5-1.5B", r15 = "R1-Distill-Qwen-1.5B", r7 = "R1-Distill-Qwen-7B";

/** The paper's results, model by model. */
export const paperResults: readonly PaperResult[] = [
  result(q15, "Pretrained", [9.05, 0, 0, 4.55, 3.09, 4.06, 2.3, 7.4], 3.81),
  result(q15, "Baseline", [59.82, 4.1, 2.43, 20.52, 26.05, 35.36, 19.25, 37.42], 25.62),
  result(q15, "Thinker", [64.45, 6.25, 2.22, 19.21, 28.21, 39.06, 20.38, 38.82], 27.33),
  result(q15, "Thinker-Fast", [59.82, 4.58, 1.25, 21.28, 24.52, 34.53, 17.85, 37.58], 25.18),
  result(r15, "Pretrained", [76.21, 17.5, 17.92, 13.76, 37.46, 55.94, 24.82, 38.85], 35.31),
  result(r15, "Baseline", [86.24, 35.42, 23.75, 25.69, 49.22, 72.81, 32.08, 42.02], 45.9),
  result(r15, "Thinker", [88.51, 38.96, 26.67, 37.41, 55.49, 83.59, 34.77, 42.46], 50.98),
  result(r15, "Thinker-Fast", [81.35, 18.33, 14.58, 28.85, 45.68, 66.41, 31.39, 41.74], 41.05),
  result(r7, "Pretrained", [], 39.65),
  result(r7, "Baseline", [], 54.41),
  result(r7, "Thinker", [93.04, 56.25, 41.46, 41.51, 62.12, 91.09, 44.39, 42.84], 59.09),
  result(r7, "Thinker-Fast", [], 47.19),
];

/** Mean response lengths that the paper reports for R1-Distill-Qwen-1.5B, in tokens. */
export const paperLengths: readonly {
  readonly model: string;
  readonly name: string;
  readonly tokens: Readonly<Record<string, number>>;
}[] = [
  { model: r15, name: "Baseline", tokens: { math500: 2780, aime24: 5778, amc23: 3938 } },
  { model: r15, name: "Thinker", tokens: { math500: 2501, aime24: 5597, amc23: 3517 } },
  { model: r15, name: "Thinker-Fast", tokens: { math500: 600, aime24: 853, amc23: 751 } },
];
