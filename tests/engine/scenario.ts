/**
 * A workload for the engine that has everything at once: shared prompts, several turns, appended
 * tokens, budgets and stop tokens. What it samples must not depend on how the engine runs it.
 *
 * As a program it prints what one default engine samples, for a given seed: `scenario.ts SEED`.
 */
import type { Precision } from "../../ffi/mod.ts";
import {
  type Continuation,
  Engine,
  type EngineOptions,
  type PromptRequest,
  type RunOptions,
  type RunStats,
  type Turn,
} from "../../src/engine/mod.ts";
import type { Decoder, ModelConfig } from "../../src/model/mod.ts";
import { randomDecoder, tinyConfig } from "../model/models.ts";
import { Lab, Rand } from "../native.ts";

/** The model of all engine tests. */
export const config = tinyConfig({ hidden: 32, ffn: 48, vocab: 64, maxPositions: 256 });
/** Tokens that end a turn: about one in thirty. */
export const stop: readonly number[] = [2, 3];
/** The plain way to sample. */
export const sampled: RunOptions = { seed: 42n, sampling: { temperature: 1, topP: 1, topK: 0 } };

/** One sequence of the workload: its turns are planned by the number of turns taken so far. */
export interface Plan {
  readonly id: bigint;
  readonly prompt: readonly number[];
  readonly budget: number;
  readonly then: readonly Continuation[];
}

/** What became of a sequence. */
export interface Outcome {
  readonly plan: Plan;
  readonly turns: Turn[];
  /** Tokens as they were streamed. */
  readonly streamed: number[];
}

/** Plans for 21 sequences over 8 prompts, some prompts ending on a block border or around one. */
export function makePlans(rand: Rand): Plan[] {
  const plans: Plan[] = [];
  for (
    const [length, samples] of [[1, 3], [2, 1], [5, 4], [16, 2], [17, 5], [18, 1], [33, 3], [40, 2]]
  ) {
    const prompt = [...rand.ints(length, 4, config.vocab)];
    for (let sample = 0; sample < samples; sample++) {
      const then = Array.from({ length: rand.int(0, 3) }, () => ({
        append: [...rand.ints(rand.int(0, 20), 4, config.vocab)],
        budget: rand.int(1, 12),
      }));
      const id = BigInt(plans.length) + (sample % 2 ? 2n ** 40n : 0n);
      plans.push({ id, prompt, budget: rand.int(1, 20), then });
    }
  }
  return plans;
}

/** Upper bound on a plan's tokens. */
export function longest({ prompt, budget, then }: Plan): number {
  return then.reduce((sum, next) => sum + next.append.length + next.budget, prompt.length + budget);
}

/** How a workload is handed to the engine. */
export interface Way {
  /** Sequences of one prompt in one request, or each in its own. */
  readonly grouped?: boolean;
  /** Owners answer after this many milliseconds; undefined: at once. */
  readonly delay?: () => number | undefined;
  /** Shuffles the requests. */
  readonly order?: (requests: PromptRequest[]) => PromptRequest[];
}

/** The requests of a workload, and where their outcomes will stand. */
export function makeRequests(plans: readonly Plan[], way: Way = {}) {
  const outcomes: Outcome[] = plans.map((plan) => ({ plan, turns: [], streamed: [] }));
  const budget = Math.max(...plans.map((plan) => plan.budget));
  const groups = Map.groupBy(outcomes, ({ plan }) => way.grouped === false ? plan : plan.prompt);
  const requests = [...groups.values()].map((group): PromptRequest => ({
    prompt: group[0].plan.prompt,
    budget,
    maxTokens: Math.max(...group.map(({ plan }) => longest({ ...plan, budget }))),
    sequences: group.map((outcome) => ({
      id: outcome.plan.id,
      onTokens: (ids) => void outcome.streamed.push(...ids),
      onTurn: (turn) => {
        outcome.turns.push(turn);
        const next = outcome.plan.then[outcome.turns.length - 1] ?? null;
        const delay = way.delay?.();
        if (delay === undefined) return next;
        return new Promise((resolve) => setTimeout(() => resolve(next), delay));
      },
    })),
  }));
  return { outcomes, requests: way.order ? way.order(requests) : requests };
}

/** Engine options with room for everything. */
export function roomy(plans: readonly Plan[], changes: Partial<EngineOptions> = {}): EngineOptions {
  const maxTokens = Math.max(...plans.map(longest)) + 20;
  return {
    maxSequences: 8,
    cacheTokens: 2 * plans.length * maxTokens,
    maxTokens,
    stop,
    ...changes,
  };
}

/** Runs a workload on a new engine. */
export async function play(
  lab: Lab,
  decoder: Decoder,
  plans: readonly Plan[],
  options: { engine?: Partial<EngineOptions>; way?: Way; run?: RunOptions } = {},
): Promise<{ outcomes: Outcome[]; stats: RunStats }> {
  using engine = new Engine(lab.stream, decoder, roomy(plans, options.engine));
  const { outcomes, requests } = makeRequests(plans, options.way);
  const stats = await engine.run(requests, options.run ?? sampled);
  return { outcomes, stats };
}

/** The model, with another shape where `changes` say so, and the workload of a seed. */
export function fromSeed(
  lab: Lab,
  seed: number,
  changes: Partial<ModelConfig> = {},
  weights: Precision = "f32",
): { decoder: Decoder; plans: Plan[] } {
  const rand = new Rand(seed);
  const shape = { ...config, ...changes };
  const decoder = randomDecoder(lab, shape, { head: "lm", train: false, weights }, rand, 0.7);
  return { decoder, plans: makePlans(rand) };
}

/** Turns of all sequences, as text that shows every bit of the log-probs. */
export function transcript(outcomes: readonly Outcome[]): string {
  return outcomes.map(({ plan, turns }) => `${plan.id}: ${JSON.stringify(turns)}`).join("\n");
}

if (import.meta.main) {
  using lab = await Lab.open();
  const { decoder, plans } = fromSeed(lab, Number(Deno.args[0]));
  using _ = decoder;
  const { outcomes } = await play(lab, decoder, plans);
  console.log(JSON.stringify({ threads: lab.device.info.threads, text: transcript(outcomes) }));
}
