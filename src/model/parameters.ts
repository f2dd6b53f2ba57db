/**
 * The parameters of a decoder as ONE flat float32 buffer, in a fixed order, with Hugging Face's names.
 * Gradients and optimizer state are buffers of the same length, so sharding any of them is a slice.
 *
 * Matrices come first and vectors (norms, biases) last: weight decay is a prefix. q, k and v, and gate
 * and up, lie side by side, so that each pair or triple is one fused matrix without a copy.
 *
 * @module
 */
import {
  type Device,
  linearPack,
  packedBytes,
  type PackedWeight,
  type Precision,
  type Stream,
  type Tensor,
  TensorSet,
  type TensorSpecs,
} from "../../ffi/mod.ts";
import type { ModelConfig } from "./config.ts";

/** What stands on top of the decoder: logits over the vocabulary, or one value a token. */
export type HeadKind = "lm" | "value";

/** One named parameter inside the flat buffer. */
export interface ParameterSlot {
  /** Hugging Face's name. */
  readonly name: string;
  /** `(N, K)` of a matrix, `(N)` of a vector. */
  readonly shape: readonly number[];
  /** First element in the flat buffer. */
  readonly offset: number;
}

/** Where every parameter lies. */
export interface ParameterLayout {
  /** By name, in the order of the buffer. */
  readonly slots: ReadonlyMap<string, ParameterSlot>;
  /** Elements in all. */
  readonly size: number;
  /** Elements of the leading matrices, the part that weight decay applies to. */
  readonly matrices: number;
}

/** Name of the embedding `(V, C)`. */
export const embeddingName: string = "model.embed_tokens.weight";
/** Name of the LM head `(V, C)`, where it is not the embedding. */
export const lmHeadName: string = "lm_head.weight";
/** Name of the critic's scalar head `(1, C)`. */
export const valueHeadName = "value_head.weight";

/** Lays out the parameters of a decoder. */
export function parameterLayout(config: ModelConfig, head: HeadKind): ParameterLayout {
  const { hidden: C, ffn: F, layers, heads, kvHeads, headDim: D, vocab } = config;
  const slots = new Map<string, ParameterSlot>();
  let offset = 0;
  const add = (name: string, ...shape: number[]) => {
    slots.set(name, { name, shape, offset });
    offset += shape.reduce((a, b) => a * b, 1);
  };
  add(embeddingName, vocab, C);
  if (head === "value") add(valueHeadName, 1, C);
  else if (!config.tiedHead) add(lmHeadName, vocab, C);
  for (let l = 0; l < layers; l++) {
    const layer = `model.layers.${l}`;
    add(`${layer}.self_attn.q_proj.weight`, heads * D, C);
    add(`${layer}.self_attn.k_proj.weight`, kvHeads * D, C);
    add(`${layer}.self_attn.v_proj.weight`, kvHeads * D, C);
    add(`${layer}.self_attn.o_proj.weight`, C, heads * D);
    add(`${layer}.mlp.gate_proj.weight`, F, C);
    add(`${layer}.mlp.up_proj.weight`, F, C);
    add(`${layer}.mlp.down_proj.weight`, C, F);
  }
  const matrices = offset;
  for (let l = 0; l < layers; l++) {
    const layer = `model.layers.${l}`;
    add(`${layer}.input_layernorm.weight`, C);
    add(`${layer}.post_attention_layernorm.weight`, C);
    if (config.qkvBias) {
      add(`${layer}.self_attn.q_proj.bias`, heads * D);
      add(`${layer}.self_attn.k_proj.bias`, kvHeads * D);
      add(`${layer}.self_attn.v_proj.bias`, kvHeads * D);
    }
    if (config.qkNorm) {
      add(`${layer}.self_attn.q_norm.weight`, D);
      add(`${layer}.self_attn.k_norm.weight`, D);
    }
  }
  add("model.norm.weight", C);
  return { slots, size: offset, matrices };
}

