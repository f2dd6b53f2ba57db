/**
 * Whole models with random weights: the decode step of the engine and the update of the trainer.
 *
 * @module
 */
import { dtypeBytes, type Precision, type Stream } from "../ffi/mod.ts";
import { DeviceBatch } from "../src/engine/batch.ts";
import { Decoder, type ModelConfig } from "../src/model/mod.ts";
import { tinyVocabSize } from "../src/tiny/mod.ts";
import { AdamW, type Pack, pack, Passes } from "../src/ppo/mod.ts";
import { presets } from "../src/setup/mod.ts";
import { now } from "./clock.ts";
import { fillRandom } from "./workbench.ts";

const qwen2 = {
  architecture: "Qwen2ForCausalLM",
  ropeTheta: 1e6,
  normEps: 1e-6,
  tiedHead: true,
  qkvBias: true,
  qkNorm: false,
  eos: [],
  bos: null,
  dtype: "float32",
} as const;

/** The model that `deno task train` makes. */
export const tiny: ModelConfig = { ...qwen2, ...presets.tiny.shape, vocab: tinyVocabSize };

/** Qwen2.5-0.5B. */
export const qwen05b: ModelConfig = {
  ...qwen2,
  hidden: 896,
  ffn: 4864,
  layers: 24,
  heads: 14,
  kvHeads: 2,
  headDim: 64,
  vocab: 151_936,
  maxPositions: 512,
};

/** Qwen2.5-1.5B, for sequences of up to 16,384 tokens. */
export const qwen15b: ModelConfig = {
  ...qwen05b,
  hidden: 1536,
  ffn: 8960,
  layers: 28,
  heads: 12,
  headDim: 128,
  maxPositions: 16_384,
};

/** Qwen2.5-7B, likewise. */
export const qwen7b: ModelConfig = {
  ...qwen15b,
  hidden: 3584,
  ffn: 18_944,
  heads: 28,
  kvHeads: 4,
  vocab: 152_064,
  tiedHead: false,
};

/** The shape of SmolLM2-135M: a Llama, which has the layers of Qwen2 but no biases. */
export const smol135m: ModelConfig = {
  ...qwen2,
  qkvBias: false,
  ropeTheta: 1e5,
  normEps: 1e-5,
  hidden: 576,
  ffn: 1536,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  vocab: 49_152,
  maxPositions: 1024,
};

/** Work of one step, and how many tokens it makes or trains on. */
export interface StepCost {
  readonly tokens: number;
  readonly flops: number;
  /** Bytes that must be read at least; 0 where FLOPs are the bound. */
  readonly bytes: number;
}

/** Weights of the matrix products that a token goes through. */
export function productWeights(config: ModelConfig): number {
  const { hidden: C, ffn: F, layers, heads, kvHeads, headDim: D, vocab } = config;
  return layers * ((heads + 2 * kvHeads) * D * C + heads * D * C + 3 * F * C) + vocab * C;
}

/**
 * A decode step of `batch` sequences that hold `context` tokens each; `weights` and `cache` are the
 * element types of what is read.
 */
export function decodeCost(
  config: ModelConfig,
  batch: number,
  context: number,
  precision: { weights?: Precision; cache?: Precision } = {},
): StepCost {
  const { layers, heads, kvHeads, headDim: D } = config;
  const weights = productWeights(config);
  return {
    tokens: batch,
    flops: batch * (2 * weights + layers * 4 * D * heads * context),
    bytes: dtypeBytes[precision.weights ?? "f32"] * weights +
      dtypeBytes[precision.cache ?? "f32"] * batch * layers * 2 * kvHeads * D * context,
  };
}

/** Forward and backward over `sequences` of `length` tokens. */
export function trainingCost(config: ModelConfig, sequences: number, length: number): StepCost {
  const { layers, heads, headDim: D } = config;
  const attention = layers * 3.5 * 4 * D * heads * length * (length + 1) / 2;
  const tokens = sequences * length;
  return { tokens, flops: tokens * 6 * productWeights(config) + sequences * attention, bytes: 0 };
}

/** A decoder of random weights. Gradients are there only to be trained. */
export function randomDecoder(
  stream: Stream,
  config: ModelConfig,
  options: { train: boolean; weights?: Precision },
): Decoder {
  const decoder = new Decoder(stream, config, { head: "lm", ...options });
  const { master, layout } = decoder.params;
  fillRandom(stream, master.flat);
  for (const { name, shape, offset } of layout.slots.values()) {
    if (name.endsWith("norm.weight")) stream.fill(master.flat.view(offset, shape), 1);
  }
  decoder.params.refresh(stream);
  return decoder;
}

/** Bytes of a decoder: master and packed weights, for training also gradients and moments. */
export function decoderBytes(config: ModelConfig, options: { train: boolean }): number {
  return 4 * productWeights(config) * (options.train ? 5 : 2);
}

/** Rounds of decode steps as the engine runs them, always at the same place of the sequences. */
export class DecodeBench implements Disposable {
  readonly #batch: DeviceBatch;
  readonly #rows: number;
  readonly #context: number;

