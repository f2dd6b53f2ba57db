/** What `episodes.jsonl` holds: a few full dialogues of each step, for people to read. */

/** One turn of a sampled dialogue. */
export interface EpisodeTurn {
  /** The stage's name. */
  stage: string;
  /** The environment's text before the response. */
  prompt: string;
  /** What the model said. */
  response: string;
  /** The stage's reward. */
  reward: number;
  /** Length of the response in tokens. */
  tokens: number;
  /** True when the budget ended the response. */
  truncated: boolean;
}

/** One sampled dialogue of a training rollout. */
export interface EpisodeSample {
  /** The PPO step it was sampled in. */
  step: number;
  /** The problem's id in its data set. */
  id: string;
  /** The problem as text. */
  question: string;
  /** The true answer. */
  answer: string;
  /** The turns in the order they happened. */
  turns: EpisodeTurn[];
}
