/**
 * What goes into the engine and comes out of it.
 *
 * @module
 */

/** How tokens are drawn. Training uses temperature alone: its loss applies the same distribution. */
export interface SamplingOptions {
  /** 0: the most likely token. */
  readonly temperature: number;
  /** Smallest set of tokens with at least this probability; 1: all. */
  readonly topP: number;
  /** The k most likely tokens; 0: all. */
  readonly topK: number;
}

/** What was sampled in one turn. */
export interface Turn {
  /** Token ids; a sampled stop token is the last. */
  readonly ids: number[];
  /** Log-probability of each token under the distribution it was drawn from. */
  readonly logprobs: number[];
  /** The budget was spent before a stop token. */
  readonly truncated: boolean;
}

/** What follows a turn in the same sequence: tokens to read, then tokens to sample. */
export interface Continuation {
  /** Token ids that are read but not sampled, e.g. the opening of the next turn. */
  readonly append: readonly number[];
  /** Most tokens to sample. */
  readonly budget: number;
}

/** One sequence to generate. */
export interface SequenceRequest {
  /** With the seed and the position, the key of every random number: unique in a run. */
  readonly id: bigint;
  /** Called before its first token is read or sampled, with the version of the weights that it begins with. */
  onStart?(version: number): void;
  /** Called when a turn ends; null ends the sequence. May be asynchronous: the sequence waits. */
  onTurn(turn: Turn): Continuation | null | Promise<Continuation | null>;
  /** Called with new tokens as they become known. */
  onTokens?(ids: readonly number[]): void;
}

/** Sequences that start from one prompt; its KV cache is computed once and shared. */
export interface PromptRequest {
  /** Token ids; at least one. */
  readonly prompt: readonly number[];
  /** Most tokens of the first turn. */
  readonly budget: number;
  /** Upper bound on the length of each sequence, all turns and appended tokens included. */
  readonly maxTokens: number;
  /** What starts from it: one entry per sample. */
  readonly sequences: readonly SequenceRequest[];
  /** Tokens that a sequence is likely to come to: `run` begins with the longest. Default: maxTokens. */
  readonly expected?: number;
}

/** How an engine is set up. */
export interface EngineOptions {
  /** Sequences that decode at the same time. */
  readonly maxSequences: number;
  /** Tokens of the KV cache, over all sequences. */
  readonly cacheTokens: number;
  /** Longest sequence in tokens. */
  readonly maxTokens: number;
  /** Tokens that end a turn. */
  readonly stop: readonly number[];
  /** Positions per cache block, a multiple of the device's `kvTile`; default: as many. */
  readonly blockSize?: number;
  /** Most prompt tokens read in one step; default 1024. */
  readonly prefillChunk?: number;
  /** Most decode steps between two looks at the results; default 8. Fewer are taken where a step is long. */
  readonly stepsPerSync?: number;
  /**
   * Whether the device gets a round before the host has looked at the one before it; default: on a GPU. A CPU
   * works with the host's own cores: there is nothing to gain, and rows idle for a round when a turn ends.
   */
  readonly lookahead?: boolean;
}

/** How a request is sampled. */
export interface RunOptions {
  /** With sequence id and position, the key of every random number. */
  readonly seed: bigint;
  /** How every token of it is drawn. */
  readonly sampling: SamplingOptions;
  /** Checked between rounds; aborting ends the request and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How a request is submitted. */
export interface SubmitOptions extends RunOptions {
  /**
   * A request of priority p is served as if it had come before the last 1,000 p sequences that were waiting
   * when it came; default 0. However many of high priority come, each one overtakes only so many: none starves.
   * A whole number.
   */
  readonly priority?: number;
}

/** What came of a request. */
export interface Submitted {
  /** Tokens sampled. */
  readonly sampled: number;
  /** Tokens read; not those that stood in the cache already. */
  readonly prefilled: number;
  /** How often a sequence gave its part of the cache back, and read its tokens again later. */
  readonly preempted: number;
}

/** What a run did. */
export interface RunStats {
  /** Tokens sampled. */
  readonly sampled: number;
  /** Tokens read: prompts and appended turns, and again what was preempted. */
  readonly prefilled: number;
  /** Decode steps. */
  readonly steps: number;
  /** Most sequences that were decoded at the same time. */
  readonly widest: number;
  /**
   * Share of the work of `widest` rows in all steps that sampled nothing: rows that wait to read or for
   * their owners, and the tail, when few sequences are left.
   */
  readonly idle: number;
  /** How often a sequence gave its part of the cache back, and read its tokens again later. */
  readonly preempted: number;
  /** Wall-clock seconds. */
  readonly seconds: number;
  /**
   * Bytes that the decode steps had to read at least (weights once a step, live KV once a row): over
   * measured bandwidth it gives the bound.
   */
  readonly decodeBytes: number;
}
