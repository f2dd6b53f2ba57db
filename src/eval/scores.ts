/**
 * What a set's answers say about the model.
 *
 * @module
 */
import type { Problem } from "../data/mod.ts";
import type { Stage } from "../task/mod.ts";
import type { AnswerFacts } from "./answers.ts";
import type { Judge } from "../rollout/mod.ts";
import { reflectionWords } from "./reflection.ts";
import { clusteredMean, type Estimate, mean, passAtK, powersUpTo } from "./statistics.ts";

/** One stage over all answers that reached it. */
export interface StageScores {
  /** Share of the answers that reached it. */
  readonly reached: number;
  /** Mean sampled tokens, of those that reached it. */
  readonly tokens: number;
  /** Share of spent budgets, of those that reached it. */
  readonly truncated: number;
  /** Share of right answers, of those that reached it; none for verification. */
  readonly accuracy?: number;
  /** Mean occurrences of each reflection phrase per response. */
  readonly reflections: Readonly<Record<string, number>>;
}

/** How well the model judges its fast answers; an undecided verdict is neither Yes nor No. */
export interface VerificationScores {
  /** Share of verdicts that are Yes. */
  readonly yes: number;
  /** Share without a valid verdict; counts as No. */
  readonly invalid: number;
  /** Of the answers that got a Yes, the share of right ones; null where none got one. */
  readonly precision: number | null;
  /** Of the right answers, the share that got a Yes; null where none was right. */
  readonly recall: number | null;
  /** Of the wrong answers, the share that got a No; null where none was wrong. */
  readonly specificity: number | null;
}

/** A set's results. */
export interface SetScores {
  /** Its name. */
  readonly set: string;
  /** Problems asked. */
  readonly problems: number;
  /** Problems left out because they are longer than the model allows. */
  readonly skipped: number;
  /** Samples of each problem. */
  readonly samples: number;
  /** Accuracy of one sample: pass@1. */
  readonly accuracy: Estimate;
  /** By k: the probability that one of k samples is right. */
  readonly passAt: Readonly<Record<number, number>>;
  /** Accuracy of the answer that most samples give. */
  readonly majority: number;
  /** Accuracy of the first stage alone; missing where there is but one. */
  readonly fastAccuracy?: Estimate;
  /** Mean sampled tokens of an answer, all stages together. */
  readonly tokens: number;
  /** Share of answers with no boxed result at their end. */
  readonly unanswered: number;
  /** By stage, those that some answer reached. */
  readonly stages: Readonly<Partial<Record<Stage, StageScores>>>;
  /** Missing where nothing is verified. */
  readonly verification?: VerificationScores;
}

const stageOrder: readonly Stage[] = ["fast", "verify", "slow", "summary", "answer"];

/** Everything that is measured on one set. */
export interface SetAnswers {
  /** Its name. */
  readonly set: string;
  /** The problems that were asked. */
  readonly problems: readonly Problem[];
  /** How many problems were too long to be asked. */
  readonly skipped: number;
  /** Answers by problem id; every problem has equally many, at least one. */
  readonly answers: ReadonlyMap<string, readonly AnswerFacts[]>;
  /** Tells which answers are the same, for the vote. */
  readonly judge: Judge;
}

/** Measures a set. */
export async function scoreSet(measured: SetAnswers): Promise<SetScores> {
  const { set, problems, skipped, answers, judge } = measured;
  const groups = problems.map((problem) => answers.get(problem.id)!);
  const all = groups.flat();
  const samples = groups[0].length;
  const right = groups.map((group) => group.filter(isRight).length);
  const votes: number[] = [];
  for (const [i, group] of groups.entries()) {
    votes.push(Number(await majorityIsRight(group, problems[i], judge)));
  }
  const verified = all.filter((answer) => answer.turns.length > 1);
  const several = all.some((answer) => answer.turns.length > 1);
  return {
    set,
    problems: problems.length,
    skipped,
    samples,
    accuracy: clusteredMean(right.map((count) => count / samples)),
    passAt: Object.fromEntries(
      powersUpTo(samples).map((k) => [k, mean(right.map((c) => passAtK(samples, c, k)))]),
    ),
    majority: mean(votes),
    fastAccuracy: several
      ? clusteredMean(groups.map((group) => shareOf(group, (answer) => firstIsRight(answer))!))
      : undefined,
    tokens: mean(all.map(tokensOf)),
    unanswered: shareOf(all, (answer) => answer.turns[answer.final].answer === undefined)!,
    stages: scoreStages(all),
    verification: verified.length > 0 ? scoreVerification(verified) : undefined,
  };
}

