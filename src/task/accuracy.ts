/**
 * What finished episodes say about the model.
 *
 * @module
 */
import { meanOf } from "../base/mod.ts";
import type { Episode, Segment, StageSpec } from "./types.ts";

/** What a turn of a stage that judges is about: the latest turn of that stage before it. */
export function judgedTurn<T extends Pick<Segment, "stage">>(
  turns: readonly T[],
  index: number,
  judges: string,
): T | undefined {
  return turns.slice(0, index).findLast(({ stage }) => stage === judges);
}

/**
 * Accuracy of every stage that was reached, and `final`: of the turns that count. Of a stage that judges it
 * is balanced: the mean of the recall on right and on wrong answers, undefined unless both occurred.
 */
export function accuracies(
  episodes: readonly Pick<Episode, "segments" | "final">[],
  stages: readonly Pick<StageSpec, "name" | "judges">[],
): Record<string, number> {
  const result: Record<string, number> = {};
  const put = (key: string, value: number | undefined) => {
    if (value !== undefined) result[key] = value;
  };
  for (const { name, judges } of stages) {
    if (judges !== undefined) {
      put(name, balancedAccuracy(episodes, name, judges));
      continue;
    }
    const turns = episodes.flatMap((e) => e.segments.filter(({ stage }) => stage === name));
    put(name, meanOf(turns.map(({ correct }) => Number(correct === true))));
  }
  put("final", meanOf(episodes.map(({ final }) => Number(final?.correct === true))));
  return result;
}

/**
 * Whether a turn comes after a verdict on a right answer, or on a wrong one; undefined where nothing was
 * judged before it, and for a verdict itself.
 */
export function afterAnswer<T extends Pick<Segment, "stage" | "correct">>(
  turns: readonly T[],
  index: number,
  stages: readonly Pick<StageSpec, "name" | "judges">[],
): "right" | "wrong" | undefined {
  const judges = (turn: T) => stages.find(({ name }) => name === turn.stage)?.judges;
  if (judges(turns[index]) !== undefined) return;
  const verdict = turns.slice(0, index).findLastIndex((turn) => judges(turn) !== undefined);
  if (verdict < 0) return;
  return judgedTurn(turns, verdict, judges(turns[verdict])!)?.correct === true ? "right" : "wrong";
}

/**
 * Accuracy of the stages that follow a verdict, apart by the answer that was judged: `slow_after_right`
 * and `slow_after_wrong`, those that occurred. After a right one a stage has nothing to gain.
 */
export function accuraciesAfter(
  episodes: readonly Pick<Episode, "segments">[],
  stages: readonly Pick<StageSpec, "name" | "judges">[],
): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { name } of stages) {
    for (const answer of ["right", "wrong"] as const) {
      const turns = episodes.flatMap(({ segments }) =>
        segments.filter(({ stage }, i) =>
          stage === name && afterAnswer(segments, i, stages) === answer
        )
      );
      const value = meanOf(turns.map(({ correct }) => Number(correct === true)));
      if (value !== undefined) result[`${name}_after_${answer}`] = value;
    }
  }
  return result;
}

function balancedAccuracy(
  episodes: readonly Pick<Episode, "segments">[],
  name: string,
  judges: string,
): number | undefined {
  const recall = (right: boolean, wanted: "yes" | "no") =>
    meanOf(episodes.flatMap(({ segments }) =>
      segments.flatMap(({ stage, verdict }, i) => {
        if (stage !== name) return [];
        const judged = judgedTurn(segments, i, judges);
        return (judged?.correct === true) === right ? [Number(verdict === wanted)] : [];
      })
    ));
  const yes = recall(true, "yes"), no = recall(false, "no");
  return yes === undefined || no === undefined ? undefined : (yes + no) / 2;
}
