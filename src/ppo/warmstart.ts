/**
 * Supervised warm start: cross-entropy on the actions of given dialogues.
 *
 * @module
 */
import type { Stream } from "../../ffi/mod.ts";
import * as z from "npm:zod@4.6.7";
import type { Decoder } from "../model/mod.ts";
import type { Fields, Schema } from "../base/mod.ts";
import { Passes } from "./passes.ts";
import { AdamW } from "./optimizer.ts";
import { actionsOf, pack, type Sample } from "./packing.ts";

/** Settings of a supervised warm start. */
export interface WarmstartConfig {
  /** Optimizer updates. */
  readonly steps: number;
  /** Dialogues per update. */
  readonly batch: number;
  /** Peak learning rate: reached linearly over a twentieth of the steps, then a cosine to a tenth. */
  readonly lr: number;
  /** How often scripted turns are right, by stage. */
  readonly skill: Readonly<Record<string, number>>;
}

const share = z.number().min(0).max(1);

/** Checks the `warmstart` part of a training config; nothing has a default. */
export const warmstartSchema: Schema<WarmstartConfig> = z.strictObject<Fields<WarmstartConfig>>({
  steps: z.int().positive(),
  batch: z.int().positive().max(1_000_000),
  lr: z.number().positive(),
  skill: z.record(z.string(), share),
});

/** Progress of a warm start, one a step. */
export interface WarmstartStep {
  /** Number of the update, from 1. */
  readonly step: number;
  /** Mean cross-entropy of an action, in nats. */
  readonly loss: number;
  /** L2 norm of the gradient before clipping. */
  readonly grad_norm: number;
  /** 1 where this update was skipped, as its gradient was not finite; else 0. */
  readonly skipped_updates: number;
  /** Action tokens trained on so far. */
  readonly tokens: number;
  /** Wall-clock time of this update. */
  readonly seconds: number;
}

/** A supervised warm start: between two updates it can be left and taken up again. */
export class Warmstart implements Disposable {
  /** The moments, for checkpoints. */
  readonly optimizer: AdamW;
  /** Updates done. */
  step = 0;
  /** Action tokens trained on so far. */
  tokens = 0;
  readonly #stream: Stream;
  readonly #decoder: Decoder;
  readonly #config: WarmstartConfig;
  readonly #packTokens: number;
  readonly #passes: Passes;

  /** Allocates optimizer state and scratch memory; clears the decoder's gradients. */
  constructor(
    { stream, decoder }: { stream: Stream; decoder: Decoder },
    config: WarmstartConfig,
    packTokens: number,
  ) {
    this.#stream = stream;
    this.#decoder = decoder;
    this.#config = config;
    this.#packTokens = packTokens;
    const adam = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, maxNorm: 1 } as const;
    stream.fill(decoder.params.grads!.flat, 0);
    this.optimizer = new AdamW(stream, decoder, adam);
    this.#passes = new Passes(stream, [decoder], packTokens);
  }

  /**
   * Trains the decoder on `nextBatch()` after `nextBatch()`, calling `onStep` after each update. Rejects with
   * the reason of an aborted signal only between two updates.
   */
  async run({ nextBatch, signal, onStep }: {
    readonly nextBatch: (step: number) => Promise<readonly Sample[]>;
    readonly signal?: AbortSignal;
    readonly onStep?: (step: WarmstartStep) => void;
  }): Promise<void> {
    while (this.step < this.#config.steps) {
      signal?.throwIfAborted();
      const began = performance.now();
      const { loss, norm } = await this.#update(await nextBatch(this.step + 1));
      const { step, tokens } = this, seconds = (performance.now() - began) / 1000;
      const skipped = Number.isFinite(norm) ? 0 : 1;
      onStep?.({ step, loss, grad_norm: norm, skipped_updates: skipped, tokens, seconds });
    }
  }

  async #update(samples: readonly Sample[]): Promise<{ loss: number; norm: number }> {
    const n = samples.reduce((total, sample) => total + actionsOf(sample), 0);
    for (const each of pack(samples, this.#packTokens)) {
      this.#passes.crossEntropy(this.#decoder, each, 1 / n);
    }
    const { lr, steps } = this.#config;
    const norm = await this.optimizer.step(this.#stream, lr * schedule(this.step + 1, steps));
    const { loss } = await this.#passes.takeStats();
    this.step++;
    if (Number.isFinite(norm)) this.tokens += n;
    return { loss, norm };
  }

  /** Frees optimizer state and scratch memory; the decoder stays. */
  [Symbol.dispose](): void {
    this.#passes[Symbol.dispose]();
    this.optimizer[Symbol.dispose]();
  }
}

/** Share of the peak learning rate at a step. */
function schedule(step: number, steps: number): number {
  const warmup = Math.ceil(steps / 20);
  if (step <= warmup) return step / warmup;
  const progress = (step - warmup) / Math.max(1, steps - warmup);
  return 0.1 + 0.45 * (1 + Math.cos(Math.PI * progress));
}
