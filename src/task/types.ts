/**
 * The vocabulary of tasks: what a task is made of, what the driver tells an episode, what the episode asks
 * for, and what is left when it is over. Nothing here computes.
 *
 * @module
 */
import type { Random, Schema } from "../base/mod.ts";

/** What a task needs of a tokenizer. */
export interface Codec {
  /**
   * Text to token ids. Only with `special: true` do strings such as `<|im_start|>` become control
   * tokens; by default they are plain text, whatever they look like.
   */
  encode(text: string, options?: { special?: boolean }): number[];
  /** Token ids to text. */
  decode(ids: readonly number[]): string;
  /** Control tokens that the model expects where a sequence begins; none by default. */
  readonly prefix?: readonly number[];
  /** The id of one control token; throws when the model has no such token. */
  id(token: string): number;
}

/** A question with its gold answer; without one (`thinker solve`) nothing is graded. */
export interface TaskProblem {
  /** Its name in the data set, for messages and logs. */
  readonly id: string;
  /** What the model is asked, as plain text. */
  readonly question: string;
  /** The gold answer. */
  readonly answer?: string;
  /** Options of a multiple-choice question by letter; the answer may be a letter or an option. */
  readonly choices?: Readonly<Record<string, string>>;
}

/**
 * Who decides what follows a turn: ground truth (`train`) or the model itself (`inference`). `complete` is
 * inference with the stages that change no answer, too.
 */
export type Mode = "train" | "inference" | "complete";

/**
 * What follows a turn: another one, the end, or first the grader's word on an earlier turn, which must be on
 * its way.
 */
export type Next = { readonly stage: string } | "end" | "await grade";

/** A task's transition table: from the turns so far (never empty) to what follows. */
export type Transition = (turns: readonly Segment[], mode: Mode) => Next;

/**
 * A role that a turn plays. Templates, budgets and settings of a run override `prompt` and `budget`.
 *
 * @typeParam S The settings of its task.
 */
export interface StageSpec<S = unknown> {
  /**
   * Its name in configs, metrics and logs: `reward/<name>`. Letters, digits, `-` and `_`; no word that logs
   * have a use for, as `final` and all with `tokens` or `length` in them.
   */
  readonly name: string;
  /** What people call it. */
  readonly title: string;
  /**
   * The user turn that asks for it. The first stage's holds `{question}` exactly once, one with a `tool`
   * holds `{result}` exactly once.
   */
  readonly prompt: string;
  /** Most action tokens of a turn. */
  readonly budget: number;
  /** Most turns of it in one episode; default 1. */
  readonly turns?: number;
  /**
   * The stage whose answer it judges: its turns say `\boxed{Yes}` or `\boxed{No}` on the latest turn of
   * that stage, and are not graded themselves.
   */
  readonly judges?: string;
  /** Changes no answer: played at inference only where whole dialogues are asked for. */
  readonly extra?: boolean;
  /** What the environment finds out before the turn, as `{result}` in the prompt. */
  readonly tool?: Tool;
  /** What a turn of it is paid; called once the whole episode is over. */
  reward(turn: Segment, context: RewardContext<S>): number | Promise<number>;
  /**
   * The prompt under which the rollout policy reads the turn's actions once more before it is paid; the
   * reward gets the log-probs. At least one token; undefined where this turn needs none.
   */
  reread?(
    turn: Segment,
    context: Omit<RewardContext<S>, "logprobs">,
  ): readonly number[] | undefined;
  /** Writes such a turn, for a supervised warm start. */
  readonly script?: Script;
}

/** What a reward may look at besides its turn. */
export interface RewardContext<S = unknown> {
  /** The whole episode: it is over, and everything is graded. */
  readonly episode: Episode;
  /**
   * Share of right first answers in the previous rollout batch; 0.5 before the first, kept within
   * [0.05, 0.95].
   */
  readonly trailing: number;
  /** The task's own settings. */
  readonly settings: S;
  /** Log-probs of the turn's actions `(length,)` under the prompt that `reread` named. */
  readonly logprobs?: readonly number[];
}

/**
 * Text from outside the model. It may take its time: which tokens follow depends on the text alone, and
 * the text is masked from the loss.
 */
export interface Tool {
  /** Most tokens of its text; the rest is cut off. */
  readonly tokens: number;
  /** Seconds after which it is late; default 10, at most 2147483. */
  readonly seconds?: number;
  /**
   * Finds the text out. Where it throws or gives no string, the text is `(the tool failed)`; where it is
   * late, `(the tool took too long)`.
   *
   * @param turns The turns so far.
   * @param signal Aborts when the time is over.
   */
  call(
    turns: readonly Segment[],
    problem: TaskProblem,
    signal: AbortSignal,
  ): string | Promise<string>;
}

/** Writes what a turn says, right or on purpose wrong. */
export type Script = (of: {
  readonly problem: TaskProblem;
  readonly turns: readonly Segment[];
  readonly right: boolean;
  readonly random: Random;
}) => string;