/** Views of one decoder layer's parameters, or of their gradients. */
export interface LayerTensors {
  /** `((H + 2 Hk) D, C)`: q, k, v. */
  readonly qkv: Tensor;
  /** `((H + 2 Hk) D)`, if the architecture has one. */
  readonly qkvBias?: Tensor;
  /** `(D)` each: the norms of query and key heads, if the architecture has them. */
  readonly qkNorm?: { readonly wq: Tensor; readonly wk: Tensor };
  /** `(C, H D)`. */
  readonly out: Tensor;
  /** `(2 F, C)`: gate, up. */
  readonly gateUp: Tensor;
  /** `(C, F)`. */
  readonly down: Tensor;
  /** `(C)`. */
  readonly inputNorm: Tensor;
  /** `(C)`. */
  readonly postNorm: Tensor;
}

/** Named views into a flat buffer: of parameters or of gradients. */
export interface ModelTensors {
  /** `(P)`: the whole buffer that the others are views of. */
  readonly flat: Tensor;
  /** `(V, C)`. */
  readonly embedding: Tensor;
  /** LM head `(V, C)` (the embedding where tied) or value head `(1, C)`. */
  readonly head: Tensor;
  /** `(C)`. */
  readonly finalNorm: Tensor;
  /** From the input to the output. */
  readonly layers: readonly LayerTensors[];
}

/** Cuts a flat buffer into the views that the layer graph uses. */
function viewParameters(
  flat: Tensor,
  layout: ParameterLayout,
  config: ModelConfig,
): ModelTensors {
  const { hidden: C, ffn: F, heads, kvHeads, headDim: D } = config;
  const view = (name: string, ...shape: number[]): Tensor => {
    const slot = layout.slots.get(name);
    if (!slot) throw new Error(`the layout has no parameter ${name}`);
    return flat.view(slot.offset, shape.length > 0 ? shape : slot.shape);
  };
  const wide = (heads + 2 * kvHeads) * D;
  const embedding = view(embeddingName);
  const headName = [valueHeadName, lmHeadName].find((name) => layout.slots.has(name));
  return {
    flat,
    embedding,
    head: headName ? view(headName) : embedding,
    finalNorm: view("model.norm.weight"),
    layers: Array.from({ length: config.layers }, (_, l) => {
      const at = (name: string) => `model.layers.${l}.${name}`;
      return {
        qkv: view(at("self_attn.q_proj.weight"), wide, C),
        qkvBias: config.qkvBias ? view(at("self_attn.q_proj.bias"), wide) : undefined,
        qkNorm: config.qkNorm
          ? { wq: view(at("self_attn.q_norm.weight")), wk: view(at("self_attn.k_norm.weight")) }
          : undefined,
        out: view(at("self_attn.o_proj.weight")),
        gateUp: view(at("mlp.gate_proj.weight"), 2 * F, C),
        down: view(at("mlp.down_proj.weight")),
        inputNorm: view(at("input_layernorm.weight")),
        postNorm: view(at("post_attention_layernorm.weight")),
      };
    }),
  };
}

/** The packed matrices of one layer. */
export interface PackedLayer {
  /** `((H + 2 Hk) D, C)`. */
  readonly qkv: PackedWeight;
  /** `(C, H D)`. */
  readonly out: PackedWeight;
  /** `(2 F, C)`. */
  readonly gateUp: PackedWeight;
  /** `(C, F)`. */
  readonly down: PackedWeight;
}

/** What is packed: the head, and the matrices of each layer. */
export type PackedMatrix = "head" | keyof PackedLayer;

/** Shape and precision of the packed matrices. */
function matrices(
  config: ModelConfig,
  head: HeadKind,
  dtype: Precision,
): Record<PackedMatrix, Omit<PackedWeight, "data">> {
  const { hidden: C, ffn: F, heads, kvHeads, headDim: D, vocab } = config;
  return {
    // Values are float32 from the hidden states on: a critic's head costs next to nothing.
    head: head === "value" ? { N: 1, K: C, dtype: "f32" } : { N: vocab, K: C, dtype },
    qkv: { N: (heads + 2 * kvHeads) * D, K: C, dtype },
    out: { N: C, K: heads * D, dtype },
    gateUp: { N: 2 * F, K: C, dtype },
    down: { N: C, K: F, dtype },
  };
}

