/**
 * The vocabulary of a task: what the driver tells an episode, what the episode asks for, and what
 * is left when it is over. Nothing here computes.
 */

/** A turn's role. `answer` is the only stage of the baseline; the other four are Thinker's. */
export type Stage = "fast" | "verify" | "slow" | "summary" | "answer";

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

/** What the policy sampled in one turn. */
export interface Turn {
  /** Action ids in order; the stop token is one of them where it was sampled. */
  readonly ids: readonly number[];
  /** Log-probability of each action under the distribution it was sampled from: `(ids.length,)`. */
  readonly logprobs: readonly number[];
  /** True when the turn ended without a stop token. */
  readonly truncated: boolean;
}

/** What the driver tells an episode. Verdicts may come at any time after their `grade` command. */
export type TaskEvent =
  | { readonly kind: "turn"; readonly turn: Turn }
  | { readonly kind: "verdict"; readonly stage: Stage; readonly equal: boolean };

/**
 * What an episode asks of the driver.
 * - `generate`: prefill `append` (environment tokens), then sample at most `budget` actions.
 * - `grade`: compare `answer` with the gold answer and send the verdict back.
 * - `end`: no token will follow, so slot and KV cache are free; verdicts may still be on their way.
 */
export type TaskCommand =
  | {
    readonly kind: "generate";
    readonly stage: Stage;
    readonly append: readonly number[];
    readonly budget: number;
  }
  | {
    readonly kind: "grade";
    readonly stage: Stage;
    readonly answer: string;
    readonly text: string;
  }
  | { readonly kind: "end" };

/** One turn's actions inside the episode's token sequence; the unit of credit assignment. */
export interface Segment {
  /** The turn's role. */
  readonly stage: Stage;
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
  /** Verification only: what the model decided; undefined when truncated or invalid. */
  readonly verdict?: "yes" | "no";
  /** True when the budget was spent before a stop token. */
  readonly truncated: boolean;
  /**
   * Whether the answer equals the gold answer; undefined where nothing is graded (verification, no
   * gold answer) and as long as the verdict is awaited. A missing answer is wrong at once.
   */
  correct?: boolean;
}

/** Under which transitions an episode runs: ground truth decides (`train`) or the model itself. */
export type Mode = "train" | "inference";

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
  /** True once `end` was given and every verdict asked for has arrived: ready to be scored. */
  readonly done: boolean;
  /** The first commands. Call it once. */
  start(): TaskCommand[];
  /**
   * Takes an event and answers with what to do next: often several commands, so that grading
   * overlaps generation, and none while the transition awaits a verdict.
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

/** A recipe for episodes. */
export interface Task {
  /** What the task is called in logs and run folders. */
  readonly name: string;
  /** Every stage an episode can pass through, in order. */
  readonly stages: readonly Stage[];
  /**
   * A new episode about one problem.
   *
   * @throws UserError when training is asked for a problem without a gold answer.
   */
  episode(options: EpisodeOptions): Episode;
  /** Tokens of the first prompt, ChatML wrap included. */
  promptTokens(question: string): number;
  /** Upper bound on an episode's tokens (prompt, budgets, environment), for planning the KV cache. */
  maxTokens(promptTokens: number): number;
}
