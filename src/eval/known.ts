/**
 * Reading the answers that an evaluation has already.
 *
 * @module
 */
import { truncateAfter, UserError } from "../base/mod.ts";
import { checkAnswer, factsOf, problemKey } from "./answers.ts";
import type { EvalFolder } from "./config.ts";
import type { EvalSet, KnownAnswers } from "./types.ts";

/**
 * The answers that the folder has to the questions that are asked; a torn last line is cut off.
 *
 * @throws {UserError} for a line that is no answer, or one that is there twice.
 */
export async function readKnown(
  folder: EvalFolder,
  sets: readonly EvalSet[],
  samples: number,
): Promise<KnownAnswers> {
  const known: KnownAnswers = new Map(
    sets.map(({ name, problems }) => [name, new Map(problems.map(({ id }) => [id, []]))]),
  );
  const keys = new Map(
    sets.map(({ name, problems }) => [name, new Map(problems.map((p) => [p.id, problemKey(p)]))]),
  );
  let line = 0;
  await truncateAfter<object>(folder.answers, (row) => {
    const where = `${folder.answers}:${++line}`, answer = checkAnswer(row, where);
    if (keys.get(answer.set)?.get(answer.id) !== answer.problem) return true;
    const list = known.get(answer.set)!.get(answer.id)!;
    if (list.some((each) => each.sample === answer.sample)) {
      const what = `sample ${answer.sample} of "${answer.id}" in ${answer.set}`;
      throw new UserError(`${where}: ${what} stands there a second time`, {
        hint: "remove one of the two lines; nothing was changed",
      });
    }
    if (answer.sample < samples) list.push(factsOf(answer));
    return true;
  });
  return known;
}
