/**
 * The decoder over packed sequences: forward and backward through its layers (layer.ts). Decoding
 * (paged.ts) runs the same layers, which is why its log-probs equal those of the training forward pass
 * bit by bit.
 *
 * FLOPs per token: 2 × parameters forward, 4 × backward, plus attention.
 *
 * @module
 */
import {
  type Arena,
  arenaBytes,
  arenaTensors,
  attentionBackward,
  attentionForward,
  embeddingBackward,
  embeddingForward,
  type Heads,
  type Precision,
  rmsnormBackward,
  rmsnormForward,
  rope,
  type Stream,
  type Tensor,
  TensorSet,
  type TensorSpecs,
} from "../../ffi/mod.ts";
import type { ModelConfig } from "./config.ts";
import {
  type Carry,
  type Layer,
  type LayerActivations,
  layerBackward,
  layerForward,
  layerGradientSpecs,
  layerSpecs,
} from "./layer.ts";
import { type HeadKind, Parameters } from "./parameters.ts";
import { ropeTable } from "./rope.ts";

/** Token sequences packed one after the other, on the device. */
export interface PackedBatch {
  /** `(T)` int32. */
  readonly ids: Tensor;
  /** `(T)` int32: position of each token in its sequence. */
  readonly positions: Tensor;
  /** `(B + 1)` int32: where sequences begin. */
  readonly cuSeqlens: Tensor;
}

/** Uploads sequences as one packed batch into the arena. */
export function packBatch(
  stream: Stream,
  arena: Arena,
  sequences: readonly ArrayLike<number>[],
): PackedBatch {
  const T = sequences.reduce((total, s) => total + s.length, 0);
  const ids = new Int32Array(T), positions = new Int32Array(T);
  const cuSeqlens = new Int32Array(sequences.length + 1);
  sequences.forEach((sequence, b) => {
    const start = cuSeqlens[b];
    ids.set(sequence, start);
    for (let i = 0; i < sequence.length; i++) positions[start + i] = i;
    cuSeqlens[b + 1] = start + sequence.length;
  });
  const put = (data: Int32Array) => {
    const tensor = arena.alloc("i32", [data.length]);
    stream.upload(tensor, data);
    return tensor;
  };
  return { ids: put(ids), positions: put(positions), cuSeqlens: put(cuSeqlens) };
}

/** The result of a forward pass, and what `backward` needs. */
export interface ForwardPass {
  /** What went in. */
  readonly batch: PackedBatch;
  /** `(T, C)`: hidden states after the final norm. */
  readonly hidden: Tensor;
  /** @internal Per layer: all activations, or with recomputation only the layer's input. */
  readonly layers: readonly (LayerActivations | Tensor)[];
  /** `(T, C)`: input of the final norm. */
  readonly last: Tensor;
  /** `(T)`: reciprocal standard deviations of the final norm. */
  readonly lastRstd: Tensor;
}

/** How a decoder is set up. */
export interface DecoderOptions {
  /** Logits for a policy, one value per token for a critic. */
  readonly head: HeadKind;
  /** Allocate gradients. */
  readonly train: boolean;
  /** Keep only each layer's input and recompute the rest in the backward pass. */
  readonly recompute?: boolean;
  /** Longest sequence, in tokens; default: the config's. */
  readonly maxPositions?: number;
  /** Type of activations and KV cache; default: the device's. */
  readonly dtype?: Precision;
  /**
   * Type of the packed weights, what the matrix products read; default: that of the activations.
   * Decoding is bound by reading them.
   */
  readonly weights?: Precision;
}

/** The tensors of a pass over T tokens that belong to no layer. */
function passSpecs(config: ModelConfig, T: number, dtype: Precision, keepAll: boolean) {
  const { hidden: C } = config;
  return {
    hidden: [dtype, T, C],
    last: [dtype, T, C],
    lastRstd: ["f32", T],
    /** Where a layer's output survives the release of its memory, together with `last`. */
    delta: [dtype, keepAll ? 0 : T, C],
  } satisfies TensorSpecs;
}

