/**
 * AdamW over a model's flat buffers.
 *
 * @module
 */
import {
  adamw,
  gradNorm,
  type Stream,
  type Tensor,
  TensorSet,
  type TensorSpecs,
} from "../../ffi/mod.ts";
import { memoryFor, UserError } from "../base/mod.ts";
import { type Decoder, valueHeadName, worstWeight } from "../model/mod.ts";

/** Hyper-parameters that stay the same over a run. */
export interface AdamWOptions {
  /** Decay rates of the first and the second moment. */
  readonly betas: readonly [number, number];
  /** Added to the root of the second moment. */
  readonly eps: number;
  /** Applied to matrices only. */
  readonly weightDecay: number;
  /** Gradients are scaled down to this norm. */
  readonly maxNorm: number;
}

/** Updates in a row whose gradients are not finite after which training stops. */
const mostSkipped = 3;

/** What helps against training that diverges. */
const hint = "start again with a lower learning rate; --model takes an earlier checkpoint";

/**
 * What an optimizer keeps of so many parameters: both moments, and the norms of the last gradients and of the
 * weights that they led to.
 */
export function adamSpecs(parameters: number): TensorSpecs<"m" | "v" | "norms"> {
  return { m: ["f32", parameters], v: ["f32", parameters], norms: ["f32", 2] };
}

/** First and second moments of one model, and its step count. */
export class AdamW implements Disposable {
  /** `(P)` float32: decaying mean of the gradients. */
  readonly m: Tensor;
  /** `(P)` float32: decaying mean of their squares. */
  readonly v: Tensor;
  readonly #decoder: Decoder;
  readonly #options: AdamWOptions;
  readonly #norms: Tensor;
  readonly #memory: Disposable;
  /** Steps taken; skipped ones do not count. */
  t = 0;
  /** Steps skipped in a row, up to now. */
  skipped = 0;

  /** Allocates the moments and sets them to zero. */
  constructor(stream: Stream, decoder: Decoder, options: AdamWOptions) {
    this.#decoder = decoder;
    this.#options = options;
    const { device } = stream, { size } = decoder.params.layout;
    const lower = "lower engine.cacheTokens or ppo.packTokens, or take a smaller model";
    const memory = memoryFor("Adam's moments", lower, () => new TensorSet(device, adamSpecs(size)));
    this.#memory = memory;
    ({ m: this.m, v: this.v, norms: this.#norms } = memory.t);
    for (const tensor of Object.values(memory.t)) stream.fill(tensor, 0);
  }

  /**
   * One step from the accumulated gradients, which are cleared; packed weights are refreshed. Resolves
   * to the gradient norm before clipping. A norm that is not finite leaves the model as it was.
   *
   * @param limit Gradients are scaled down to this norm too, where it is below `maxNorm`.
   * @throws {UserError} when the norm was not finite three times in a row, or the step left weights that are
   *   not finite.
   */
  async step(stream: Stream, lr: number, limit = Infinity): Promise<number> {
    const { params } = this.#decoder;
    const { layout, master, grads } = params;
    if (!grads) throw new Error("an optimizer step on a model without gradients");
    const [norm, length] = [0, 1].map((i) => this.#norms.view(i, [1]));
    gradNorm(stream, { norm, grads: grads.flat });
    const { betas: [beta1, beta2], eps, weightDecay } = this.#options;
    const maxNorm = Math.min(this.#options.maxNorm, limit);
    const t = ++this.t;
    const update = (start: number, size: number, decay: number) => {
      const part = (tensor: Tensor) => tensor.view(start, [size]);
      const tensors = {
        params: part(master.flat),
        grads: part(grads.flat),
        m: part(this.m),
        v: part(this.v),
        norm,
      };
      adamw(stream, { ...tensors, lr, beta1, beta2, eps, weightDecay: decay, maxNorm, t });
    };
    update(0, layout.matrices, weightDecay);
    update(layout.matrices, layout.size - layout.matrices, 0);
    stream.fill(grads.flat, 0);
    params.refresh(stream);
    // The norm of the weights is finite only if all of them are.
    gradNorm(stream, { norm: length, grads: master.flat });
    const [gradient, weights] = await stream.download(this.#norms, new Float32Array(2));
    if (!Number.isFinite(weights)) await this.#refuseWeights(stream);
    if (Number.isFinite(gradient)) this.skipped = 0;
    else this.#skip();
    return gradient;
  }

  #skip(): void {
    this.t--;
    if (++this.skipped < mostSkipped) return;
    throw new UserError(
      `training diverged: gradients of the ${this.#model} were not finite ${mostSkipped} times in ` +
        "a row",
      { hint },
    );
  }

  async #refuseWeights(stream: Stream): Promise<never> {
    const weight = await worstWeight(stream, this.#decoder);
    throw new UserError(
      `training diverged: after update ${this.t} of the ${this.#model} its ${weight}`,
      { hint },
    );
  }

  get #model(): "critic" | "policy" {
    return this.#decoder.params.layout.slots.has(valueHeadName) ? "critic" : "policy";
  }

  /** Frees the moments. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
