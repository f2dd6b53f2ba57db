/**
 * Episodes on the engine: commands of the task become continuations of a sequence, sampled turns and
 * verdicts become events.
 *
 * @module
 */
import type { Continuation, Engine, RunOptions, RunStats, Turn } from "../engine/mod.ts";
import type {
  Episode,
  Mode,
  Stage,
  Task,
  TaskCommand,
  TaskEvent,
  TaskProblem,
} from "../task/mod.ts";

/**
 * Decides whether an answer equals the gold answer; a rollout also tells of which problem. May be
 * asynchronous: generation goes on.
 */
export type Grader = (
  answer: string,
  gold: string,
  problem: TaskProblem,
) => boolean | Promise<boolean>;

/** One problem and how many episodes to play about it. */
export interface EpisodeGroup {
  /** What the episodes are about. */
  readonly problem: TaskProblem;
  /** Sequence ids, one per episode; unique in a run, because they key the random numbers. */
  readonly ids: readonly bigint[];
}

/** How to play. */
export interface PlayOptions extends RunOptions {
  /** Opens the episodes and decides what follows a turn. */
  readonly task: Task;
  /** Who decides what follows: ground truth or the model itself. */
  readonly mode: Mode;
  /** Compares answers with gold answers; not called for problems without one. */
  readonly grade: Grader;
  /** Called with newly sampled tokens of an episode's present stage. */
  readonly onTokens?: (episode: Episode, stage: Stage, ids: readonly number[]) => void;
  /** Called when an episode is over. */
  readonly onEpisode?: (episode: Episode) => void;
}

/** What was played: episodes in the order of the groups and their ids. */
export interface Played {
  /** All of them done: every verdict has arrived. */
  readonly episodes: Episode[];
  /** What the engine did: tokens, steps, seconds. */
  readonly stats: RunStats;
  /** Seconds spent in the grader while nothing else could go on in this thread. */
  readonly gradeSeconds: number;
}

/** Plays every episode of the groups to its end, verdicts included. */
export async function playEpisodes(
  engine: Engine,
  groups: readonly EpisodeGroup[],
  options: PlayOptions,
): Promise<Played> {
  const { task } = options;
  const clock = { seconds: 0 };
  const players: Player[] = [];
  const requests = groups.map(({ problem, ids }) => {
    const group = ids.map((id) => {
      const episode = task.episode({ id, problem, mode: options.mode });
      return new Player(episode, options, clock);
    });
    players.push(...group);
    // Every episode of a group opens alike: the engine reads the prompt once.
    const openings = group.map((player) => player.open());
    const { append: prompt, budget } = openings[0];
    return {
      prompt,
      budget,
      maxTokens: task.maxTokens(prompt.length),
      sequences: group.map((player) => ({
        id: player.episode.id,
        onTurn: (turn: Turn) => player.onTurn(turn),
        onTokens: options.onTokens && ((ids: readonly number[]) => player.onTokens(ids)),
      })),
    };
  });
  const stats = await engine.run(requests, options);
  await Promise.all(players.map((player) => player.settled()));
  return { episodes: players.map((p) => p.episode), stats, gradeSeconds: clock.seconds };
}

/** One episode between engine and grader. */
class Player {
  readonly episode: Episode;
  readonly #options: PlayOptions;
  readonly #clock: { seconds: number };
  /** The stage being generated. */
  #stage: Stage | undefined;
  /** Answers the engine's question if the task could not do so yet. */
  #reply: PromiseWithResolvers<Continuation | null> | undefined;
  /** Verdicts on their way. */
  readonly #grading: Set<Promise<void>> = new Set();
  #over = false;

  constructor(episode: Episode, options: PlayOptions, clock: { seconds: number }) {
    this.episode = episode;
    this.#options = options;
    this.#clock = clock;
  }

  open(): Continuation {
    const next = this.#follow(this.episode.start());
    if (!next) throw new Error(`episode ${this.episode.id} ended before its first turn`);
    return next;
  }

  onTokens(ids: readonly number[]): void {
    this.#options.onTokens?.(this.episode, this.#stage!, ids);
  }

  onTurn(turn: Turn): Continuation | null | Promise<Continuation | null> {
    const next = this.#step({ kind: "turn", turn });
    if (next !== undefined) return next;
    this.#reply = Promise.withResolvers();
    // A verdict that fails, or failed while the turn was generated, will never be answered.
    for (const pending of this.#grading) pending.catch(this.#reply.reject);
    return this.#reply.promise;
  }

  /** Resolves when no verdict is outstanding; rejects if the grader failed. */
  async settled(): Promise<void> {
    while (this.#grading.size > 0) await Promise.all(this.#grading);
  }

  /** Tells the episode what happened and carries out what it asks for. */
  #step(event: TaskEvent): Continuation | null | undefined {
    const next = this.#follow(this.episode.step(event));
    if (this.episode.done && !this.#over) {
      this.#over = true;
      this.#options.onEpisode?.(this.episode);
    }
    return next;
  }

  /** Carries commands out; undefined means the task waits for a verdict. */
  #follow(commands: readonly TaskCommand[]): Continuation | null | undefined {
    let next: Continuation | null | undefined;
    for (const command of commands) {
      if (command.kind === "generate") {
        next = command;
        this.#stage = command.stage;
      } else if (command.kind === "end") next = null;
      else {
        const verdict = this.#grade(command.answer);
        const book = (equal: boolean) =>
          this.#step({ kind: "verdict", stage: command.stage, equal });
        if (verdict instanceof Promise) {
          const pending: Promise<void> = verdict.then((equal) => {
            const later = book(equal);
            if (later !== undefined) this.#reply?.resolve(later);
            this.#grading.delete(pending);
          });
          pending.catch(() => {}); // reported by the turn that waits for it, or by settled()
          this.#grading.add(pending);
        } else {
          const later = book(verdict);
          if (later !== undefined) next = later;
        }
      }
    }
    return next;
  }

  #grade(answer: string): boolean | Promise<boolean> {
    const { problem } = this.episode;
    const gold = problem.answer;
    if (gold === undefined) throw new Error("a problem without an answer is being graded");
    const began = performance.now();
    try {
      return this.#options.grade(answer, gold, problem);
    } finally {
      this.#clock.seconds += (performance.now() - began) / 1000;
    }
  }
}
