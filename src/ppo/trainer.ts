/**
 * One PPO step: roll out, grade, score, estimate advantages, update critic and actor.
 *
 * Each model sees the rollout once: the critic in mini-batches, the actor in as many updates as asked
 * for (one by default, which makes it exactly on-policy). No sample is skipped.
 * (PPO: arXiv 1707.06347; recipe: Open-Reasoner-Zero, arXiv 2503.24290.)
 *
 * @module
 */
import type { Stream, Tensor, Tensors } from "../../ffi/mod.ts";
import { mean, memoryFor, type Random, UserError } from "../base/mod.ts";
import type { Problem } from "../data/mod.ts";
import type { Bandwidth, Engine } from "../engine/mod.ts";
import type { Decoder } from "../model/mod.ts";
import type { Grader } from "../grade/mod.ts";
import {
  checkLogprobs,
  type EpisodeGroup,
  type Played,
  playEpisodes,
  untilAborted,
} from "../rollout/mod.ts";
import {
  type Episode,
  rereads,
  scoreEpisode,
  type Task,
  type TrailingAccuracy,
} from "../task/mod.ts";
import { idsPerStep, type PpoConfig } from "./config.ts";
import { estimateAdvantages, type RolloutTensor, uploadRollout } from "./advantages.ts";
import { flatten, scored, type ScoredEpisode } from "./experience.ts";
import { checkActions, checkEstimates } from "./finite.ts";
import { lowerPacks, Passes, type PolicyTargets } from "./passes.ts";
import { advantageMetrics, rolloutMetrics } from "./metrics.ts";
import { AdamW } from "./optimizer.ts";
import { actionsOf, pack, split } from "./packing.ts";
import { Updates } from "./updates.ts";

/** The kernel's numbers of the estimators. */
const klNumbers = { k1: 1, k2: 2, k3: 3 } as const;

/** What a trainer works with. The caller owns models, engine and stream. */
export interface TrainerParts {
  /** The queue that everything runs on. */
  readonly stream: Stream;
  /** The policy; needs gradients. */
  readonly actor: Decoder;
  /** Needed by the estimator gae only. */
  readonly critic?: Decoder;
  /** The policy to stay close to; needed with a KL coefficient only. */
  readonly reference?: Decoder;
  /** Plays rollouts with the actor's weights. */
  readonly engine: Engine;
  /** What the policy is asked. */
  readonly task: Task;
  /** Compares answers with gold answers. */
  readonly grade: Grader;
  /** Accuracy of the first answers in past rollouts, which rewards may need; updated by each step. */
  readonly trailing: TrailingAccuracy;
  /** How fast the device reads; with it a step tells how near decoding is to its bound. */
  readonly bandwidth?: Bandwidth;
}

/** What a step needs to know. */
export interface StepInput {
  /** Number of the step, from 1. */
  readonly step: number;
  /** The questions of the rollout; each is asked `samples` times. */
  readonly problems: readonly Problem[];
  /** Key of the sampler. */
  readonly seed: bigint;
  /** Source of the shuffle. */
  readonly random: Random;
  /** The median gradient norms of late, where there are enough: what a spike is measured by. */
  readonly usual?: UsualNorms;
  /** Aborting makes the step reject up to its first update; from there on it is finished. */
  readonly signal?: AbortSignal;
}

/** Usual gradient norms of the models, before clipping. */
export interface UsualNorms {
  /** Of the policy. */
  readonly actor?: number;
  /** Of the critic. */
  readonly critic?: number;
}

/** What a step did. */
export interface StepResult {
  /** By name, e.g. `ppo/kl`; README and run folders use the same names. */
  readonly metrics: Record<string, number>;
  /** The rollout with its rewards. */
  readonly episodes: readonly ScoredEpisode[];
  /** Action tokens of the policy updates that were taken: those of skipped ones do not count. */
  readonly trained: number;
}

/** Trains an actor and a critic. */
export class PpoTrainer implements Disposable {
  /** The policy's moments, for checkpoints. */
  readonly actorOptimizer: AdamW;
  /** The critic's moments; only with the estimator gae. */
  readonly criticOptimizer?: AdamW;
  readonly #parts: TrainerParts;
  readonly #config: PpoConfig;
  readonly #passes: Passes;
  readonly #memory: Disposable;