/** How a packed batch is passed through a decoder. */
export interface PassOptions {
  /** With a backward pass. */
  readonly train: boolean;
  /** Only each layer's input is kept between the two. */
  readonly recompute: boolean;
  /** Element type of the activations. */
  readonly dtype: Precision;
}

/**
 * Bytes of arena that a packed batch of T tokens, its forward and, with `train`, its backward pass (the
 * gradient of the hidden states included) take; the most they do is with T sequences.
 */
export function activationBytes(config: ModelConfig, T: number, options: PassOptions): number {
  const { train, recompute, dtype } = options;
  const keepAll = train && !recompute;
  const { x, ...inner } = layerSpecs(config, T, dtype);
  const gradients = train
    ? arenaBytes({ dHidden: x, dx: x, ...layerGradientSpecs(config, T, dtype) })
    : 0;
  return arenaBytes({ ids: ["i32", T], positions: ["i32", T], cuSeqlens: ["i32", T + 1] }) +
    arenaBytes(passSpecs(config, T, dtype, keepAll)) + gradients +
    (train ? config.layers : 1) * arenaBytes({ x }) +
    (keepAll ? config.layers : 1) * arenaBytes(inner);
}

/** The table of cosines and sines: `(P, D)`. */
export function ropeTableSpecs(config: ModelConfig, positions: number): TensorSpecs<"cosSin"> {
  return { cosSin: ["f32", positions, config.headDim] };
}

/** A decoder-only transformer on one device. */
export class Decoder implements Disposable {
  /** Shape and constants of the architecture. */
  readonly config: ModelConfig;
  /**
   * @internal Weights: float32 masters, gradients where it trains, and the packed copy that kernels
   * read.
   */
  readonly params: Parameters;
  /** @internal Head counts as attention ops take them. */
  readonly heads: Heads;
  /** Softmax scale of attention. */
  readonly scale: number;
  /** @internal `(P, D)`: see `ropeTable`. */
  readonly cosSin: Tensor;
  /** Whether the backward pass computes activations anew. */
  readonly recompute: boolean;
  /** Type of activations and KV cache. */
  readonly dtype: Precision;
  /** Type of the packed weights: what the matrix products read. */
  readonly weights: Precision;
  readonly #memory: Disposable;

  /** Allocates parameters; load or initialise them before use. */
  constructor(stream: Stream, config: ModelConfig, options: DecoderOptions) {
    this.config = config;
    this.recompute = options.recompute ?? false;
    this.heads = { H: config.heads, Hk: config.kvHeads, D: config.headDim };
    this.scale = 1 / Math.sqrt(config.headDim);
    this.dtype = options.dtype ?? stream.device.precision;
    this.weights = options.weights ?? this.dtype;
    const { head, train } = options;
    const positions = options.maxPositions ?? config.maxPositions;
    using stack = new DisposableStack();
    const held = { train, weights: this.weights };
    this.params = stack.use(new Parameters(stream.device, config, head, held));
    const table = stack.use(new TensorSet(stream.device, ropeTableSpecs(config, positions)));
    this.#memory = stack.move();
    this.cosSin = table.t.cosSin;
    stream.upload(this.cosSin, ropeTable(config, positions));
  }

  /**
   * Bytes of arena that a packed batch of `tokens` tokens, its `forward` and, with `train`, its
   * `backward` (`dHidden` included) take.
   */
  activationBytes(tokens: number, options: { train: boolean }): number {
    const { recompute, dtype } = this;
    return activationBytes(this.config, tokens, { ...options, recompute, dtype });
  }

