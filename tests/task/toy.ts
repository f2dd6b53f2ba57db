// A tokenizer small enough to read: known words and control strings are one token each, every other
// character is one token. Decoding inverts encoding, and control strings in plain text stay text.

import {
  type Codec,
  type Episode,
  type Mode,
  Task,
  type TaskCommand,
  type TaskOptions,
  type TaskSpec,
  thinker as thinkerSpec,
  type Turn,
} from "../../src/task/mod.ts";
import { tinyPrompts } from "../../src/tiny/mod.ts";

const CONTROL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
const WORDS = ["user", "assistant", "Yes", "No", "boxed", "fast", "check", "think", "brief"]
  .flatMap((word) => [word, ` ${word}`]);
const FIRST_WORD = CONTROL.length;
const FIRST_CHARACTER = 100;

export const START = 0;
export const END = 1;
export const EOS = 2;

export const codec: Codec = {
  encode(text, { special = false } = {}) {
    const control = special ? "<\\|im_start\\|>|<\\|im_end\\|>|<\\|endoftext\\|>|" : "";
    const pieces = text.match(new RegExp(`${control} ?[A-Za-z]+|[^]`, "gu")) ?? [];
    return pieces.flatMap((piece) => {
      if (special && CONTROL.includes(piece)) return [CONTROL.indexOf(piece)];
      if (WORDS.includes(piece)) return [FIRST_WORD + WORDS.indexOf(piece)];
      return [...piece].map((character) => FIRST_CHARACTER + character.codePointAt(0)!);
    });
  },
  decode(ids) {
    return ids.map((id) => {
      if (id < FIRST_WORD) return CONTROL[id];
      if (id < FIRST_CHARACTER) return WORDS[id - FIRST_WORD];
      return String.fromCodePoint(id - FIRST_CHARACTER);
    }).join("");
  },
  id(token) {
    const id = CONTROL.indexOf(token);
    if (id < 0) throw new Error(`no token ${token}`);
    return id;
  },
};

export const budgets = { fast: 40, verify: 50, slow: 60, summary: 30 };
export const stop = [END, EOS];

/** A task over the toy tokenizer, with one-word prompts. */
export function taskOf(spec: TaskSpec, options: Partial<TaskOptions> = {}): Task {
  return new Task(spec, { codec, prompts: tinyPrompts, budgets, stop, ...options });
}

export function thinker(options: Partial<TaskOptions> = {}): Task {
  return taskOf(thinkerSpec, options);
}

/** A turn that says `text` and then samples `end`, or runs out of budget where `end` is undefined. */
export function turn(text: string, end: number | undefined = END): Turn {
  const ids = [...codec.encode(text), ...(end === undefined ? [] : [end])];
  return { ids, logprobs: ids.map((_, i) => -(i + 1) / 8), truncated: end === undefined };
}

/** A turn that spent its budget. */
export function truncated(text: string): Turn {
  const ids = codec.encode(text);
  return { ids, logprobs: ids.map(() => -0.5), truncated: true };
}

export const right = turn("so \\boxed{4}");
export const wrong = turn("so \\boxed{5}");
export const yes = turn("\\boxed{Yes}");
export const no = turn("\\boxed{No}");
export const unboxed = turn("who knows");

/** A short name for a command: the stage generated, `grade:stage`, `tool`, or `end`. */
export function brief(command: TaskCommand, episode: Episode): string {
  if (command.kind === "generate") return command.stage;
  return command.kind === "grade"
    ? `grade:${episode.segments[command.segment].stage}`
    : command.kind;
}

export interface Run {
  episode: Episode;
  /** The names of all commands in order. */
  trace: string[];
  /** Everything the driver appended to its sequence: prompts, turns, environment tokens. */
  driven: number[];
  /** For each token of `driven`, the stage whose action it is. */
  owner: (string | undefined)[];
}

/**
 * Plays an episode the way an engine would: scripted turns, answers compared with "4".
 *
 * @param delay How many further turns may be sampled before a grade arrives; grades and the texts of
 * tools come in whenever the episode has nothing else to do.
 */
export function play(
  task: Pick<Task, "episode">,
  mode: Mode,
  turns: Turn[],
  { delay = 0, graded = true, question = "2+2?" } = {},
): Run {
  const episode = task.episode({
    id: 7n,
    problem: { id: "p", question, answer: graded ? "4" : undefined },
    mode,
  });
  const run: Run = { episode, trace: [], driven: [], owner: [] };
  const grades: { segment: number; equal: boolean; wait: number }[] = [];
  let tool: string | undefined;
  const queue = episode.start();
  const script = [...turns];
  let generating: string | undefined;
  const deliver = () => {
    const { segment, equal } = grades.shift()!;
    queue.push(...episode.step({ kind: "graded", segment, equal }));
  };
  while (true) {
    for (const command of queue.splice(0)) {
      run.trace.push(brief(command, episode));
      if (command.kind === "grade") {
        const { segment, answer } = command;
        grades.push({ segment, equal: answer === "4", wait: delay });
      } else if (command.kind === "tool") {
        const { signal } = new AbortController();
        tool = command.tool.call(episode.segments, episode.problem, signal) as string;
      } else if (command.kind === "generate") {
        run.driven.push(...command.append);
        run.owner.push(...command.append.map(() => undefined));
        generating = command.stage;
      }
    }
    if (grades.length > 0 && (grades[0].wait === 0 || generating === undefined)) {
      deliver();
    } else if (tool !== undefined) {
      queue.push(...episode.step({ kind: "tool", text: tool }));
      tool = undefined;
    } else if (generating !== undefined) {
      const stage = generating;
      const sampled = script.shift();
      if (sampled === undefined) throw new Error(`the script has no turn for ${stage}`);
      generating = undefined;
      for (const grade of grades) grade.wait--;
      run.driven.push(...sampled.ids);
      run.owner.push(...sampled.ids.map(() => stage));
      queue.push(...episode.step({ kind: "turn", turn: sampled }));
    } else if (queue.length === 0) {
      if (script.length > 0) throw new Error(`the script has ${script.length} turns too many`);
      return run;
    }
  }
}