  /** Allocates optimizer state and scratch memory; clears the models' gradients. */
  constructor(parts: TrainerParts, config: PpoConfig) {
    const { stream, actor, critic } = parts;
    this.#parts = parts;
    this.#config = config;
    const { betas, weightDecay, gradNorm: maxNorm } = config;
    const options = { betas, weightDecay, maxNorm, eps: 1e-8 };
    if (config.estimator === "gae" && !critic) throw new Error("the estimator gae needs a critic");
    if (config.klCoefficient > 0 && !parts.reference) {
      throw new Error("a KL coefficient needs a reference policy");
    }
    const trained = critic ? [actor, critic] : [actor];
    for (const model of trained) stream.fill(model.params.grads!.flat, 0);
    using stack = new DisposableStack();
    this.actorOptimizer = stack.use(new AdamW(stream, actor, options));
    if (critic) this.criticOptimizer = stack.use(new AdamW(stream, critic, options));
    this.#passes = stack.use(new Passes(stream, trained, config.packTokens));
    this.#memory = stack.move();
  }

  /**
   * Plays and learns one rollout.
   *
   * @throws {UserError} that names the step, where a reward, a log-prob, a value, an advantage or a weight is no
   *   finite number, or gradients were not for too long.
   */
  async step(input: StepInput): Promise<StepResult> {
    try {
      return await memoryFor("a training pass", lowerPacks, () => this.#step(input));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const { message, hint, cause } = error;
      throw new UserError(`step ${input.step}: ${message}`, { hint, cause });
    }
  }

  async #step(input: StepInput): Promise<StepResult> {
    const config = this.#config;
    const clock = new Stopwatch();
    const lower = "lower engine.maxSequences or engine.cacheTokens";
    const played = await memoryFor("the rollout", lower, () => this.#rollOut(input));
    clock.lap("generate");

    const { trailing } = this.#parts, { p } = trailing;
    const samples = input.random.fork(`shuffle/${input.step}`).shuffle(
      await this.#score(played.episodes, p, input.signal),
    );
    clock.lap("score");

    const experience = flatten(samples, config.stageDiscount);
    const { stream, critic: valueModel } = this.#parts;
    using memory = uploadRollout(stream, experience, config);
    const batch = memory.t;
    if (valueModel) {
      for (const each of pack(samples, config.packTokens)) {
        this.#passes.values(valueModel, each, batch.values);
        // Work that is only queued would have to be waited for when the run is to stop.
        await stream.sync();
        input.signal?.throwIfAborted();
      }
    }
    estimateAdvantages(stream, batch, samples, config);
    await stream.sync();
    await checkEstimates(stream, batch, samples);
    const advantage = await this.#advantages(batch);
    clock.lap("forward");
    // The last moment at which nothing has changed, so that the step can be taken again as it was.
    input.signal?.throwIfAborted();
    trailing.update(played.episodes);
    const { usual } = input, { spikeFactor } = config;
    const criticUpdates = new Updates(usual?.critic, spikeFactor);
    const critic = await this.#updateCritic(samples, batch, criticUpdates);
    clock.lap("critic");
    const updates = new Updates(usual?.actor, spikeFactor);
    const actor = await this.#updateActor(samples, experience.logprobs, batch, updates);
    clock.lap("actor");

    // Between steps, when nothing else runs; the policy's gradients, all 0 now, are memory to read.
    await this.#parts.bandwidth?.measure(this.#parts.actor.params.grads!.flat);
    const times = clock.metrics(), { stages } = this.#parts.task;
    const metrics = {
      step: input.step,
      ...rolloutMetrics(samples, stages),
      ...(stages.some(({ judges }) => judges) && { "rollout/trailing_accuracy": p }),
      ...advantage,
      ...critic,
      ...actor,
      ...times,
      "time/update": times["time/critic"] + times["time/actor"],
      ...this.#generation(played),
    };
    return { metrics, episodes: samples, trained: updates.trained };
  }

  /** What the engine, the grader and the tools did in a rollout. */
  #generation({ stats, gradeSeconds, tools }: Played): Record<string, number> {
    const { bandwidth } = this.#parts, bytesPerSecond = stats.decodeBytes / stats.seconds;
    return {
      "time/grade": gradeSeconds,
      "rollout/sampled_tokens": stats.sampled,
      "rollout/prefilled_tokens": stats.prefilled,
      ...(tools.calls > 0 && {
        "tool/calls": tools.calls,
        "tool/failed": tools.failed,
        "tool/late": tools.late,
      }),
      "generate/idle": stats.idle,
      "generate/preempted": stats.preempted,
      "generate/tokens_per_second": stats.sampled / stats.seconds,
      "generate/bytes_per_second": bytesPerSecond,
      ...(bandwidth && { "generate/bound_share": bytesPerSecond / bandwidth.best }),
    };
  }

