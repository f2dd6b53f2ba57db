/**
 * Scripted dialogues about sums, for the supervised warm start of a tiny model: the task's own episodes,
 * played with written turns that are right only part of the time. Reinforcement learning starts from a
 * model that knows the forms and some of the content.
 *
 * @module
 */
import { Random, UserError } from "../base/mod.ts";
import {
  callTool,
  type Codec,
  type Episode,
  type Mode,
  type Script,
  type Segment,
  type Task,
} from "../task/mod.ts";
import { type ArithmeticProblem, trainProblem, wrongAnswer, wrongAttempt } from "./arithmetic.ts";

/** How often a scripted turn is right, by stage. */
export type Skill = Readonly<Record<string, number>>;

/** One dialogue for a warm start: tokens, and the spans of its turns. */
export interface ScriptedDialogue {
  /** The whole dialogue. */
  readonly ids: readonly number[];
  /** Its turns: what is learned. */
  readonly spans: readonly Segment[];
}

/**
 * The dialogues of one step of a warm start: a function of seed and step.
 *
 * @param tasks Whose dialogues are mixed; of two the first gets 7 of 10.
 */
export async function scriptedBatch(
  tasks: readonly Task[],
  of: {
    readonly seed: number;
    readonly step: number;
    readonly count: number;
    readonly codec: Codec;
    readonly skill: Skill;
  },
): Promise<ScriptedDialogue[]> {
  const { seed, step, count, codec, skill } = of;
  const random = new Random(seed).fork("warm start").fork(`${step}`);
  const stop = codec.id("<|im_end|>");
  const dialogues: ScriptedDialogue[] = [];
  while (dialogues.length < count) {
    const task = random.next() < 0.7 ? tasks[0] : tasks[1] ?? tasks[0];
    const mode = random.next() < 0.7 ? "train" : "inference";
    const problem = trainProblem(random);
    const episode = await scriptedEpisode(task, problem, { codec, stop, skill, random, mode });
    dialogues.push({ ids: episode.ids, spans: episode.segments });
  }
  return dialogues;
}

/**
 * Checks that every stage of a task has a script, its own or the toy's.
 *
 * @throws {UserError} for the first stage that nobody wrote one for.
 */
export function checkScripts(task: Task): void {
  for (const { name } of task.stages) scriptOf(task, name);
}

/**
 * Plays one episode with scripted turns. `stop` is the token that ends them.
 *
 * @throws {UserError} for a stage that nobody wrote a script for.
 */
export async function scriptedEpisode(
  task: Task,
  problem: ArithmeticProblem,
  options: { codec: Codec; stop: number; skill: Skill; random: Random; mode: Mode },
): Promise<Episode> {
  const { codec, stop, skill, random, mode } = options;
  const episode = task.episode({ id: 0n, problem, mode });
  const commands = episode.start();
  for (let command = commands.shift(); command; command = commands.shift()) {
    if (command.kind === "grade") {
      const equal = command.answer === problem.answer;
      commands.push(...episode.step({ kind: "graded", segment: command.segment, equal }));
    } else if (command.kind === "tool") {
      const turns = [...episode.segments], counts = { calls: 0, failed: 0, late: 0 };
      const text = await callTool(command.tool, { turns, problem, counts });
      commands.push(...episode.step({ kind: "tool", text }));
    } else if (command.kind === "generate") {
      const { stage, budget } = command;
      const right = random.next() < skill[stage];
      const text = scriptOf(task, stage)({ problem, turns: episode.segments, right, random });
      const ids = [...codec.encode(text), stop].slice(0, budget);
      const truncated = ids[ids.length - 1] !== stop;
      const logprobs = ids.map(() => 0);
      commands.push(...episode.step({ kind: "turn", turn: { ids, logprobs, truncated } }));
    }
  }
  return episode;
}

function scriptOf(task: Task, stage: string): Script {
  const script = task.stages.find(({ name }) => name === stage)?.script ?? scripts[stage];
  if (script) return script;
  throw new UserError(
    `stage "${stage}" has no script, and a model made here is warm-started on them`,
    {
      hint: "give the stage a `script`, or start from a trained model with --model",
    },
  );
}

/** A box stands at the start of a line, where the tiny tokenizer has one token for it. */
const box = (content: string) => `\\boxed{${content}}`;

const answer: Script = ({ problem, right, random }) => {
  const sum = problem as ArithmeticProblem;
  return box(right ? sum.answer : wrongAnswer(sum, random));
};

const work: Script = ({ problem, right, random }) => {
  const sum = problem as ArithmeticProblem;
  const attempt = right ? sum : wrongAttempt(sum, random);
  return `${attempt.work}\n${box(attempt.answer)}`;
};

/** What turns of the built-in tasks say about a sum. */
const scripts: Readonly<Record<string, Script>> = {
  fast: answer,
  summary: answer,
  slow: work,
  answer: work,
  verify: ({ problem, turns: [first], right }) => {
    const { answer, work } = problem as ArithmeticProblem, given = first.answer ?? "";
    const verdict = (given === answer) === right ? "Yes" : "No";
    return `${work}\n${compareDigits(answer, given)}\n${box(verdict)}`;
  },
};

/**
 * Two numbers side by side, ones first: each pair of digits with `=` or `#` behind it, `_` for a digit
 * that is missing. `compareDigits("132", "131")` is `21# 33= 11=`. Comparing digit by digit is a lookup
 * that a very small model learns; comparing whole numbers at a glance is not.
 */
function compareDigits(a: string, b: string): string {
  const pairs: string[] = [];
  for (let i = 1; i <= Math.max(a.length, b.length); i++) {
    const [x, y] = [a.at(-i) ?? "_", b.at(-i) ?? "_"];
    pairs.push(`${x}${y}${x === y ? "=" : "#"}`);
  }
  return pairs.join(" ");
}
