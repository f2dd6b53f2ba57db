/**
 * Passes of packs through a model: forward, loss on the action rows, backward. Everything a pass needs
 * lives in one arena that actor and critic share.
 *
 * @module
 */
import {
  type Arena,
  cast,
  crossEntropyLoss,
  dtypeBytes,
  gatherRows,
  type HeadGradients,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  type LmHead,
  lmHeadLogprobs,
  ppoLoss,
  type PpoLossOptions,
  type Precision,
  scatterAddRows,
  specBytes,
  stat,
  type Stream,
  type Tensor,
  TensorSet,
  type TensorSpecs,
  valueLoss,
} from "../../ffi/mod.ts";
import { activationBytes, type Decoder, type ForwardPass, packBatch } from "../model/mod.ts";
import { UserError } from "../base/mod.ts";
import type { Pack } from "./packing.ts";

/** Per-action inputs of the PPO loss, over the whole batch: `(N)` float32 each. */
export interface PolicyTargets {
  /** How much better an action turned out than expected. */
  readonly advantages: Tensor;
  /** Log-probs at sampling time. */
  readonly oldLogprobs: Tensor;
  /** Log-probs of the reference policy, for a KL term. */
  readonly refLogprobs?: Tensor;
  /** Importance weights. */
  readonly isWeights?: Tensor;
}

/** Per-action inputs of the value loss, over the whole batch: `(N)` float32 each. */
export interface ValueTargets {
  /** Values at rollout time, which clipping refers to. */
  readonly oldValues: Tensor;
  /** What the values should have been. */
  readonly returns: Tensor;
}

/** Sums that the losses accumulated since they were last read. */
export type LossStats = Readonly<Record<Exclude<keyof typeof stat, "count">, number>>;

/** Most bytes of logits that exist at a time. */
const workspaceBytes = 256 * 2 ** 20;

/** What of a model decides how much memory its passes take. */
export type LearnerModel = Pick<Decoder, "config" | "recompute" | "dtype">;

/**
 * The memory of a {@linkcode Learner}: activations and what stands beside them, tiles of logits, what the
 * losses count. Each fits the largest of the models.
 */
export function learnerSpecs(
  models: readonly LearnerModel[],
  packTokens: number,
): TensorSpecs<"arena" | "workspace" | "stats"> {
  const most = (bytes: (model: LearnerModel) => number) => Math.max(...models.map(bytes));
  return {
    arena: ["u8", most((model) => packBytes(model, packTokens))],
    workspace: [
      "u8",
      most(({ config: { vocab } }) =>
        Math.max(4 * vocab, Math.min(workspaceBytes, 4 * vocab * packTokens))
      ),
    ],
    stats: ["f32", stat.count],
  };
}

/** Bytes of arena that a pack of T tokens takes: its pass, and what stands beside it. */
function packBytes({ config, recompute, dtype }: LearnerModel, T: number): number {
  const { hidden: C } = config;
  // Beside the activations: hidden rows of the actions and their gradients (a critic's also in float32),
  // dHidden, ten scalars.
  const columns = dtypeBytes[dtype] * 3 * C + (dtype === "f32" ? 0 : 4 * 2 * C);
  const rows = T * (columns + 4 * 10) + 64 * 16;
  return activationBytes(config, T, { recompute, dtype, train: true }) + rows;
}

/** Runs packs of up to `packTokens` tokens through models of one shape. */
export class Learner implements Disposable {
  readonly #stream: Stream;
  readonly #arena: Arena;
  readonly #workspace: Tensor;
  readonly #stats: Tensor;
  readonly #memory: Disposable;
  readonly #packTokens: number;