  /** Steps of a round: many, because the engine enqueues the next one before it looks at this one. */
  static readonly steps = 4;

  /**
   * Fills the cache of every sequence. Only its first block is read as tokens, all others are copies of
   * it: what is in the cache changes no time, and reading it all would take longer than what is measured.
   */
  constructor(
    stream: Stream,
    decoder: Decoder,
    { batch, context }: { batch: number; context: number },
  ) {
    const block = stream.device.info.kvTile;
    const maxBlocks = Math.ceil((context + DecodeBench.steps) / block);
    this.#batch = new DeviceBatch(stream, decoder, {
      maxSequences: batch,
      blocks: batch * maxBlocks,
      blockSize: block,
      maxBlocks,
      prefillChunk: block,
      steps: DecodeBench.steps,
      stop: [-1], // no token: a row never ends
    });
    for (let row = 0; row < batch; row++) {
      this.#batch.setTable(row, Array.from({ length: maxBlocks }, (_, i) => row * maxBlocks + i));
    }
    const { vocab } = decoder.config;
    const tokens = Array.from({ length: block }, (_, position) => position * 7919 % vocab);
    this.#batch.prefill([{ slot: 0, position: 0, tokens }]);
    this.#batch.copyBlocks(Array.from({ length: batch * maxBlocks - 1 }, (_, i) => [0, i + 1]));
    this.#rows = batch;
    this.#context = context;
  }

  /** Seconds of one step, from a round of them. */
  async round(): Promise<number> {
    const sampling = { temperature: 1, topP: 1, topK: 0 };
    const begin = now();
    const position = this.#context, remaining = DecodeBench.steps;
    for (let row = 0; row < this.#rows; row++) {
      const id = BigInt(row);
      this.#batch.setRow(row, { seed: 1n, id, sampling, token: row, position, remaining });
    }
    const result = await this.#batch.decode(this.#rows, DecodeBench.steps);
    const seconds = now() - begin;
    for (let row = 0; row < this.#rows; row++) {
      if (result.of(row).ids.length !== DecodeBench.steps) {
        throw new Error("a decode step sampled no token");
      }
    }
    return seconds / DecodeBench.steps;
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
  }
}

/** The first `length` tokens of one sequence, read at once as the engine reads a prompt. */
export class PrefillBench implements Disposable {
  readonly #stream: Stream;
  readonly #batch: DeviceBatch;
  readonly #tokens: readonly number[];

  /** Takes a cache of one sequence. */
  constructor(stream: Stream, decoder: Decoder, length: number) {
    const block = stream.device.info.kvTile, maxBlocks = Math.ceil(length / block);
    this.#stream = stream;
    this.#batch = new DeviceBatch(stream, decoder, {
      maxSequences: 1,
      blocks: maxBlocks,
      blockSize: block,
      maxBlocks,
      prefillChunk: length,
      steps: 1,
      stop: [-1],
    });
    this.#batch.setTable(0, Array.from({ length: maxBlocks }, (_, i) => i));
    const { vocab } = decoder.config;
    this.#tokens = Array.from({ length }, (_, position) => position * 7919 % vocab);
  }

  /** Seconds of one reading. */
  async round(): Promise<number> {
    await this.#stream.sync();
    const begin = now();
    this.#batch.prefill([{ slot: 0, position: 0, tokens: this.#tokens }]);
    await this.#stream.sync();
    return now() - begin;
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
  }
}

/** Updates as the trainer makes them: forward, loss, backward, AdamW, new packed weights. */
export class TrainingBench implements Disposable {
  readonly #stream: Stream;
  readonly #decoder: Decoder;
  readonly #passes: Passes;
  readonly #optimizer: AdamW;
  readonly #pack: Pack;

  /** Every token but the first of a sequence is trained on. */
  constructor(
    stream: Stream,
    decoder: Decoder,
    { sequences, length }: { sequences: number; length: number },
  ) {
    this.#stream = stream;
    this.#decoder = decoder;
    const { vocab } = decoder.config;
    const samples = Array.from({ length: sequences }, (_, s) => ({
      ids: Int32Array.from({ length }, (_, i) => (s * length + i) * 7919 % vocab),
      spans: [{ start: 1, length: length - 1 }],
    }));
    [this.#pack] = pack(samples, sequences * length);
    this.#passes = new Passes(stream, [decoder], this.#pack.tokens);
    const adam = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, maxNorm: 1 } as const;
    this.#optimizer = new AdamW(stream, decoder, adam);
    stream.fill(decoder.params.grads!.flat, 0);
  }

  /** Seconds of one update. */
  async round(): Promise<number> {
    await this.#stream.sync();
    const begin = now();
    this.#passes.crossEntropy(this.#decoder, this.#pack, 1 / this.#pack.rows.length);
    const norm = await this.#optimizer.step(this.#stream, 1e-6);
    await this.#stream.sync();
    const seconds = now() - begin;
    if (!Number.isFinite(norm)) throw new Error(`the gradient norm is ${norm}`);
    return seconds;
  }

  [Symbol.dispose](): void {
    this.#optimizer[Symbol.dispose]();
    this.#passes[Symbol.dispose]();
  }
}
