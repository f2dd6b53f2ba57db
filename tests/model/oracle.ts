/**
 * The fixtures that tests/oracle/models_fixture.py writes with PyTorch and transformers, and this
 * project's answers to the same questions.
 */
import {
  crossEntropyLoss,
  gae,
  linearBackwardInput,
  linearBackwardWeight,
  linearForward,
  ppoLoss,
  stat,
  type Tensor,
  valueLoss,
} from "../../ffi/mod.ts";
import {
  type Decoder,
  type ForwardPass,
  loadDecoder,
  openSafetensors,
  packBatch,
  valueHeadName,
} from "../../src/model/mod.ts";
import { AdamW } from "../../src/ppo/mod.ts";
import type { Lab } from "../native.ts";

/** Where the committed fixtures lie. */
export const fixtures: string = new URL("../fixtures/oracle", import.meta.url).pathname;
/** Folders of models in the fixtures. */
export const models = ["qwen2", "qwen3", "llama"] as const;
/** Of the packed sequences. */
const lengths = [1, 19, 8];
const T = 28;

/** Named arrays: float32, or int32 where the fixture has integers. */
export type Arrays = Readonly<Record<string, Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>>>;

/** All tensors of a small safetensors file. */
export function readArrays(path: string): Arrays {
  using file = openSafetensors(path);
  return Object.fromEntries(
    file.names().map((name) => {
      const { dtype, bytes } = file.info(name);
      const whole = new Uint8Array(bytes);
      file.read(name, (piece, offset) => whole.set(piece, offset));
      const array = dtype === "F32"
        ? new Float32Array(whole.buffer)
        : dtype === "I64"
        ? Int32Array.from(new BigInt64Array(whole.buffer), Number)
        : new Int32Array(whole.buffer);
      return [name, array];
    }),
  );
}

/** Packed ids as sequences. */
function sequencesOf(ids: ArrayLike<number>, lengths: readonly number[]): number[][] {
  const all = Array.from(ids);
  let start = 0;
  return lengths.map((length) => all.slice(start, start += length));
}

/** A packed forward pass, by default of the fixture's sequences; `then` gets it while its memory lives. */
async function withPass<R>(
  lab: Lab,
  decoder: Decoder,
  ids: ArrayLike<number>,
  then: (pass: ForwardPass, backward: (dHidden: Tensor) => void) => Promise<R>,
  sequences: readonly number[] = lengths,
): Promise<R> {
  const { stream } = lab;
  using arena = lab.device.arena(decoder.activationBytes(ids.length, { train: true }));
  const batch = packBatch(stream, arena, sequencesOf(ids, sequences));
  const pass = decoder.forward(stream, arena, batch, { keep: true });
  const result = await then(pass, (dHidden) => decoder.backward(stream, arena, pass, dHidden));
  await stream.sync();
  return result;
}

function headArgs(lab: Lab, decoder: Decoder, pass: ForwardPass) {
  const { hidden: C, vocab: V } = decoder.config;
  return {
    h: pass.hidden,
    w: decoder.params.head,
    workspace: lab.alloc("u8", [4 * V * T]),
    stats: lab.zeros([stat.count]),
    logprobs: lab.out([T]),
    dh: lab.out([T, C]),
    dw: decoder.params.grads!.head,
  };
}

/** `(T, V)`: every logit; of sequences of these lengths instead of the fixture's. */
export function logits(
  lab: Lab,
  decoder: Decoder,
  ids: ArrayLike<number>,
  sequences?: readonly number[],
): Promise<Float32Array> {
  return withPass(lab, decoder, ids, (pass) => {
    const y = lab.out([ids.length, decoder.config.vocab]);
    linearForward(lab.stream, { y, x: pass.hidden, w: decoder.params.head });
    return lab.f32(y);
  }, sequences);
}

/** The loss of the fixture's targets; its gradients are added to `decoder.params.grads`. */
export function crossEntropy(lab: Lab, decoder: Decoder, data: Arrays): Promise<number> {
  return withPass(lab, decoder, data.ids, async (pass, backward) => {
    const args = headArgs(lab, decoder, pass);
    const { targets, weights } = data;
    crossEntropyLoss(lab.stream, {
      ...args,
      targets: lab.put(targets),
      tokenWeights: lab.put(weights),
    });
    backward(args.dh);
    return (await lab.f32(args.stats))[stat.loss];
  });
}