/**
 * A task: what a model is asked, in which order, and what it is paid for. A value: `--task` and configs
 * name it, everything else asks it.
 *
 * @typeParam S Settings of its own.
 */
// deno-lint-ignore no-explicit-any -- tables hold tasks with settings of many kinds
export interface TaskSpec<S = any> {
  /** Its name in configs and run folders. */
  readonly name: string;
  /** What reports call it. */
  readonly title: string;
  /** What reports call its first stage alone, where that is a result of its own. */
  readonly firstTitle?: string;
  /** The stages that an episode can pass through; the first one opens it. */
  readonly stages: readonly [StageSpec<S>, ...StageSpec<S>[]];
  /** What follows which turn. */
  readonly next: Transition;
  /**
   * The turn whose answer counts, by the model's own verdict. In training the truth may have ended the
   * episode before that turn: then undefined.
   */
  readonly final: (turns: readonly Segment[]) => Segment | undefined;
  /**
   * The task under which the model before training is measured: the plain question in one stage, under a
   * name that no other stage of the run has. Default: this task.
   */
  readonly reference?: TaskSpec;
  /** Checks its settings and fills in defaults; without it there are none. */
  readonly settings?: Schema<S>;
}

/** What the policy sampled in one turn. */
export interface Turn {
  /** Action ids in order; the stop token is one of them where it was sampled. */
  readonly ids: readonly number[];
  /** Log-probability of each action under the distribution it was sampled from: `(ids.length,)`. */
  readonly logprobs: readonly number[];
  /** True when the turn ended without a stop token. */
  readonly truncated: boolean;
}

/** What the driver tells an episode. Grades may come at any time after their `grade` command. */
export type TaskEvent =
  | { readonly kind: "turn"; readonly turn: Turn }
  | { readonly kind: "graded"; readonly segment: number; readonly equal: boolean }
  | { readonly kind: "tool"; readonly text: string };

/**
 * What an episode asks of the driver.
 * - `generate`: prefill `append` (environment tokens), then sample at most `budget` actions.
 * - `grade`: compare `answer` of a segment with the gold answer and send the result back.
 * - `tool`: call the tool of the stage that follows and send its text back.
 * - `end`: no token will follow, so slot and KV cache are free; grades may still be on their way.
 */
export type TaskCommand =
  | {
    readonly kind: "generate";
    readonly stage: string;
    readonly append: readonly number[];
    readonly budget: number;
  }
  | { readonly kind: "grade"; readonly segment: number; readonly answer: string }
  | { readonly kind: "tool"; readonly tool: Tool }
  | { readonly kind: "end" };

/** One turn's actions inside the episode's token sequence; the unit of credit assignment. */
export interface Segment {
  /** The turn's role. */
  readonly stage: string;
  /** Index in `ids` of the first action token. */
  readonly start: number;
  /** Number of action tokens, the sampled stop token included. */
  readonly length: number;
  /** Log-probabilities at sampling time: `(length,)`. */
  readonly logprobs: readonly number[];
  /** The decoded actions without the stop token. */
  readonly text: string;
  /** The last box of a finished turn; undefined for a truncated turn or an empty or missing box. */
  readonly answer?: string;
  /** Of a stage that judges: what the model decided; undefined when truncated or invalid. */
  readonly verdict?: "yes" | "no";
  /** True when the budget was spent before a stop token. */
  readonly truncated: boolean;
  /**
   * Whether the answer equals the gold answer; undefined where nothing is graded (a stage that judges, no
   * gold answer) and as long as the grade is awaited. A missing answer is wrong at once.
   */
  correct?: boolean;
}

/** One question's way through the stages of a task. */
export interface Episode {
  /** Sequence id: with the seed and the position it keys the random numbers of sampling. */
  readonly id: bigint;
  /** What it is about. */
  readonly problem: TaskProblem;
  /** Who decides what follows. */
  readonly mode: Mode;
  /** The whole token sequence so far: prompt, actions and environment tokens. */
  readonly ids: readonly number[];
  /** The turns so far, in order. */
  readonly segments: readonly Segment[];
  /** The turn whose answer counts, so far. */
  readonly final: Segment | undefined;
  /** True once `end` was given and every grade asked for has arrived: ready to be paid. */
  readonly done: boolean;
  /** The first commands. Call it once. */
  start(): TaskCommand[];
  /**
   * Takes an event and answers with what to do next: often several commands, so that grading
   * overlaps generation, and none while the transition awaits a grade.
   *
   * @throws Error when the event does not fit the state (a driver's mistake).
   */
  step(event: TaskEvent): TaskCommand[];
}

/** How to open an episode. */
export interface EpisodeOptions {
  /** Sequence id, unique in a run. */
  readonly id: bigint;
  /** What to ask; training needs its gold answer. */
  readonly problem: TaskProblem;
  /** Who decides what follows. */
  readonly mode: Mode;
}
