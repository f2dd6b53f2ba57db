/**
 * What every data set consists of.
 *
 * @module
 */

import { z } from "npm:zod@^4";
import type { Fields, Schema } from "../schema.ts";

/** A question with a known answer. */
export interface Problem {
  /** Unique within its data set and stable over runs, e.g. `math500/17`. */
  id: string;
  /** What the model is asked. */
  question: string;
  /** The right final answer, LaTeX or plain text. */
  answer: string;
  /** Options of a multiple-choice question by letter. */
  choices?: Record<string, string>;
}

const TEXT = z.union([z.string(), z.number()], { error: "must be text or a number" })
  .transform(String)
  .refine((text) => text.trim() !== "", { error: "is empty" });

/**
 * Reads a row `{id, question, answer}`, with `choices` where it is multiple choice; numbers become
 * text, other keys are dropped.
 */
export const problemSchema: Schema<Problem> = z.object<Fields<Problem>>({
  id: TEXT,
  question: TEXT,
  answer: TEXT,
  // In another layout it is one of the other keys.
  choices: z.record(z.string(), z.string()).optional().catch(undefined),
});