  /**
   * Allocates activations and workspace.
   *
   * @param decoders The models that will be passed through; the arena fits the largest.
   * @param packTokens Most tokens of a pack. No sample may be longer: a pack with one is refused with a
   * {@linkcode UserError}.
   */
  constructor(stream: Stream, decoders: readonly Decoder[], packTokens: number) {
    this.#stream = stream;
    this.#packTokens = packTokens;
    const { arena, ...specs } = learnerSpecs(decoders, packTokens);
    using stack = new DisposableStack();
    this.#arena = stack.use(stream.device.arena(specBytes({ arena })));
    ({ workspace: this.#workspace, stats: this.#stats } =
      stack.use(new TensorSet(stream.device, specs)).t);
    this.#memory = stack.move();
    stream.fill(this.#stats, 0);
  }

  /** Log-probs of the pack's actions `(n)`, without gradient, on the host. */
  async logprobs(decoder: Decoder, pack: Pack, temperature: number): Promise<Float32Array> {
    const { rows } = this.#forward(decoder, pack, false);
    const logprobs = this.#arena.alloc("f32", [pack.rows.length]);
    const targets = this.#put(pack.targets);
    const head = this.#head(decoder, rows);
    lmHeadLogprobs(this.#stream, { ...head, logprobs, targets, temperature });
    return await this.#stream.download(logprobs, new Float32Array(logprobs.size));
  }

  /** The critic's values at the pack's actions, into `values (N)` at the pack's place. */
  values(critic: Decoder, pack: Pack, values: Tensor): void {
    const { rows } = this.#forward(critic, pack, false);
    this.#valueHead(critic, rows, values.view(pack.offset, [pack.rows.length, 1]));
  }

  /** Accumulates gradients of the cross-entropy of the pack's actions, each with weight `weight`. */
  crossEntropy(decoder: Decoder, pack: Pack, weight: number): void {
    this.#policy(decoder, pack, weight, (args) => crossEntropyLoss(this.#stream, args));
  }

  /** Accumulates gradients of the PPO loss of the pack's actions, each with weight `weight`. */
  policyLoss(
    actor: Decoder,
    pack: Pack,
    weight: number,
    all: PolicyTargets,
    options: PpoLossOptions,
  ): void {
    const part = (tensor: Tensor) => tensor.view(pack.offset, [pack.rows.length]);
    const targets = {
      advantages: part(all.advantages),
      oldLogprobs: part(all.oldLogprobs),
      refLogprobs: all.refLogprobs && part(all.refLogprobs),
      isWeights: all.isWeights && part(all.isWeights),
    };
    this.#policy(actor, pack, weight, (args) => {
      ppoLoss(this.#stream, { ...args, ...targets, options });
    });
  }

  /** Accumulates gradients of the clipped value loss of the pack's actions. */
  valueLoss(critic: Decoder, pack: Pack, weight: number, all: ValueTargets, clip: number): void {
    const stream = this.#stream;
    const n = pack.rows.length;
    const { pass, rows, index } = this.#forward(critic, pack, true);
    const values = this.#arena.alloc("f32", [n, 1]), dvalues = this.#arena.alloc("f32", [n]);
    const wide = this.#valueHead(critic, rows, values);
    valueLoss(stream, {
      stats: this.#stats,
      dvalues,
      values: values.view(0, [n]),
      oldValues: all.oldValues.view(pack.offset, [n]),
      returns: all.returns.view(pack.offset, [n]),
      weights: this.#weights(n, weight),
      clip,
    });
    const drows = this.#arena.alloc("f32", rows.shape);
    const dy = dvalues.view(0, [n, 1]);
    linearBackwardInput(stream, { dx: drows, dy, w: critic.params.head });
    linearBackwardWeight(stream, { dw: critic.params.grads!.head, dy, x: wide });
    this.#backward(critic, pass, this.#as(critic.dtype, drows), index);
  }

  /** Reads and clears the accumulated statistics. */
  async takeStats(): Promise<LossStats> {
    const values = await this.#stream.download(this.#stats, new Float32Array(stat.count));
    this.#stream.fill(this.#stats, 0);
    const entries = Object.entries(stat).filter(([name]) => name !== "count");
    return Object.fromEntries(entries.map(([name, slot]) => [name, values[slot]])) as LossStats;
  }

  #policy(
    decoder: Decoder,
    pack: Pack,
    weight: number,
    loss: (args: LmHead & HeadGradients & { targets: Tensor; weights: Tensor }) => void,
  ): void {
    const n = pack.rows.length;
    const { pass, rows, index } = this.#forward(decoder, pack, true);
    const drows = this.#arena.alloc(decoder.dtype, rows.shape);
    loss({
      ...this.#head(decoder, rows),
      stats: this.#stats,
      logprobs: this.#arena.alloc("f32", [n]),
      dh: drows,
      dw: decoder.params.grads!.head,
      targets: this.#put(pack.targets),
      weights: this.#weights(n, weight),
    });
    this.#backward(decoder, pass, drows, index);
  }

  /** Forward pass of a pack into the emptied arena, and the hidden states of its action rows. */
  #forward(
    decoder: Decoder,
    pack: Pack,
    keep: boolean,
  ): { pass: ForwardPass; rows: Tensor; index: Tensor } {
    const stream = this.#stream, arena = this.#arena;
    if (pack.tokens > this.#packTokens) {
      throw new UserError(
        `a sequence of ${pack.tokens} tokens does not fit into a pack of ${this.#packTokens}`,
        { hint: `set ppo.packTokens to at least ${pack.tokens}` },
      );
    }
    arena.release(0);
    const batch = packBatch(stream, arena, pack.samples.map((sample) => sample.ids));
    const pass = decoder.forward(stream, arena, batch, { keep });
    const index = this.#put(pack.rows);
    const rows = arena.alloc(decoder.dtype, [pack.rows.length, decoder.config.hidden]);
    gatherRows(stream, { out: rows, x: pass.hidden, index });
    return { pass, rows, index };
  }

  #backward(decoder: Decoder, pass: ForwardPass, drows: Tensor, index: Tensor): void {
    const dHidden = this.#arena.alloc(decoder.dtype, pass.hidden.shape);
    this.#stream.fill(dHidden, 0);
    scatterAddRows(this.#stream, { dx: dHidden, dout: drows, index });
    decoder.backward(this.#stream, this.#arena, pass, dHidden);
  }

  #head(decoder: Decoder, h: Tensor): LmHead {
    return { h, w: decoder.params.head, workspace: this.#workspace };
  }

  /** Values `(n, 1)` of hidden rows; returns the rows in float32, as the head reads them. */
  #valueHead(critic: Decoder, rows: Tensor, values: Tensor): Tensor {
    const wide = this.#as("f32", rows);
    linearForward(this.#stream, { y: values, x: wide, w: critic.params.head });
    return wide;
  }

  /** The tensor in another precision; itself where it has it. */
  #as(dtype: Precision, tensor: Tensor): Tensor {
    if (tensor.dtype === dtype) return tensor;
    const converted = this.#arena.alloc(dtype, tensor.shape);
    cast(this.#stream, { dst: converted, src: tensor });
    return converted;
  }

  #put(data: Int32Array<ArrayBuffer>): Tensor {
    const tensor = this.#arena.alloc("i32", [data.length]);
    this.#stream.upload(tensor, data);
    return tensor;
  }

  #weights(n: number, weight: number): Tensor {
    const tensor = this.#arena.alloc("f32", [n]);
    this.#stream.fill(tensor, weight);
    return tensor;
  }

  /** Frees its memory; the models stay. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