  /**
   * Hidden states of packed sequences. All tensors come from the arena; with `keep` those that
   * `backward` needs stay there, otherwise each layer reuses the memory of the one before.
   */
  forward(
    stream: Stream,
    arena: Arena,
    batch: PackedBatch,
    options: { keep: boolean },
  ): ForwardPass {
    const T = batch.ids.size, C = this.config.hidden;
    const { master } = this.params;
    const keepAll = options.keep && !this.recompute;
    const pass = arenaTensors(arena, passSpecs(this.config, T, this.dtype, keepAll));
    const { hidden, last, lastRstd, delta } = pass;
    const survivor = keepAll ? undefined : { delta, residual: last };
    const layers: (LayerActivations | Tensor)[] = [];
    let carry: Carry | undefined;
    for (let l = 0; l < this.config.layers; l++) {
      const begin = arena.mark();
      const x = arena.alloc(this.dtype, [T, C]);
      const afterInput = arena.mark();
      if (!carry) embeddingForward(stream, { out: x, ids: batch.ids, table: master.embedding });
      const { activations, output } = this.#layerForward(stream, arena, batch, l, x, carry);
      if (options.keep) layers.push(keepAll ? activations : x);
      if (survivor) {
        stream.copy(survivor.delta, output.delta);
        stream.copy(survivor.residual, output.residual);
        arena.release(options.keep ? afterInput : begin);
      }
      carry = survivor ?? output;
    }
    rmsnormForward(stream, {
      y: hidden,
      sum: last,
      rstd: lastRstd,
      x: carry!.delta,
      residual: carry!.residual,
      w: master.finalNorm,
      eps: this.config.normEps,
    });
    return { batch, hidden, layers, last, lastRstd };
  }

  /** @internal Weights and constants of layer l. */
  layer(l: number): Layer {
    const { master, layers } = this.params;
    const { heads, config: { normEps: eps } } = this;
    return { w: master.layers[l], packed: layers[l], heads, eps };
  }

  /**
   * Layer l on its input `x (T, C)`: formed there as the sum of the previous layer's output, or, without
   * `carry`, given.
   */
  #layerForward(
    stream: Stream,
    arena: Arena,
    batch: PackedBatch,
    l: number,
    x: Tensor,
    carry: Carry | undefined,
  ): { activations: LayerActivations; output: Carry } {
    const { x: _, ...specs } = layerSpecs(this.config, batch.ids.size, this.dtype);
    const activations = { x, ...arenaTensors(arena, specs) };
    const { qkv, attention: out, lse } = activations, { positions, cuSeqlens } = batch;
    const { heads, scale, cosSin } = this;
    const output = layerForward(stream, this.layer(l), activations, carry, () => {
      rope(stream, { qkv, positions, cosSin, heads });
      attentionForward(stream, { out, lse, qkv, cuSeqlens, heads, scale });
    });
    return { activations, output };
  }

  /**
   * Accumulates the gradients of every parameter below the head into `params.grads`, from
   * `dHidden (T, C)`, the gradient of `pass.hidden`. The arena must still hold the pass.
   */
  backward(stream: Stream, arena: Arena, pass: ForwardPass, dHidden: Tensor): void {
    const { grads, master } = this.params;
    if (!grads) throw new Error("backward on a model without gradients");
    const T = pass.batch.ids.size, C = this.config.hidden;
    const dx = arena.alloc(this.dtype, [T, C]);
    rmsnormBackward(stream, {
      dx,
      dw: grads.finalNorm,
      dy: dHidden,
      x: pass.last,
      rstd: pass.lastRstd,
      w: master.finalNorm,
    });
    for (let l = this.config.layers - 1; l >= 0; l--) {
      const mark = arena.mark();
      const saved = pass.layers[l];
      const activations = "x" in saved
        ? saved
        : this.#layerForward(stream, arena, pass.batch, l, saved, undefined).activations;
      this.#layerBackward(stream, arena, pass.batch, l, activations, dx);
      arena.release(mark);
    }
    embeddingBackward(stream, { dtable: grads.embedding, ids: pass.batch.ids, dout: dx });
  }

  #layerBackward(
    stream: Stream,
    arena: Arena,
    { positions, cuSeqlens }: PackedBatch,
    l: number,
    saved: LayerActivations,
    dx: Tensor,
  ): void {
    const d = arenaTensors(arena, layerGradientSpecs(this.config, dx.shape[0], this.dtype));
    const { qkv, attention: out, lse } = saved, { dqkv, dattention: dout } = d;
    const { heads, scale, cosSin } = this;
    layerBackward(stream, this.layer(l), this.params.grads!.layers[l], saved, d, dx, () => {
      attentionBackward(stream, { dqkv, dout, out, lse, qkv, cuSeqlens, heads, scale });
      rope(stream, { qkv: dqkv, positions, cosSin, heads, inverse: true });
    });
  }

  /** Frees weights, gradients and the table of positions. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
