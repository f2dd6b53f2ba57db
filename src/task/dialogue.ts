/**
 * The machine that every task shares: it keeps the token sequence, cuts it into segments, asks for grades
 * and tools and waits for them. Which stage follows is the task's transition table.
 *
 * @module
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
  StageSpec,
  TaskCommand,
  TaskEvent,
  TaskProblem,
  TaskSpec,
  Turn,
} from "./types.ts";

/** What all dialogues of a task have in common. */
export interface DialogueRules {
  readonly codec: Codec;
  /** Ids that end a turn. */
  readonly stop: ReadonlySet<number>;
  readonly chat: ChatEncoder;
  readonly spec: TaskSpec;
  /** With the templates and budgets in force. */
  readonly stages: readonly StageSpec[];
}

/** What an episode waits for. */
type State =
  | { readonly kind: "new" | "grade" | "ended" }
  | { readonly kind: "turn" | "tool"; readonly stage: StageSpec };

/** An episode as a dialogue of ChatML turns. */
export class Dialogue implements Episode {
  readonly id: bigint;
  readonly problem: TaskProblem;
  readonly mode: Mode;
  readonly ids: number[] = [];
  readonly segments: Segment[] = [];
  readonly #rules: DialogueRules;
  /** Segments whose grade is on its way. */
  readonly #awaited: Set<number> = new Set();
  #state: State = { kind: "new" };

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
    return this.#state.kind === "ended" && this.#awaited.size === 0;
  }

  get final(): Segment | undefined {
    return this.segments.length === 0 ? undefined : this.#rules.spec.final(this.segments);
  }

  start(): TaskCommand[] {
    if (this.#state.kind !== "new") throw this.#error("start() after the start");
    const { stages: [stage], chat } = this.#rules;
    return [this.#generate(stage, chat.opening(stage.prompt, this.problem.question))];
  }

  step(event: TaskEvent): TaskCommand[] {
    if (event.kind === "turn") return [...this.#takeTurn(event.turn), ...this.#advance()];
    if (event.kind === "tool") return [this.#takeResult(event.text)];
    this.#takeGrade(event.segment, event.equal);
    return this.#state.kind === "grade" ? this.#advance() : [];
  }

  /** Files a turn as a segment and asks for its grade where there is something to compare. */
  #takeTurn(turn: Turn): TaskCommand[] {
    if (this.#state.kind !== "turn") {
      throw this.#error(`a turn, but none was asked for (state "${this.#state.kind}")`);
    }
    const { stage } = this.#state;
    this.#check(turn, stage);
    const closed = !turn.truncated, judges = stage.judges !== undefined;
    const text = this.#rules.codec.decode(closed ? turn.ids.slice(0, -1) : turn.ids);
    const segment: Segment = {
      stage: stage.name,
      start: this.ids.length,
      length: turn.ids.length,
      logprobs: [...turn.logprobs],
      text,
      truncated: turn.truncated,
      // A spent budget earns nothing, so what a truncated turn happens to hold is no answer.
      answer: closed && !judges ? lastBoxed(text)?.trim() || undefined : undefined,
      verdict: closed && judges ? parseVerdict(text) : undefined,
    };
    for (const id of turn.ids) this.ids.push(id);
    this.segments.push(segment);
    if (judges || this.problem.answer === undefined) return [];
    if (segment.answer === undefined) {
      segment.correct = false;
      return [];
    }
    const index = this.segments.length - 1;
    this.#awaited.add(index);
    return [{ kind: "grade", segment: index, answer: segment.answer }];
  }

  #takeGrade(segment: number, equal: boolean): void {
    if (!this.#awaited.delete(segment)) {
      throw this.#error(`a grade of segment ${segment} that is not awaited`);
    }
    this.segments[segment].correct = equal;
  }

  #takeResult(text: string): TaskCommand {
    if (this.#state.kind !== "tool") throw this.#error("a tool's text, but none was asked for");
    const { stage } = this.#state;
    return this.#ask(stage, this.#rules.codec.encode(text).slice(0, stage.tool!.tokens));
  }

  /** Follows the transition table as far as it goes now. */
  #advance(): TaskCommand[] {
    const next = this.#rules.spec.next(this.segments, this.mode);
    if (next === "end") {
      this.#state = { kind: "ended" };
      return [{ kind: "end" }];
    }
    if (next === "await grade") {
      // Nobody would ever call again: the rollout would stand still without a word.
      if (this.#awaited.size === 0) {
        const { stage } = this.segments[this.segments.length - 1];
        throw new UserError(
          `task ${this.#rules.spec.name} awaits a grade after stage "${stage}", but none is on its way`,
          { hint: 'let next() say "await grade" only where a graded turn is not yet known' },
        );
      }
      this.#state = { kind: "grade" };
      return [];
    }
    const stage = this.#rules.stages.find(({ name }) => name === next.stage);
    if (!stage) throw this.#error(`the stage "${next.stage}" next, which its task does not have`);
    const { turns: most = 1, tool } = stage;
    if (this.segments.filter((each) => each.stage === stage.name).length >= most) {
      throw this.#error(`turn ${most + 1} of stage "${stage.name}", which has ${most} at most`);
    }
    if (!tool) return [this.#ask(stage)];
    this.#state = { kind: "tool", stage };
    return [{ kind: "tool", tool }];
  }

  /** The user turn of a later stage, with the tool's tokens in their place. */
  #ask(stage: StageSpec, result?: readonly number[]): TaskCommand {
    const closed = !this.segments[this.segments.length - 1].truncated;
    return this.#generate(stage, this.#rules.chat.followUp(stage.prompt, closed, result));
  }

  #generate(stage: StageSpec, append: number[]): TaskCommand {
    this.#state = { kind: "turn", stage };
    for (const id of append) this.ids.push(id);
    return { kind: "generate", stage: stage.name, append, budget: stage.budget };
  }

  #check({ ids, logprobs, truncated }: Turn, { name, budget }: StageSpec): void {
    if (ids.length < 1 || ids.length > budget) {
      throw this.#error(`a ${name} turn of ${ids.length} tokens with a budget of ${budget}`);
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
