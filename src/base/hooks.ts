/**
 * What long work tells while it runs.
 *
 * @module
 */
import type { Metrics } from "./metrics.ts";

/** Listeners of a run or an evaluation. */
export interface Hooks {
  /** A phase of `total` steps begins, at step `from` when work is taken up again. */
  onPhase?(name: string, total: number, from: number): void;
  /** A step of the phase is done. */
  onStep?(step: number, metrics: Metrics): void;
  /** Something worth a line. */
  onNote?(text: string): void;
}
