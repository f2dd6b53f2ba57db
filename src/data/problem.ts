/**
 * What every data set consists of.
 *
 * @module
 */

import { z } from "npm:zod@4.6.7";
import type { Schema } from "../base/mod.ts";
import { type Choices, withChoices } from "./choices.ts";

/** A question with a known answer. */
export interface Problem {
  /** Unique within its data set and stable over runs, e.g. `math500/17`. */
  id: string;
  /** What the model is asked; of a multiple-choice question, its options included. */
  question: string;
  /** The right final answer, LaTeX or plain text; of a multiple-choice question, a letter. */
  answer: string;
  /** The options of a multiple-choice question, at least two. */
  choices?: Choices;
}

const TEXT = z.union([z.string(), z.number()], { error: "must be text or a number" })
  .transform(String)
  .refine((text) => text.trim() !== "", { error: "is empty" });

const CHOICES = z.record(z.string(), TEXT).refine(
  (choices) => Object.keys(choices).every((key) => /^[A-Z]$/.test(key)),
  { error: "must have the letters A to Z as keys" },
);

const row = z.object({
  id: TEXT,
  question: TEXT,
  answer: TEXT,
  choices: CHOICES.optional(),
});

/**
 * Reads a row `{id, question, answer, choices?}`; numbers become text, other keys are dropped. With
 * choices the options are made part of the question, and an answer that spells an option out becomes
 * its letter.
 */
export const problemSchema: Schema<Problem> = row.transform(({ choices, ...problem }, context) => {
  if (!choices || Object.keys(choices).length < 2) return problem;
  const answer = letterNamed(problem.answer, choices);
  if (answer === undefined) {
    const letters = Object.keys(choices).sort().join(", ");
    context.addIssue({ code: "custom", path: ["answer"], message: `is none of ${letters}` });
    return z.NEVER;
  }
  return { ...problem, question: withChoices(problem.question, choices), answer, choices };
});

function letterNamed(answer: string, choices: Choices): string | undefined {
  const text = answer.trim();
  if (Object.hasOwn(choices, text)) return text;
  const [, letter] = text.match(/^\(?([A-Za-z])[).:]?$/) ?? [];
  return Object.keys(choices).find((each) => choices[each].trim() === text) ??
    Object.keys(choices).find((each) => each === letter?.toUpperCase());
}
