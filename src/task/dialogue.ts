/**
 * The machine that every task shares: it keeps the token sequence, cuts it into segments, asks for
 * verdicts and waits for them. Which stage follows is the task's transition table.
 */

import { lastBoxed, parseVerdict } from "../grade/mod.ts";
import { UserError } from "../base/mod.ts";
import type { ChatEncoder } from "./prompts.ts";
import type {
  Codec,
  Episode,
  EpisodeOptions,
  Mode,
  Segment,
  Stage,
  Task,
  TaskCommand,
  TaskEvent,
  TaskProblem,
  Turn,
} from "./types.ts";

/** What follows a turn: a stage, the end, or first a verdict that has not arrived. */
export type Next = Exclude<Stage, "fast" | "answer"> | "end" | "await verdict";

/** A task's transition table: from the turns so far (never empty) to what follows. */
export type Transition = (segments: readonly Segment[], mode: Mode) => Next;

/** What all dialogues of a task have in common. */
export interface DialogueRules {
  /** Renders the environment's turns. */
  readonly chat: ChatEncoder;
  /** The stages an episode can pass through; the first one opens it. */
  readonly stages: readonly ["fast" | "answer", ...Stage[]];
  /** Action tokens per stage. */
  readonly budgets: Readonly<Partial<Record<Stage, number>>>;
  /** Ids that end a turn. */
  readonly stop: ReadonlySet<number>;
  /** What follows which turn. */
  readonly transition: Transition;
  /** Decodes the model's turns. */
  readonly codec: Codec;
}

/** A task whose episodes are dialogues; it only has to bring its rules. */
export abstract class DialogueTask implements Task {
  /** What the task is called in logs and run folders. */
  readonly name: string;
  /** Every stage an episode can pass through, in order. */
  readonly stages: readonly Stage[];
  readonly #rules: DialogueRules;

  /**
   * Checks what tasks have in common.
   *
   * @throws UserError for a budget that is not a positive integer.
   * @throws Error when `<|im_end|>` is not among the stop tokens.
   */
  constructor(name: string, rules: DialogueRules) {
    for (const stage of rules.stages) {
      const budget = rules.budgets[stage];
      if (budget === undefined || !Number.isSafeInteger(budget) || budget < 1) {
        throw new UserError(`token budget of stage "${stage}" is ${budget}`, {
          hint: "set it to a whole number of at least 1",
        });
      }
    }
    if (!rules.stop.has(rules.chat.endOfTurn)) {
      throw new Error("the stop tokens of a task must include <|im_end|>");
    }
    this.name = name;
    this.stages = rules.stages;
    this.#rules = rules;
  }

  /**
   * A new dialogue about one problem.
   *
   * @throws UserError when training is asked for a problem without a gold answer.
   */
  episode(options: EpisodeOptions): Episode {
    return new Dialogue(this.#rules, options);
  }

  /** Tokens of the first prompt, ChatML wrap included. */
  promptTokens(question: string): number {
    return this.#rules.chat.opening(this.#rules.stages[0], question).length;
  }

  /** Upper bound on a dialogue's tokens; each follow-up may have to close a truncated turn. */
  maxTokens(promptTokens: number): number {
    const { stages, budgets, chat } = this.#rules;
    let total = promptTokens;
    for (const stage of stages) {
      total += budgets[stage]!;
      if (stage !== "fast" && stage !== "answer") total += chat.followUp(stage, false).length;
    }
    return total;
  }
}

/** An episode as a dialogue of ChatML turns. */
class Dialogue implements Episode {
  readonly id: bigint;
  readonly problem: TaskProblem;
  readonly mode: Mode;
  readonly ids: number[] = [];
  readonly segments: Segment[] = [];
  readonly #rules: DialogueRules;
  readonly #awaited: Set<Stage> = new Set();
  #state: "new" | Stage | "await verdict" | "ended" = "new";

