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
import { UserError } from "../base/mod.ts";
import { type Decoder, valueHeadName } from "../model/mod.ts";

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

/** What an optimizer keeps of so many parameters: both moments, and the norm of the last gradients. */
export function adamSpecs(parameters: number): TensorSpecs<"m" | "v" | "norm"> {
  return { m: ["f32", parameters], v: ["f32", parameters], norm: ["f32", 1] };
}

/** First and second moments of one model, and its step count. */
export class AdamW implements Disposable {
  /** `(P)` float32: decaying mean of the gradients. */
  readonly m: Tensor;
  /** `(P)` float32: decaying mean of their squares. */
  readonly v: Tensor;
  readonly #decoder: Decoder;
  readonly #options: AdamWOptions;
  readonly #norm: Tensor;
  readonly #memory: Disposable;
  /** Steps taken; skipped ones do not count. */
  t = 0;
  /** Steps skipped in a row, up to now. */
  skipped = 0;

  /** Allocates the moments and sets them to zero. */
  constructor(stream: Stream, decoder: Decoder, options: AdamWOptions) {
    this.#decoder = decoder;
    this.#options = options;
    const memory = new TensorSet(stream.device, adamSpecs(decoder.params.layout.size));
    this.#memory = memory;
    ({ m: this.m, v: this.v, norm: this.#norm } = memory.t);
    for (const tensor of Object.values(memory.t)) stream.fill(tensor, 0);
  }

  /**
   * One step from the accumulated gradients, which are cleared; packed weights are refreshed. Resolves
   * to the gradient norm before clipping. A norm that is not finite leaves the model as it was.
   *
   * @throws {UserError} when the norm was not finite three times in a row.
   */
  async step(stream: Stream, lr: number): Promise<number> {
    const { params } = this.#decoder;
    const { layout, master, grads } = params;
    if (!grads) throw new Error("an optimizer step on a model without gradients");
    gradNorm(stream, { norm: this.#norm, grads: grads.flat });
    const { betas: [beta1, beta2], eps, weightDecay, maxNorm } = this.#options;
    const t = ++this.t;
    const update = (start: number, size: number, decay: number) => {
      const part = (tensor: Tensor) => tensor.view(start, [size]);
      const tensors = {
        params: part(master.flat),
        grads: part(grads.flat),
        m: part(this.m),
        v: part(this.v),
        norm: this.#norm,
      };
      adamw(stream, { ...tensors, lr, beta1, beta2, eps, weightDecay: decay, maxNorm, t });
    };
    update(0, layout.matrices, weightDecay);
    update(layout.matrices, layout.size - layout.matrices, 0);
    stream.fill(grads.flat, 0);
    params.refresh(stream);
    const [norm] = await stream.download(this.#norm, new Float32Array(1));
    if (Number.isFinite(norm)) this.skipped = 0;
    else this.#skip();
    return norm;
  }

  #skip(): void {
    this.t--;
    if (++this.skipped < mostSkipped) return;
    const model = this.#decoder.params.layout.slots.has(valueHeadName) ? "critic" : "policy";
    throw new UserError(
      `training diverged: gradients of the ${model} were not finite ${mostSkipped} times in a row`,
      { hint: "start again with a lower learning rate; --model takes an earlier checkpoint" },
    );
  }

  /** Frees the moments. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
