/**
 * The dialogues that the report of an evaluation shows.
 *
 * @module
 */
import { rowsOf } from "../base/mod.ts";
import type { Problem } from "../data/mod.ts";
import type { Answer, AnswerFacts } from "./answers.ts";
import { titleOf } from "./benchmarks.ts";
import type { Dialogue } from "../report/mod.ts";
import type { EvalSet, KnownAnswers } from "./types.ts";

/** Dialogues that are shown of each set. */
const dialoguesPerSet = 8;

/**
 * Dialogues to read: of each set one for every course (which stages, what was right), by the order of
 * problems and samples, so that the choice does not depend on who finished first.
 *
 * @param log The evaluation's `answers.jsonl`.
 */
export async function chooseDialogues(
  log: string,
  { sets, known }: { readonly sets: readonly EvalSet[]; readonly known: KnownAnswers },
): Promise<Dialogue[]> {
  const problems = new Map(
    sets.map((
      { name, problems },
    ) => [name, new Map(problems.map((row, i) => [row.id, { row, i }]))]),
  );
  /** The chosen samples: of each course those that stand first. */
  const wanted = new Map<string, Map<string, number>>();
  for (const { name, problems } of sets) {
    const courses = new Map<string, AnswerFacts>();
    const rest: AnswerFacts[] = [];
    for (const problem of problems) {
      for (
        const answer of known.get(name)!.get(problem.id)!.toSorted((a, b) => a.sample - b.sample)
      ) {
        const course = courseOf(answer);
        if (courses.has(course)) rest.push(answer);
        else courses.set(course, answer);
      }
    }
    const chosen = [...courses.values(), ...rest].slice(0, dialoguesPerSet);
    wanted.set(name, new Map(chosen.map((answer, i) => [sampleKey(answer), i])));
  }
  const found: { answer: Answer; problem: Problem; place: number; set: number }[] = [];
  for await (const answer of rowsOf<Answer>(log)) {
    const rank = wanted.get(answer.set)?.get(sampleKey(answer));
    if (rank === undefined) continue;
    wanted.get(answer.set)!.delete(sampleKey(answer)); // a line that stands there twice
    const { row, i } = problems.get(answer.set)!.get(answer.id)!;
    const set = sets.findIndex(({ name }) => name === answer.set);
    found.push({ answer, problem: row, place: i, set });
  }
  found.sort((a, b) => a.set - b.set || a.place - b.place || a.answer.sample - b.answer.sample);
  return found.map(({ answer, problem }) => dialogueOf(answer, problem));
}

function sampleKey({ id, sample, problem }: Pick<Answer, "id" | "sample" | "problem">): string {
  return JSON.stringify([id, sample, problem]);
}

function courseOf(answer: AnswerFacts): string {
  return answer.turns.map(({ stage, correct, verdict }) => `${stage} ${verdict ?? correct}`).join();
}

function dialogueOf(answer: Answer, problem: Problem): Dialogue {
  const { turns, set, id, sample } = answer;
  return {
    id: sample === 0 ? id : `${id}, sample ${sample + 1}`,
    set: titleOf(set),
    question: problem.question,
    answer: problem.answer,
    right: turns[answer.final]?.correct === true,
    turns: turns.map(({ stage, text, tokens, truncated, answer: boxed, verdict, correct }) => ({
      stage,
      response: text,
      tokens,
      truncated,
      // Only a turn that judges is not graded.
      outcome: correct === undefined
        ? `verdict: ${verdict ?? "none"}`
        : `answer: ${boxed ?? "none"}${correct ? " (right)" : ""}`,
    })),
  };
}
