/**
 * AdamW over a model's flat buffers.
 *
 * @module
 */
import {
  adamw,
  type Allocation,
  type Device,
  gradNorm,
  type Stream,
  type Tensor,
} from "../../ffi/mod.ts";
import type { Decoder } from "../model/mod.ts";

/** Hyper-parameters that stay the same over a run. */
export interface AdamWOptions {
  readonly betas: readonly [number, number];
  readonly eps: number;
  /** Applied to matrices only. */
  readonly weightDecay: number;
  /** Gradients are scaled down to this norm. */
  readonly maxNorm: number;
}

/** First and second moments of one model, and its step count. */
export class AdamW implements Disposable {
  /** `(P)` float32 each. */
  readonly m: Tensor;
  readonly v: Tensor;
  readonly #decoder: Decoder;
  readonly #options: AdamWOptions;
  readonly #norm: Tensor;
  readonly #memory: Allocation[] = [];
  /** Steps taken. */
  t = 0;

  /** Allocates the moments and sets them to zero. */
  constructor(device: Device, stream: Stream, decoder: Decoder, options: AdamWOptions) {
    this.#decoder = decoder;
    this.#options = options;
    const alloc = (size: number) => {
      const memory = device.alloc("f32", [size]);
      this.#memory.push(memory);
      stream.fill(memory.tensor, 0);
      return memory.tensor;
    };
    const { size } = decoder.params.layout;
    this.m = alloc(size);
    this.v = alloc(size);
    this.#norm = alloc(1);
  }

  /**
   * One step from the accumulated gradients, which are cleared; packed weights are refreshed. Resolves
   * to the gradient norm before clipping. A norm that is not finite leaves the model as it was.
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
    return (await stream.download(this.#norm, new Float32Array(1)))[0];
  }

  [Symbol.dispose](): void {
    for (const memory of this.#memory) memory[Symbol.dispose]();
  }
}
