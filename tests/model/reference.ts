/**
 * A Qwen2, Qwen3 or Llama decoder and its losses in plain float64 loops: what the kernels are measured against.
 *
 * @module
 */
import { type ModelConfig, ropeFrequencies, valueHeadName } from "../../src/model/mod.ts";

/** Parameters by Hugging Face's names, row-major. */
export type Weights = ReadonlyMap<string, Float64Array>;

/** One vector a token. */
type Rows = Float64Array[];

function zeros(n: number): Float64Array {
  return new Float64Array(n);
}

/** `W x [+ bias]` for `W (N, K)`. */
function linear(W: Float64Array, x: Float64Array, bias?: Float64Array): Float64Array {
  const K = x.length;
  const y = zeros(W.length / K);
  for (let n = 0; n < y.length; n++) {
    let sum = bias ? bias[n] : 0;
    for (let k = 0; k < K; k++) sum += W[n * K + k] * x[k];
    y[n] = sum;
  }
  return y;
}

function rmsnorm(x: Float64Array, weight: Float64Array, eps: number): Float64Array {
  let square = 0;
  for (const value of x) square += value * value;
  const scale = 1 / Math.sqrt(square / x.length + eps);
  return x.map((value, i) => value * scale * weight[i]);
}

/** Rotates every head's pairs (i, i + D/2) by angles that grow with the position. */
function rope(x: Float64Array, position: number, config: ModelConfig): Float64Array {
  const { headDim: D, ropeScaling } = config;
  const scale = ropeScaling?.type === "yarn" ? ropeScaling.attentionFactor : 1;
  const frequencies = ropeFrequencies(config);
  const y = zeros(x.length);
  for (let head = 0; head < x.length; head += D) {
    for (let i = 0; i < D / 2; i++) {
      const angle = position * frequencies[i];
      const a = scale * x[head + i], b = scale * x[head + i + D / 2];
      y[head + i] = a * Math.cos(angle) - b * Math.sin(angle);
      y[head + i + D / 2] = b * Math.cos(angle) + a * Math.sin(angle);
    }
  }
  return y;
}

function softmax(logits: ArrayLike<number>): Float64Array {
  const max = Math.max(...Array.from(logits));
  const e = Float64Array.from(logits, (value) => Math.exp(value - max));
  const total = e.reduce((a, b) => a + b, 0);
  return e.map((value) => value / total);
}

/** Causal attention of one sequence: query heads share key/value heads in groups. */
function attention(q: Rows, k: Rows, v: Rows, config: ModelConfig): Rows {
  const { heads, kvHeads, headDim: D } = config;
  return q.map((query, t) => {
    const out = zeros(heads * D);
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / kvHeads));
      const scores = zeros(t + 1);
      for (let s = 0; s <= t; s++) {
        for (let d = 0; d < D; d++) scores[s] += query[h * D + d] * k[s][g * D + d] / Math.sqrt(D);
      }
      const p = softmax(scores);
      for (let s = 0; s <= t; s++) {
        for (let d = 0; d < D; d++) out[h * D + d] += p[s] * v[s][g * D + d];
      }
    }
    return out;
  });
}

const add = (a: Float64Array, b: Float64Array) => a.map((value, i) => value + b[i]);
const silu = (x: number) => x / (1 + Math.exp(-x));