  /** What is known of the advantages before anything learns from them. */
  async #advantages(batch: Tensors<RolloutTensor>): Promise<Record<string, number>> {
    const { stream, critic } = this.#parts;
    const read = (tensor: Tensor) => stream.download(tensor, new Float32Array(tensor.size));
    const advantages = await read(batch.advantages);
    if (!critic) return advantageMetrics({ advantages });
    const [values, returns] = [await read(batch.values), await read(batch.returns)];
    return advantageMetrics({ advantages, critic: { values, returns } });
  }

  #rollOut(input: StepInput) {
    const { engine, task, grade } = this.#parts;
    const { samples, temperature } = this.#config;
    const groups: EpisodeGroup[] = input.problems.map((problem, q) => ({
      problem,
      ids: Array.from(
        { length: samples },
        (_, i) => BigInt(input.step) * BigInt(idsPerStep) + BigInt(q * samples + i),
      ),
    }));
    return playEpisodes(engine, groups, {
      task,
      mode: "train",
      grade,
      seed: input.seed,
      sampling: { temperature, topP: 1, topK: 0 },
      signal: input.signal,
    });
  }

  /** One reward per segment; turns whose reward asks for it are first read once more. */
  async #score(
    episodes: readonly Episode[],
    trailing: number,
    signal?: AbortSignal,
  ): Promise<ScoredEpisode[]> {
    const { actor, task } = this.#parts, { packTokens, samples, temperature } = this.#config;
    const read = new Map<Episode, Map<number, number[]>>();
    const inputs = episodes.flatMap((episode) =>
      rereads(task, episode, trailing).map(({ segment, ids, start }) => {
        const spans = [{ start, length: ids.length - start }];
        return { episode, segment, ids, spans };
      })
    );
    for (const each of pack(inputs, packTokens)) {
      const logprobs = await this.#passes.logprobs(actor, each, temperature);
      signal?.throwIfAborted();
      let at = 0;
      for (const sample of each.samples) {
        const end = at + actionsOf(sample), { episode, segment: turn } = sample;
        const known = read.get(episode) ?? new Map(), part = logprobs.subarray(at, end);
        const { stage } = episode.segments[turn], whose = "the log-prob, read once more,";
        checkLogprobs(part, episode, { turn, stage, whose });
        read.set(episode, known.set(turn, [...part]));
        at = end;
      }
    }
    const scoring = episodes.map(async (episode, i) => {
      const logprobs = read.get(episode);
      const rewards = await scoreEpisode(task, episode, { trailing, logprobs });
      return scored(episode, rewards, Math.floor(i / samples));
    });
    return await untilAborted(Promise.all(scoring), signal);
  }

  async #updateCritic(
    samples: readonly ScoredEpisode[],
    batch: Tensors<RolloutTensor>,
    updates: Updates,
  ): Promise<Record<string, number>> {
    const { stream, critic } = this.#parts;
    const optimizer = this.criticOptimizer;
    if (!critic || !optimizer) return {};
    const { criticMiniBatches, criticLr, packTokens, valueClip } = this.#config;
    const all = { oldValues: batch.values, returns: batch.returns };
    let offset = 0, lr = 0;
    for (const part of split(samples, criticMiniBatches)) {
      const n = part.reduce((total, sample) => total + actionsOf(sample), 0);
      for (const each of pack(part, packTokens, offset)) {
        this.#passes.valueLoss(critic, each, 1 / n, all, valueClip);
      }
      offset += n;
      lr = this.#learningRate(criticLr, optimizer);
      updates.add(await optimizer.step(stream, lr, updates.limit), n);
    }
    const stats = await this.#passes.takeStats();
    return {
      "ppo/value_loss": stats.value / updates.count,
      "ppo/value_clip_fraction": stats.valueClipped / updates.count,
      ...updates.metrics("ppo/critic_"),
      "ppo/critic_lr": lr,
    };
  }

  async #updateActor(
    samples: readonly ScoredEpisode[],
    rollout: Float32Array,
    batch: Tensors<RolloutTensor>,
    updates: Updates,
  ): Promise<Record<string, number>> {
    const { stream, actor } = this.#parts;
    const { actorMiniBatches, actorLr, packTokens, klCoefficient, importanceCap } = this.#config;
    const { temperature, clipLow, clipHigh, entropyCoefficient } = this.#config;
    const klEstimator = klNumbers[this.#config.klEstimator];
    const options = {
      temperature,
      clipLow,
      clipHigh,
      entropyCoefficient,
      klCoefficient,
      klEstimator,
    };
    const { reference } = this.#parts;
    let all: PolicyTargets = { advantages: batch.advantages, oldLogprobs: batch.logprobs };
    if (reference && klCoefficient > 0) {
      const { refLogprobs } = batch;
      stream.upload(refLogprobs, await this.#logprobs(reference, samples, "the reference's"));
      all = { ...all, refLogprobs };
    }
    // With one update the loss itself compares every log-prob with the sampler's. With several, later
    // ones see changed weights, so the comparison needs a pass of its own before the first.
    let gap: number | undefined;
    const weighting: Record<string, number> = {};
    if (actorMiniBatches > 1 || importanceCap !== null) {
      const before = await this.#logprobs(actor, samples, "the policy's");
      const change = before.map((logprob, i) => logprob - rollout[i]);
      gap = change.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
      if (importanceCap !== null) {
        // Decoupled PPO: the clip is around the training pass, the weight corrects for the sampler.
        const weights = change.map((each) => Math.min(importanceCap, Math.exp(each)));
        weighting["rollout/importance_weight_mean"] = mean(weights);
        const { oldLogprobs, importanceWeights } = batch;
        stream.upload(oldLogprobs, before);
        stream.upload(importanceWeights, weights);
        all = { ...all, oldLogprobs, importanceWeights };
      }
    }
    let offset = 0, lr = 0;
    for (const part of split(samples, actorMiniBatches)) {
      const n = part.reduce((total, sample) => total + actionsOf(sample), 0);
      for (const each of pack(part, packTokens, offset)) {
        this.#passes.policyLoss(actor, each, 1 / n, all, options);
      }
      offset += n;
      lr = this.#learningRate(actorLr, this.actorOptimizer);
      updates.add(await this.actorOptimizer.step(stream, lr, updates.limit), n);
    }
    const stats = await this.#passes.takeStats();
    gap ??= stats.gapMax;
    const { count } = updates;
    return {
      "rollout/logprob_gap_max": gap,
      "ppo/policy_loss": stats.policy / count,
      "ppo/entropy": stats.entropy / count,
      "ppo/kl": stats.kl / count,
      ...(klCoefficient > 0 && { "ppo/kl_ref": stats.klRef / count }),
      ...weighting,
      "ppo/clip_fraction": stats.clipped / count,
      ...updates.metrics("ppo/"),
      "ppo/actor_lr": lr,
    };
  }

  /** Of a model's next update: it rises with the updates that the model has taken. */
  #learningRate(base: number, { t }: AdamW): number {
    return base * Math.min(1, (t + 1) / (this.#config.warmupUpdates || 1));
  }

  /** Log-probs `(N)` of all actions under a policy, without gradient. */
  async #logprobs(
    policy: Decoder,
    samples: readonly ScoredEpisode[],
    whose: string,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { packTokens, temperature } = this.#config;
    const parts: Float32Array[] = [];
    for (const each of pack(samples, packTokens)) {
      parts.push(await this.#passes.logprobs(policy, each, temperature));
    }
    const all = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    checkActions(all, samples, `${whose} log-prob`);
    return all;
  }

  /** Frees optimizer state and scratch memory; the models stay. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

/** Seconds per phase. */
class Stopwatch {
  readonly #begin = performance.now();
  #last = this.#begin;
  readonly #laps: Record<string, number> = {};

  lap(name: string): void {
    const now = performance.now();
    this.#laps[`time/${name}`] = (now - this.#last) / 1000;
    this.#last = now;
  }

  metrics(): Record<string, number> {
    return { ...this.#laps, seconds: (this.#last - this.#begin) / 1000 };
  }
}
