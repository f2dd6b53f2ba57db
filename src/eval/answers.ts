/**
 * What an evaluation writes down of an episode, and what it keeps in mind of it.
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { check, hash64, type Schema, UserError } from "../base/mod.ts";
import type { Problem } from "../data/mod.ts";
import type { Episode } from "../task/mod.ts";
import { firstId } from "../rollout/mod.ts";
import { countReflections } from "./reflection.ts";

/** One turn of an answer. */
export interface AnswerTurn {
  /** The role of the turn. */
  readonly stage: string;
  /** Sampled tokens, the stop token included. */
  readonly tokens: number;
  /** The budget was spent before a stop token. */
  readonly truncated: boolean;
  /** What the model said. */
  readonly text: string;
  /** The content of the last box; missing where there is none. */
  readonly answer?: string;
  /** Of a stage that judges: what the model decided; missing where it decided nothing. */
  readonly verdict?: "yes" | "no";
  /** Whether the answer is right; missing for a stage that judges. */
  readonly correct?: boolean;
}

/** One sample of one problem: a line of `answers.jsonl`. */
export interface Answer {
  /** The benchmark. */
  readonly set: string;
  /** The problem's id in it. */
  readonly id: string;
  /** Which of its samples, from 0. */
  readonly sample: number;
  /** Of question, gold answer and options: an answer to another question is not counted. */
  readonly problem: string;
  /** The turns in the order they happened. */
  readonly turns: readonly AnswerTurn[];
  /** The index of the turn whose answer counts, by the model's own verdict; -1 where none does. */
  readonly final: number;
}

const answerSchema: Schema<Answer> = z.object({
  set: z.string(),
  id: z.string(),
  sample: z.int().nonnegative(),
  problem: z.string(),
  turns: z.array(z.object({
    stage: z.string(),
    tokens: z.int().nonnegative(),
    truncated: z.boolean(),
    text: z.string(),
    answer: z.string().optional(),
    verdict: z.enum(["yes", "no"]).optional(),
    correct: z.boolean().optional(),
  })),
  final: z.int().min(-1),
}).refine(({ turns, final }) => final < turns.length, { path: ["final"], message: "no such turn" });

/** A line of `answers.jsonl`: an answer with a digest of it, so that a bit that flips later is found. */
export function lineOf(answer: Answer): Answer & { readonly digest: string } {
  return { ...answer, digest: digestOf(answer) };
}

function digestOf(answer: object): string {
  return hash64(JSON.stringify(answer)).toString(16).padStart(16, "0");
}

/**
 * Checks a line of `answers.jsonl`.
 *
 * @param where File and line, for the message.
 * @throws {UserError} when it is no answer, or not the one that was written.
 */
export function checkAnswer(row: unknown, where: string): Answer {
  const hint = "remove the line, then it is asked again; nothing was changed";
  const answer = check(answerSchema, row, where, hint);
  const { digest, ...written } = row as Answer & { digest?: unknown };
  if (digest === digestOf(written)) return answer;
  throw new UserError(`${where} is not as it was written`, { hint });
}

/** An answer without its texts: what statistics need. */
export interface AnswerFacts extends Omit<Answer, "turns"> {
  /** The turns without what was said. */
  readonly turns: readonly (Omit<AnswerTurn, "text"> & {
    /** Occurrences of each of `reflectionWords`. */
    readonly reflections: readonly number[];
  })[];
}

/** What a problem asks, in 16 hex digits. */
export function problemKey({ question, answer, choices }: Problem): string {
  return hash64(JSON.stringify([question, answer, choices])).toString(16).padStart(16, "0");
}

/**
 * The sequence id of a sample, which keys its random numbers: a function of what is asked alone, so
 * that neither the other problems nor the samples already taken change what is drawn.
 */
export function sequenceId(set: string, id: string, sample: number): bigint {
  return firstId | (hash64(JSON.stringify([set, id, sample])) & (firstId - 1n));
}

/** A finished episode as a line of `answers.jsonl`. */
export function answerOf(
  episode: Episode,
  of: Pick<Answer, "set" | "id" | "sample" | "problem">,
): Answer {
  const { final } = episode;
  return {
    ...of,
    turns: episode.segments.map(({ stage, length, truncated, text, answer, verdict, correct }) => ({
      stage,
      tokens: length,
      truncated,
      text,
      answer,
      verdict,
      correct,
    })),
    final: final ? episode.segments.indexOf(final) : -1,
  };
}

/** Forgets the texts of an answer, once what is measured in them is counted. */
export function factsOf(answer: Answer): AnswerFacts {
  return {
    ...answer,
    turns: answer.turns.map(({ text, ...turn }) => ({
      ...turn,
      reflections: countReflections(text),
    })),
  };
}
