/**
 * What came of the updates of one model in one step.
 *
 * @module
 */
import { mean } from "../base/mod.ts";

/** Counts updates by their gradient norms. */
export class Updates {
  /** Gradients above this norm are scaled down to it. */
  readonly limit: number;
  readonly #norms: number[] = [];
  #trained = 0;

  /**
   * @param usual The median norm of late; undefined where there is none yet: then no norm is a spike.
   * @param factor `ppo.spikeFactor`.
   */
  constructor(usual: number | undefined, factor: number | null) {
    this.limit = (usual ?? Infinity) * (factor ?? Infinity);
  }

  /** Books an update over so many action tokens. */
  add(norm: number, tokens: number): void {
    this.#norms.push(norm);
    if (Number.isFinite(norm)) this.#trained += tokens;
  }

  /** How many there were. */
  get count(): number {
    return this.#norms.length;
  }

  /** Action tokens of those that were taken. */
  get trained(): number {
    return this.#trained;
  }

  /** Their mean norm, how many were skipped and how many scaled down; `prefix` as in `ppo/critic_`. */
  metrics(prefix: string): Record<string, number> {
    const taken = this.#norms.filter(Number.isFinite);
    return {
      [`${prefix}grad_norm`]: mean(taken),
      [`${prefix}skipped_updates`]: this.count - taken.length,
      [`${prefix}spikes`]: taken.filter((norm) => norm > this.limit).length,
    };
  }
}