  constructor(rules: DialogueRules, options: EpisodeOptions) {
    if (options.mode === "train" && options.problem.answer === undefined) {
      throw new UserError(`problem ${options.problem.id} has no answer`, {
        hint: "training needs a gold answer for every question",
      });
    }
    this.#rules = rules;
    this.id = options.id;
    this.problem = options.problem;
    this.mode = options.mode;
  }

  get done(): boolean {
    return this.#state === "ended" && this.#awaited.size === 0;
  }

  start(): TaskCommand[] {
    if (this.#state !== "new") throw this.#error("start() after the start");
    const stage = this.#rules.stages[0];
    return [this.#generate(stage, this.#rules.chat.opening(stage, this.problem.question))];
  }

  step(event: TaskEvent): TaskCommand[] {
    if (event.kind === "turn") {
      return [...this.#takeTurn(event.turn), ...this.#advance()];
    }
    this.#takeVerdict(event.stage, event.equal);
    return this.#state === "await verdict" ? this.#advance() : [];
  }

  /** Files a turn as a segment and asks for its verdict where there is something to compare. */
  #takeTurn(turn: Turn): TaskCommand[] {
    const stage = this.#state;
    if (stage === "new" || stage === "await verdict" || stage === "ended") {
      throw this.#error(`a turn, but none was asked for (state "${stage}")`);
    }
    this.#check(turn, stage);
    const closed = !turn.truncated;
    const text = this.#rules.codec.decode(closed ? turn.ids.slice(0, -1) : turn.ids);
    const segment: Segment = {
      stage,
      start: this.ids.length,
      length: turn.ids.length,
      logprobs: [...turn.logprobs],
      text,
      truncated: turn.truncated,
      // A spent budget earns nothing, so what a truncated turn happens to hold is no answer.
      answer: closed && stage !== "verify" ? lastBoxed(text)?.trim() || undefined : undefined,
      verdict: closed && stage === "verify" ? parseVerdict(text) : undefined,
    };
    for (const id of turn.ids) this.ids.push(id);
    this.segments.push(segment);
    if (stage === "verify" || this.problem.answer === undefined) return [];
    if (segment.answer === undefined) {
      segment.correct = false;
      return [];
    }
    this.#awaited.add(stage);
    return [{ kind: "grade", stage, answer: segment.answer, text }];
  }

  #takeVerdict(stage: Stage, equal: boolean): void {
    if (!this.#awaited.delete(stage)) {
      throw this.#error(`a verdict on stage "${stage}" that is not awaited`);
    }
    const segment = this.segments.find((each) => each.stage === stage);
    segment!.correct = equal;
  }

  /** Follows the transition table as far as it goes now. */
  #advance(): TaskCommand[] {
    const next = this.#rules.transition(this.segments, this.mode);
    switch (next) {
      case "end":
        this.#state = "ended";
        return [{ kind: "end" }];
      case "await verdict":
        this.#state = next;
        return [];
      default: {
        const closed = !this.segments[this.segments.length - 1].truncated;
        return [this.#generate(next, this.#rules.chat.followUp(next, closed))];
      }
    }
  }

  #generate(stage: Stage, append: number[]): TaskCommand {
    this.#state = stage;
    for (const id of append) this.ids.push(id);
    return { kind: "generate", stage, append, budget: this.#rules.budgets[stage]! };
  }

  #check(turn: Turn, stage: Stage): void {
    const { ids, logprobs, truncated } = turn;
    const budget = this.#rules.budgets[stage]!;
    if (ids.length < 1 || ids.length > budget) {
      throw this.#error(`a ${stage} turn of ${ids.length} tokens with a budget of ${budget}`);
    }
    if (logprobs.length !== ids.length) {
      throw this.#error(`${logprobs.length} logprobs for ${ids.length} tokens`);
    }
    if (truncated === this.#rules.stop.has(ids[ids.length - 1])) {
      throw this.#error(
        truncated ? "a truncated turn with a stop token" : "a finished turn without a stop token",
      );
    }
  }

  #error(what: string): Error {
    return new Error(`episode ${this.id} (problem ${this.problem.id}) got ${what}`);
  }
}