/** How the parameters of a model are held. */
export interface ParameterOptions {
  /** With gradients. */
  readonly train: boolean;
  /** Type of the packed matrices; that of a value head is float32. */
  readonly weights: Precision;
}

/**
 * The buffers of a model's parameters: `(P)` float32 for the weights and for their gradients, raw bytes
 * `(L, bytes)` for each kind of packed matrix.
 *
 * @param bytes Bytes of a packed matrix `(N, K)`, as the backend lays it out. The matrix of the next layer
 * begins right behind them, so they are a multiple of what the backend's loads need.
 */
export function parameterSpecs(
  config: ModelConfig,
  head: HeadKind,
  { train, weights }: ParameterOptions,
  bytes: (N: number, K: number, dtype: Precision) => number,
): TensorSpecs<"master" | "grads" | PackedMatrix> {
  const { size } = parameterLayout(config, head);
  const kinds = matrices(config, head, weights);
  const packed = (kind: PackedMatrix, count = config.layers) => {
    const { N, K, dtype } = kinds[kind];
    return ["u8", count, bytes(N, K, dtype)] as const;
  };
  return {
    master: ["f32", size],
    grads: ["f32", train ? size : 0],
    head: packed("head", 1),
    qkv: packed("qkv"),
    out: packed("out"),
    gateUp: packed("gateUp"),
    down: packed("down"),
  };
}

/**
 * Master parameters, packed compute weights, and (for training) gradients of one model.
 * After every change of the master, `refresh` brings the packed weights up to date.
 */
export class Parameters implements Disposable {
  /** Which element belongs to which parameter. */
  readonly layout: ParameterLayout;
  /** Float32 weights, the ones that the optimizer updates. */
  readonly master: ModelTensors;
  /** Present on models that are trained. */
  readonly grads?: ModelTensors;
  /** Packed LM head or value head. */
  readonly head: PackedWeight;
  /** Packed matrices of each layer. */
  readonly layers: readonly PackedLayer[];
  readonly #memory: Disposable;
  readonly #matrices: [PackedWeight, Tensor][] = [];
  #version = 0;

  /** Allocates everything; the contents are undefined until loaded or initialised. */
  constructor(device: Device, config: ModelConfig, head: HeadKind, options: ParameterOptions) {
    this.layout = parameterLayout(config, head);
    const bytes = (N: number, K: number, dtype: Precision) => packedBytes(device, N, K, dtype);
    const memory = new TensorSet(device, parameterSpecs(config, head, options, bytes));
    this.#memory = memory;
    const { t } = memory;
    this.master = viewParameters(t.master, this.layout, config);
    if (options.train) this.grads = viewParameters(t.grads, this.layout, config);
    const kinds = matrices(config, head, options.weights);
    const pack = (kind: PackedMatrix, l: number, w: Tensor): PackedWeight => {
      const [, size] = t[kind].shape;
      const packed = { ...kinds[kind], data: t[kind].view(l * size, [size]) };
      this.#matrices.push([packed, w]);
      return packed;
    };
    this.head = pack("head", 0, this.master.head);
    this.layers = this.master.layers.map((w, l) => ({
      qkv: pack("qkv", l, w.qkv),
      out: pack("out", l, w.out),
      gateUp: pack("gateUp", l, w.gateUp),
      down: pack("down", l, w.down),
    }));
  }

  /** How often the weights have changed: `refresh` counts. */
  get version(): number {
    return this.#version;
  }

  /** Packs every matrix of the master again. */
  refresh(stream: Stream): void {
    this.#version++;
    for (const [packed, w] of this.#matrices) linearPack(stream, packed, w);
  }

  /** Frees masters, gradients and packed copies. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
