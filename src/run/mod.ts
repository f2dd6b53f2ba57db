/**
 * The room of one training run on disk: its folder (`runs/<name>/`) with configuration, logs and
 * checkpoints, the names and the order of its metrics, and the report written at the end.
 * Everything here survives a kill at any moment: files appear whole by rename, and logs are cut
 * back to the last complete checkpoint on resume.
 *
 * @module
 */

export { JsonlWriter, readJsonl, truncateAfter } from "./jsonl.ts";
export { RunFolder } from "./folder.ts";
export type { Checkpoint } from "./folder.ts";
export {
  clockKeys,
  compareKeys,
  compareStages,
  groupOf,
  isEvalCount,
  orderMetrics,
  readMetrics,
  stripClock,
} from "./metrics.ts";
export type { Metrics } from "./metrics.ts";
export type { EpisodeSample, EpisodeTurn } from "./episodes.ts";
export { writeReport } from "./report.ts";
export type { ReportOptions, ReportRow } from "./report.ts";
export { renderChart } from "./chart.ts";