/** Gradients by the names of the parameters. */
export async function gradients(lab: Lab, decoder: Decoder): Promise<Map<string, Float32Array>> {
  const all = await lab.f32(decoder.params.grads!.flat);
  return new Map([...decoder.params.layout.slots.values()].map(({ name, shape, offset }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return [name, all.slice(offset, offset + size)];
  }));
}

/** Losses before each of ten optimizer steps. */
export async function adamwLosses(lab: Lab, decoder: Decoder, data: Arrays): Promise<number[]> {
  const options = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, maxNorm: 1 } as const;
  using optimizer = new AdamW(lab.stream, decoder, options);
  lab.stream.fill(decoder.params.grads!.flat, 0);
  const losses: number[] = [];
  for (let step = 0; step < 10; step++) {
    losses.push(await crossEntropy(lab, decoder, data));
    await optimizer.step(lab.stream, 3e-3);
  }
  return losses;
}

/** The fused PPO loss on the fixture's data; gradients are added. */
export function policyLoss(
  lab: Lab,
  decoder: Decoder,
  data: Arrays,
  ppo: Arrays,
): Promise<number> {
  return withPass(lab, decoder, data.ids, async (pass, backward) => {
    const args = headArgs(lab, decoder, pass);
    ppoLoss(lab.stream, {
      ...args,
      targets: lab.put(data.targets),
      tokenWeights: lab.put(data.weights),
      advantages: lab.put(ppo.advantages),
      oldLogprobs: lab.put(ppo.old_logprobs),
      refLogprobs: lab.put(ppo.ref_logprobs),
      importanceWeights: lab.put(ppo.is_weights),
      options: {
        temperature: 0.9,
        clipLow: 0.2,
        clipHigh: 0.28,
        entropyCoefficient: 0.1,
        klCoefficient: 0.2,
        klEstimator: 3,
      },
    });
    backward(args.dh);
    return (await lab.f32(args.stats))[stat.loss];
  });
}

/** The policy's backbone under the fixture's value head. */
export function loadCritic(lab: Lab, dir: string, ppo: Arrays): Decoder {
  const critic = loadDecoder(lab.stream, dir, { head: "value", train: true });
  const { layout, master } = critic.params, { offset, shape } = layout.slots.get(valueHeadName)!;
  lab.stream.upload(master.flat.view(offset, shape), ppo.value_head);
  critic.params.refresh(lab.stream);
  return critic;
}

/** The clipped value loss on the fixture's data; gradients are added. */
export function criticLoss(lab: Lab, critic: Decoder, data: Arrays, ppo: Arrays): Promise<number> {
  return withPass(lab, critic, data.ids, async (pass, backward) => {
    const { head, grads } = critic.params;
    const [y, dy, dx] = [[T, 1], [T, 1], [T, critic.config.hidden]].map((shape) => lab.out(shape));
    const stats = lab.zeros([stat.count]);
    linearForward(lab.stream, { y, x: pass.hidden, w: head });
    valueLoss(lab.stream, {
      stats,
      dvalues: dy.view(0, [T]),
      values: y.view(0, [T]),
      oldValues: lab.put(ppo.old_values),
      returns: lab.put(ppo.returns),
      tokenWeights: lab.put(data.weights),
      clip: 0.4,
    });
    linearBackwardInput(lab.stream, { dx, dy, w: head });
    linearBackwardWeight(lab.stream, { dw: grads!.head, dy, x: pass.hidden });
    backward(dx);
    return (await lab.f32(stats))[stat.value];
  });
}

/** Advantages and returns of the fixture's rewards and values. */
export async function advantages(
  lab: Lab,
  ppo: Arrays,
): Promise<{ advantages: Float32Array; returns: Float32Array }> {
  const [advantages, returns] = [lab.out([T]), lab.out([T])];
  gae(lab.stream, {
    advantages,
    returns,
    rewards: lab.put(ppo.gae_rewards),
    values: lab.put(ppo.gae_values),
    segments: lab.put(ppo.gae_segments),
    link: lab.put(ppo.gae_link),
    gamma: 0.98,
    lambda: 0.9,
  });
  return { advantages: await lab.f32(advantages), returns: await lab.f32(returns) };
}