/** Whether the answer that counts is right. */
export function isRight(answer: AnswerFacts): boolean {
  return answer.turns[answer.final].correct === true;
}

/** Sampled tokens of an answer, all stages together. */
export function tokensOf(answer: AnswerFacts): number {
  return answer.turns.reduce((sum, turn) => sum + turn.tokens, 0);
}

function firstIsRight(answer: AnswerFacts): boolean {
  return answer.turns[0].correct === true;
}

/** Null for none at all. */
function shareOf<T>(items: readonly T[], holds: (item: T) => boolean): number | null {
  return items.length === 0 ? null : items.filter(holds).length / items.length;
}

function scoreStages(all: readonly AnswerFacts[]): SetScores["stages"] {
  const stages: Partial<Record<Stage, StageScores>> = {};
  for (const stage of stageOrder) {
    const turns = all.flatMap((answer) => answer.turns.filter((turn) => turn.stage === stage));
    if (turns.length === 0) continue;
    stages[stage] = {
      reached: turns.length / all.length,
      tokens: mean(turns.map((turn) => turn.tokens)),
      truncated: shareOf(turns, (turn) => turn.truncated)!,
      accuracy: stage === "verify" ? undefined : shareOf(turns, (turn) => turn.correct === true)!,
      reflections: Object.fromEntries(
        reflectionWords.map((word, i) => [word, mean(turns.map((turn) => turn.reflections[i]))]),
      ),
    };
  }
  return stages;
}

function scoreVerification(verified: readonly AnswerFacts[]): VerificationScores {
  const verdict = (answer: AnswerFacts) => answer.turns[1].verdict;
  const yes = verified.filter((answer) => verdict(answer) === "yes");
  const right = verified.filter(firstIsRight);
  const wrong = verified.filter((answer) => !firstIsRight(answer));
  return {
    yes: yes.length / verified.length,
    invalid: shareOf(verified, (answer) => verdict(answer) === undefined)!,
    precision: shareOf(yes, firstIsRight),
    recall: shareOf(right, (answer) => verdict(answer) === "yes"),
    specificity: shareOf(wrong, (answer) => verdict(answer) === "no"),
  };
}

/**
 * Whether the most frequent answer is right. Samples without an answer do not vote; of equally frequent
 * answers the one that was given first counts.
 */
async function majorityIsRight(
  group: readonly AnswerFacts[],
  problem: Problem,
  judge: Judge,
): Promise<boolean> {
  /** Equal answers: their first spelling, how many, and whether they are right. */
  const classes: { text: string; votes: number; right: boolean }[] = [];
  for (const sample of group) {
    const { answer, correct } = sample.turns[sample.final];
    if (answer === undefined) continue;
    let found = classes.find(({ text }) => text === answer);
    for (const each of found ? [] : classes) {
      // The grader has spoken on both: answers that differ in that are not the same.
      if (each.right === (correct === true) && await judge(each.text, answer, problem)) {
        found = each;
        break;
      }
    }
    if (found) found.votes++;
    else classes.push({ text: answer, votes: 1, right: correct === true });
  }
  const winner = classes.reduce<(typeof classes)[number] | undefined>(
    (best, each) => best && best.votes >= each.votes ? best : each,
    undefined,
  );
  return winner?.right ?? false;
}