/** Hidden states after the final norm, of one sequence. */
function hiddenOfSequence(config: ModelConfig, weights: Weights, ids: readonly number[]): Rows {
  const { hidden: C, layers, headDim: D, normEps } = config;
  const get = (name: string) => weights.get(name)!;
  let x: Rows = ids.map((id) => get("model.embed_tokens.weight").slice(id * C, (id + 1) * C));
  for (let l = 0; l < layers; l++) {
    const at = (name: string) => weights.get(`model.layers.${l}.${name}`)!;
    const normed = x.map((row) => rmsnorm(row, at("input_layernorm.weight"), normEps));
    const project = (part: string) =>
      normed.map((row) =>
        linear(at(`self_attn.${part}_proj.weight`), row, at(`self_attn.${part}_proj.bias`))
      );
    /** Projected, normalised head by head where the architecture does so, and rotated. */
    const placed = (part: "q" | "k") =>
      project(part).map((row, t) => {
        const weight = weights.get(`model.layers.${l}.self_attn.${part}_norm.weight`);
        for (let i = 0; weight && i < row.length; i += D) {
          row.set(rmsnorm(row.subarray(i, i + D), weight, normEps), i);
        }
        return rope(row, t, config);
      });
    const mixed = attention(placed("q"), placed("k"), project("v"), config);
    x = x.map((row, t) => add(row, linear(at("self_attn.o_proj.weight"), mixed[t])));
    x = x.map((row) => {
      const h = rmsnorm(row, at("post_attention_layernorm.weight"), normEps);
      const gate = linear(at("mlp.gate_proj.weight"), h);
      const up = linear(at("mlp.up_proj.weight"), h);
      const act = gate.map((value, i) => silu(value) * up[i]);
      return add(row, linear(at("mlp.down_proj.weight"), act));
    });
  }
  return x.map((row) => rmsnorm(row, get("model.norm.weight"), normEps));
}

/** Hidden states of packed sequences: one row a token. */
export function hiddenStates(
  config: ModelConfig,
  weights: Weights,
  sequences: readonly (readonly number[])[],
): Rows {
  return sequences.flatMap((ids) => hiddenOfSequence(config, weights, ids));
}

/** Log-probabilities of the whole vocabulary, and the entropy, at a temperature. */
export function distribution(
  config: ModelConfig,
  weights: Weights,
  hidden: Float64Array,
  temperature: number,
): { logprobs: Float64Array; entropy: number } {
  const head = weights.get(config.tiedHead ? "model.embed_tokens.weight" : "lm_head.weight")!;
  const p = softmax(linear(head, hidden).map((logit) => logit / temperature));
  const logprobs = p.map(Math.log);
  return { logprobs, entropy: -p.reduce((sum, value, i) => sum + value * logprobs[i], 0) };
}

/** The critic's values: one number a token. */
export function values(weights: Weights, hidden: Rows): number[] {
  return hidden.map((row) => linear(weights.get(valueHeadName)!, row)[0]);
}

/** The value loss of PPO: the worse of the plain and the clipped squared error. */
export function valueLossOf(
  values: readonly number[],
  data: { old: ArrayLike<number>; returns: ArrayLike<number>; weights: ArrayLike<number> },
  clip: number,
): number {
  return values.reduce((sum, v, t) => {
    const clipped = Math.min(Math.max(v, data.old[t] - clip), data.old[t] + clip);
    const error = Math.max((v - data.returns[t]) ** 2, (clipped - data.returns[t]) ** 2);
    return sum + data.weights[t] * 0.5 * error;
  }, 0);
}

/** What one token's policy loss is made of. */
export interface PolicyToken {
  readonly logprob: number;
  readonly entropy: number;
  readonly advantage: number;
  readonly oldLogprob: number;
  readonly refLogprob: number;
  readonly isWeight: number;
}

/** One token of the PPO objective with k3 as its KL to the reference. */
export function policyLossOf(
  token: PolicyToken,
  options: { clipLow: number; clipHigh: number; entropy: number; kl: number },
): number {
  const { logprob, advantage } = token;
  const ratio = Math.exp(logprob - token.oldLogprob);
  const clipped = Math.min(Math.max(ratio, 1 - options.clipLow), 1 + options.clipHigh);
  const surrogate = Math.min(ratio * advantage, clipped * advantage);
  const gap = token.refLogprob - logprob;
  const kl = Math.exp(gap) - gap - 1;
  return -token.isWeight * surrogate - options.entropy * token.entropy + options.kl * kl;
}
