/**
 * What the scheduler asks of a device.
 *
 * @module
 */
import type { SamplingOptions } from "./types.ts";

/** The state of a row when a turn begins on it. */
export interface DecodeRow {
  readonly seed: bigint;
  readonly id: bigint;
  readonly sampling: SamplingOptions;
  readonly token: number;
  readonly position: number;
  readonly remaining: number;
}

/** Tokens of one text to be read into the cache, from a position on, through a row's block table. */
export interface PrefillRun {
  readonly slot: number;
  readonly position: number;
  readonly tokens: readonly number[];
}

/** What a decode round sampled. */
export interface RoundResult {
  /** Of one row. */
  of(slot: number): { readonly ids: Int32Array; readonly logprobs: Float32Array };
}

/** What is scheduled: the device side of an engine. Work is done in the order in which it is asked for. */
export interface Batch {
  /** Changes with the weights: what the cache holds of others is of no use. */
  readonly version: number;
  /** Copies cache blocks: (source, destination) pairs; no block is in both places. */
  copyBlocks(pairs: readonly (readonly [number, number])[]): void;
  /** The blocks of a row's sequence. */
  setTable(slot: number, blocks: readonly number[]): void;
  /** Begins a turn on a row. */
  setRow(slot: number, row: DecodeRow): void;
  /** The row samples nothing until the next turn on it. */
  idleRow(slot: number): void;
  /** Reads tokens into the cache. */
  prefill(runs: readonly PrefillRun[]): void;
  /** After a failure, when nothing is known of what has been done: all rows are idle. */
  reset(): void;
  /** Decode steps for the first `rows` rows; resolves with what they sampled. */
  decode(rows: number, steps: number): Promise<RoundResult>;
}
