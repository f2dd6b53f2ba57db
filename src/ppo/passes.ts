/**
 * Passes of packs through a model: forward, loss on the action rows, backward. Everything a pass needs
 * lives in one arena that actor and critic share.
 *
 * @module
 */
import {
  type Arena,
  arenaBytes,
  arenaTensors,
  cast,
  crossEntropyLoss,
  gatherRows,
  type HeadGradients,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  type LmHead,
  lmHeadLogprobs,
  ppoLoss,
  type PpoLossOptions,
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
import { memoryFor, UserError } from "../base/mod.ts";
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
  readonly importanceWeights?: Tensor;
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

/** What to lower where a training pass does not fit. */
export const lowerPacks: string = "lower ppo.packTokens, or set recompute to true";

/** Most bytes of logits that exist at a time. */
const workspaceBytes = 256 * 2 ** 20;

/** What of a model decides how much memory its passes take. */
export type TrainedModel = Pick<Decoder, "config" | "recompute" | "dtype">;

/**
 * The memory of a {@linkcode Passes}: activations and what stands beside them, tiles of logits, what the
 * losses count. Each fits the largest of the models.
 */
export function passSpecs(
  models: readonly TrainedModel[],
  packTokens: number,
): TensorSpecs<"arena" | "workspace" | "stats"> {
  const most = (bytes: (model: TrainedModel) => number) => Math.max(...models.map(bytes));
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

/** The rows of a pass that predict the n actions of a pack. */
function rowSpecs({ config: { hidden: C }, dtype }: TrainedModel, n: number) {
  return { index: ["i32", n], rows: [dtype, n, C] } satisfies TensorSpecs;
}

/** What a loss of the policy reads and writes. */
function policySpecs({ config: { hidden: C }, dtype }: TrainedModel, n: number) {
  return {
    targets: ["i32", n],
    tokenWeights: ["f32", n],
    logprobs: ["f32", n],
    drows: [dtype, n, C],
  } satisfies TensorSpecs;
}

/** What the value loss reads and writes. The head works in float32: other rows need a copy. */
function valueSpecs({ config: { hidden: C }, dtype }: TrainedModel, n: number) {
  const copied = dtype === "f32" ? 0 : n;
  return {
    tokenWeights: ["f32", n],
    values: ["f32", n, 1],
    dvalues: ["f32", n, 1],
    wide: ["f32", copied, C],
    dwide: ["f32", n, C],
    drows: [dtype, copied, C],
  } satisfies TensorSpecs;
}

/** Bytes of arena that a pack of T tokens takes: its pass, and what stands beside it for its actions. */
function packBytes(model: TrainedModel, T: number): number {
  const { config, recompute, dtype } = model;
  const loss = Math.max(arenaBytes(policySpecs(model, T)), arenaBytes(valueSpecs(model, T)));
  return activationBytes(config, T, { recompute, dtype, train: true }) +
    arenaBytes(rowSpecs(model, T)) + loss;
}

/** Runs packs of up to `packTokens` tokens through models of one shape. */
export class Passes implements Disposable {
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
    const { arena, ...specs } = passSpecs(decoders, packTokens);
    using stack = new DisposableStack();
    const { device } = stream, what = "the activations of a pack";
    this.#arena = memoryFor(what, lowerPacks, () => stack.use(device.arena(specBytes({ arena }))));
    ({ workspace: this.#workspace, stats: this.#stats } =
      memoryFor(what, lowerPacks, () => stack.use(new TensorSet(device, specs))).t);
    this.#memory = stack.move();
    stream.fill(this.#stats, 0);
  }

  /** Log-probs of the pack's actions `(n)`, without gradient, on the host. */
  async logprobs(decoder: Decoder, pack: Pack, temperature: number): Promise<Float32Array> {
    const { rows } = this.#forward(decoder, pack, false);
    const { logprobs, targets } = arenaTensors(this.#arena, policySpecs(decoder, rows.shape[0]));
    this.#stream.upload(targets, pack.targets);
    const head = this.#head(decoder, rows);
    lmHeadLogprobs(this.#stream, { ...head, logprobs, targets, temperature });
    return await this.#stream.download(logprobs, new Float32Array(logprobs.size));
  }

  /** The critic's values at the pack's actions, into `values (N)` at the pack's place. */
  values(critic: Decoder, pack: Pack, values: Tensor): void {
    const { rows } = this.#forward(critic, pack, false);
    const n = rows.shape[0], { wide } = arenaTensors(this.#arena, valueSpecs(critic, n));
    const y = values.view(pack.offset, [n, 1]);
    linearForward(this.#stream, { y, x: this.#as(rows, wide), w: critic.params.head });
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
      importanceWeights: all.importanceWeights && part(all.importanceWeights),
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
    const t = arenaTensors(this.#arena, valueSpecs(critic, n));
    const wide = this.#as(rows, t.wide);
    linearForward(stream, { y: t.values, x: wide, w: critic.params.head });
    stream.fill(t.tokenWeights, weight);
    valueLoss(stream, {
      stats: this.#stats,
      dvalues: t.dvalues.view(0, [n]),
      values: t.values.view(0, [n]),
      oldValues: all.oldValues.view(pack.offset, [n]),
      returns: all.returns.view(pack.offset, [n]),
      tokenWeights: t.tokenWeights,
      clip,
    });
    linearBackwardInput(stream, { dx: t.dwide, dy: t.dvalues, w: critic.params.head });
    const head = { dw: critic.params.grads!.head, dy: t.dvalues, x: wide };
    linearBackwardWeight(stream, head);
    this.#backward(critic, pass, this.#as(t.dwide, t.drows), index);
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
    loss: (args: LmHead & HeadGradients & { targets: Tensor; tokenWeights: Tensor }) => void,
  ): void {
    const n = pack.rows.length;
    const { pass, rows, index } = this.#forward(decoder, pack, true);
    const { drows, ...t } = arenaTensors(this.#arena, policySpecs(decoder, n));
    this.#stream.upload(t.targets, pack.targets);
    this.#stream.fill(t.tokenWeights, weight);
    loss({
      ...this.#head(decoder, rows),
      ...t,
      stats: this.#stats,
      dh: drows,
      dw: decoder.params.grads!.head,
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
    const { index, rows } = arenaTensors(arena, rowSpecs(decoder, pack.rows.length));
    stream.upload(index, pack.rows);
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

  /** The tensor in the precision of `copy`: itself where it has it, else copied there. */
  #as(tensor: Tensor, copy: Tensor): Tensor {
    if (tensor.dtype === copy.dtype) return tensor;
    cast(this.#stream, { dst: copy, src: tensor });
    return copy;
  }

  /** Frees its memory; the models stay. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
