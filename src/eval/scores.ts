/**
 * What a set's answers say about the model.
 *
 * @module
 */
import type { Problem } from "../data/mod.ts";
import { afterAnswer, judgedTurn, type StageSpec } from "../task/mod.ts";
import type { AnswerFacts } from "./answers.ts";
import type { Grader } from "../grade/mod.ts";
import { reflectionWords } from "./reflection.ts";
import { mean } from "../base/mod.ts";
import { passAtK, powersUpTo } from "../rollout/mod.ts";
import { clusteredMean, type Estimate } from "./statistics.ts";

/** One stage over all answers that reached it. */
export interface StageScores {
  /** Share of the answers that reached it. */
  readonly reached: number;
  /** Its responses: a stage that comes back has several in one answer. */
  readonly responses: number;
  /** Mean sampled tokens of a response. */
  readonly tokens: number;
  /** Share of responses that spent the budget. */
  readonly truncated: number;
  /** Share of right responses; none for a stage that judges. */
  readonly accuracy?: number;
  /** The same of responses after a verdict on a right answer, where there are any: what a false No costs. */
  readonly afterRight?: number;
  /** The same on a wrong answer: what the second try is worth. */
  readonly afterWrong?: number;
  /** Mean occurrences of each reflection phrase per response. */
  readonly reflections: Readonly<Record<string, number>>;
}

/** How well the model judges its own answers; an undecided verdict is neither Yes nor No. */
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
  readonly firstAccuracy?: Estimate;
  /** Mean sampled tokens of an answer, all stages together. */
  readonly tokens: number;
  /** Share of answers with no boxed result at their end. */
  readonly unanswered: number;
  /** By stage, those that some answer reached. */
  readonly stages: Readonly<Record<string, StageScores>>;
  /** Missing where nothing is verified. */
  readonly verification?: VerificationScores;
}

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
  readonly grade: Grader;
  /** The stages of the task, in order. */
  readonly taskStages: readonly Pick<StageSpec, "name" | "judges">[];
}

/** Measures a set. */
export async function scoreSet(measured: SetAnswers): Promise<SetScores> {
  const { set, problems, skipped, answers, grade, taskStages } = measured;
  const groups = problems.map((problem) => answers.get(problem.id)!);
  const all = groups.flat();
  const samples = groups[0].length;
  const right = groups.map((group) => group.filter(isRight).length);
  const votes: number[] = [];
  for (const [i, group] of groups.entries()) {
    votes.push(Number(await majorityIsRight(group, problems[i], grade)));
  }
  const judgements = judgementsOf(all, taskStages);
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
    firstAccuracy: taskStages.length > 1
      ? clusteredMean(groups.map((group) => shareOf(group, (answer) => firstIsRight(answer))!))
      : undefined,
    tokens: mean(all.map(tokensOf)),
    unanswered: shareOf(all, (answer) => answer.turns[answer.final]?.answer === undefined)!,
    stages: scoreStages(all, taskStages),
    verification: judgements.length > 0 ? scoreVerification(judgements) : undefined,
  };
}

/** Whether the answer that counts is right. */
export function isRight(answer: AnswerFacts): boolean {
  return answer.turns[answer.final]?.correct === true;
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

function scoreStages(
  all: readonly AnswerFacts[],
  taskStages: SetAnswers["taskStages"],
): SetScores["stages"] {
  const stages: Record<string, StageScores> = {};
  for (const { name, judges } of taskStages) {
    const reached = all.map(({ turns }) => turns.filter((turn) => turn.stage === name));
    const turns = reached.flat();
    if (turns.length === 0) continue;
    const isRight = (turn: AnswerFacts["turns"][number]) => turn.correct === true;
    const after = (answer: "right" | "wrong") =>
      shareOf(
        all.flatMap(({ turns }) =>
          turns.filter(({ stage }, i) =>
            stage === name && afterAnswer(turns, i, taskStages) === answer
          )
        ),
        isRight,
      ) ?? undefined;
    stages[name] = {
      reached: shareOf(reached, (each) => each.length > 0)!,
      responses: turns.length,
      tokens: mean(turns.map((turn) => turn.tokens)),
      truncated: shareOf(turns, (turn) => turn.truncated)!,
      accuracy: judges ? undefined : shareOf(turns, isRight)!,
      afterRight: after("right"),
      afterWrong: after("wrong"),
      reflections: Object.fromEntries(
        reflectionWords.map((word, i) => [word, mean(turns.map((turn) => turn.reflections[i]))]),
      ),
    };
  }
  return stages;
}

/** A verdict of the model, and whether what it is about was right. */
interface Judgement {
  readonly verdict?: "yes" | "no";
  readonly right: boolean;
}

function judgementsOf(
  all: readonly AnswerFacts[],
  taskStages: SetAnswers["taskStages"],
): Judgement[] {
  const judges = new Map(taskStages.map((stage) => [stage.name, stage.judges]));
  return all.flatMap(({ turns }) =>
    turns.flatMap(({ stage, verdict }, i) => {
      const about = judges.get(stage);
      if (about === undefined) return [];
      return [{ verdict, right: judgedTurn(turns, i, about)?.correct === true }];
    })
  );
}

function scoreVerification(judgements: readonly Judgement[]): VerificationScores {
  const isRight = ({ right }: Judgement) => right;
  const yes = judgements.filter(({ verdict }) => verdict === "yes");
  const right = judgements.filter(isRight), wrong = judgements.filter(({ right }) => !right);
  return {
    yes: yes.length / judgements.length,
    invalid: shareOf(judgements, ({ verdict }) => verdict === undefined)!,
    precision: shareOf(yes, isRight),
    recall: shareOf(right, ({ verdict }) => verdict === "yes"),
    specificity: shareOf(wrong, ({ verdict }) => verdict === "no"),
  };
}

/**
 * Whether the most frequent answer is right. Samples without an answer do not vote; of equally frequent
 * answers the one that was given first counts.
 */
async function majorityIsRight(
  group: readonly AnswerFacts[],
  problem: Problem,
  grade: Grader,
): Promise<boolean> {
  /** Equal answers: their first spelling, how many, and whether they are right. */
  const classes: { text: string; votes: number; right: boolean }[] = [];
  for (const sample of group) {
    const { answer, correct } = sample.turns[sample.final] ?? {};
    if (answer === undefined) continue;
    let found = classes.find(({ text }) => text === answer);
    for (const each of found ? [] : classes) {
      // The grader has spoken on both: answers that differ in that are not the same.
      if (each.right === (correct === true) && await grade(each.text, answer, problem)) {
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
