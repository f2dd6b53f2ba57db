/**
 * A language of twelve tokens in which a random policy often says something that can be graded: every
 * digit is a whole boxed answer, and half of all tokens end a turn.
 */
import { Engine } from "../../src/engine/mod.ts";
import type { Decoder } from "../../src/model/mod.ts";
import { type PpoConfig, ppoSchema, scored, type ScoredEpisode } from "../../src/ppo/mod.ts";
import { type EpisodeGroup, playEpisodes, type PlayOptions } from "../../src/rollout/mod.ts";
import {
  baseline as baselineSpec,
  type Codec,
  type Episode,
  type Segment,
  Task,
  type TaskProblem,
  thinker as thinkerSpec,
} from "../../src/task/mod.ts";
import { tinyPrompts } from "../../src/tiny/mod.ts";
import { randomDecoder, tinyConfig } from "../model/models.ts";
import { type Lab, Rand } from "../native.ts";

const control = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
const boxes = ["Yes", "No", "7", "8", "9"].map((content) => `\\boxed{${content}}`);
const texts = [...control, ...boxes, "a", "b", "c", "d"];
const firstLetter = control.length + boxes.length;

/** Letters stand for all plain text, so that prompts differ with the question. */
export const codec: Codec = {
  encode(text, { special = false } = {}) {
    const pieces = text.match(special ? /<\|\w+\|>|[^]/gu : /[^]/gu) ?? [];
    return pieces.map((piece) => {
      const id = special ? control.indexOf(piece) : -1;
      return id >= 0 ? id : firstLetter + piece.codePointAt(0)! % 4;
    });
  },
  decode: (ids) => ids.map((id) => texts[id]).join(""),
  id: (token) => control.indexOf(token),
};

/** The token that says `\boxed{7}`. */
export const seven = texts.indexOf("\\boxed{7}");
/** `<|im_end|>`, `<|endoftext|>` and the letters. */
export const stop = [1, 2, 8, 9, 10, 11];

/** Budgets of a few tokens. */
const budgets = { fast: 3, verify: 4, slow: 5, summary: 3, answer: 3 };
/** How tasks speak the toy language. */
export const taskOptions = { codec, prompts: tinyPrompts, stop, budgets };
/** The four stages. */
export const thinker = new Task(thinkerSpec, taskOptions);
/** The plain question. */
export const baseline = new Task(baselineSpec, taskOptions);

/** A decoder for the toy language, with random weights. */
export function toyDecoder(lab: Lab, head: "lm" | "value", seed = 1): Decoder {
  const config = tinyConfig({ hidden: 32, ffn: 48, vocab: texts.length, maxPositions: 256 });
  return randomDecoder(lab, config, { head, train: true }, new Rand(seed), 0.5);
}

/** An engine with room for a few dozen episodes. */
export function toyEngine(lab: Lab, decoder: Decoder): Engine {
  return new Engine(lab.stream, decoder, {
    maxSequences: 16,
    cacheTokens: 16 * 160,
    maxTokens: 128,
    stop,
  });
}

/** Questions whose right answer is 7. */
export function problems(count: number): (TaskProblem & { answer: string })[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `p${i}`,
    question: `${"abcd"[i % 4]}${i}`,
    answer: "7",
  }));
}

/** `samples` episodes about each of `count` problems, with ids from 0. */
export function groups(count: number, samples: number): EpisodeGroup[] {
  return problems(count).map((problem, q) => ({
    problem,
    ids: Array.from({ length: samples }, (_, i) => BigInt(q * samples + i)),
  }));
}

/** How the tests play. */
export const playing: PlayOptions = {
  task: thinker,
  mode: "train",
  grade: (answer, gold) => answer === gold,
  seed: 5n,
  sampling: { temperature: 1, topP: 1, topK: 0 },
};

/** Finished training episodes of a policy, with made-up rewards. */
export async function rollOut(
  lab: Lab,
  decoder: Decoder,
  changes: Partial<PlayOptions> = {},
): Promise<ScoredEpisode[]> {
  using engine = toyEngine(lab, decoder);
  const { episodes } = await playEpisodes(engine, groups(6, 4), { ...playing, ...changes });
  return episodes.map((episode, i) => {
    const rewards = episode.segments.map((_, s) => (i + s) % 3);
    return scored(episode, rewards, Math.floor(i / 4));
  });
}

/** A full PPO config: defaults with small batches and rates for a small model. */
export function toyConfig(changes: Partial<PpoConfig> = {}): PpoConfig {
  return ppoSchema.parse({
    questions: 8,
    samples: 8,
    actorLr: 3e-3,
    criticLr: 3e-3,
    warmupUpdates: 0,
    criticMiniBatches: 3,
    packTokens: 200,
    ...changes,
  });
}

/** A finished episode with the given turns; prompts of one token stand before each. */
export function madeEpisode(
  turns: readonly (Partial<Segment> & { stage: string; logprobs: readonly number[] })[],
): Episode {
  const ids: number[] = [];
  const segments = turns.map((turn): Segment => {
    ids.push(0);
    const start = ids.length, { length } = turn.logprobs;
    for (let i = 0; i < length; i++) ids.push(100 + start + i);
    return { start, length, text: "", truncated: false, ...turn };
  });
  const never = () => {
    throw new Error("the episode is over");
  };
  const problem = { id: "made", question: "?", answer: "7" };
  const final = thinkerSpec.final(segments), over = { done: true, start: never, step: never };
  return { id: 0n, problem, mode: "train", ids, segments, final, ...over };
}
