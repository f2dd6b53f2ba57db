/**
 * Scripted dialogues about sums, for the supervised warm start of a tiny model: the task's own episodes,
 * played with written turns that are right only part of the time. Reinforcement learning starts from a
 * model that knows the forms and some of the content.
 *
 * @module
 */
import type { Codec, Episode, Mode, Stage, Task } from "../task/mod.ts";
import { type ArithmeticProblem, wrongAnswer, wrongAttempt } from "./arithmetic.ts";
import type { Random } from "../base/mod.ts";

/** How often a scripted turn is right, per stage. */
export type Skill = Readonly<Record<Stage, number>>;

/** Plays one episode with scripted turns. `stop` is the token that ends them. */
export function scriptedEpisode(
  task: Task,
  problem: ArithmeticProblem,
  options: { codec: Codec; stop: number; skill: Skill; random: Random; mode: Mode },
): Episode {
  const { codec, stop, skill, random, mode } = options;
  const episode = task.episode({ id: 0n, problem, mode });
  const commands = episode.start();
  for (let command = commands.shift(); command; command = commands.shift()) {
    if (command.kind === "grade") {
      const equal = command.answer === problem.answer;
      commands.push(...episode.step({ kind: "verdict", stage: command.stage, equal }));
    } else if (command.kind === "generate") {
      const right = random.next() < skill[command.stage];
      const text = turnText(command.stage, problem, episode, right, random);
      const ids = [...codec.encode(text), stop].slice(0, command.budget);
      const truncated = ids[ids.length - 1] !== stop;
      const logprobs = ids.map(() => 0);
      commands.push(...episode.step({ kind: "turn", turn: { ids, logprobs, truncated } }));
    }
  }
  return episode;
}

/** What a turn says. A box stands at the start of a line, where the tiny tokenizer has one token for it. */
function turnText(
  stage: Stage,
  problem: ArithmeticProblem,
  episode: Episode,
  right: boolean,
  random: Random,
): string {
  const box = (content: string) => `\\boxed{${content}}`;
  switch (stage) {
    case "fast":
      return box(right ? problem.answer : wrongAnswer(problem, random));
    case "verify": {
      const given = episode.segments[0].answer ?? "";
      const verdict = (given === problem.answer) === right ? "Yes" : "No";
      return `${problem.work}\n${compareDigits(problem.answer, given)}\n${box(verdict)}`;
    }
    case "summary":
      return box(right ? problem.answer : wrongAnswer(problem, random));
    case "slow":
    case "answer": {
      const { work, answer } = right ? problem : wrongAttempt(problem, random);
      return `${work}\n${box(answer)}`;
    }
  }
}

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
