/**
 * Episodes on the engine: commands of the task become continuations of a sequence, sampled turns, grades
 * and the texts of tools become events.
 *
 * @module
 */
import type { Continuation, Engine, RunOptions, RunStats, Turn } from "../engine/mod.ts";
import type { Grader } from "../grade/mod.ts";
import { untilAborted } from "./abort.ts";
import { checkLogprobs } from "./finite.ts";
import {
  callTool,
  type Episode,
  type Mode,
  type Task,
  type TaskCommand,
  type TaskEvent,
  type TaskProblem,
  type ToolCounts,
} from "../task/mod.ts";

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
  /** Called with newly sampled tokens of an episode's present turn; `stage` is its role. */
  readonly onTokens?: (episode: Episode, stage: string, ids: readonly number[]) => void;
  /** Called when an episode is over. */
  readonly onEpisode?: (episode: Episode) => void;
}

/** What was played: episodes in the order of the groups and their ids. */
export interface Played {
  /** All of them done: every grade has arrived. */
  readonly episodes: Episode[];
  /** What the engine did: tokens, steps, seconds. */
  readonly stats: RunStats;
  /** What the task's tools did. */
  readonly tools: Readonly<ToolCounts>;
  /** Seconds spent in the grader while nothing else could go on in this thread. */
  readonly gradeSeconds: number;
}

/** Options of a rollout whose signal aborts however it ends early. */
type Playing = PlayOptions & { readonly signal: AbortSignal };

/** What the players of a rollout add up. */
interface Tally {
  gradeSeconds: number;
  readonly tools: ToolCounts;
}

/**
 * Plays every episode of the groups to its end, grades included.
 *
 * @throws {UserError} where the model gives no numbers: at the first turn with a log-prob that is none.
 */
export async function playEpisodes(
  engine: Engine,
  groups: readonly EpisodeGroup[],
  options: PlayOptions,
): Promise<Played> {
  // A rollout that fails is over for its tools and late grades as much as one that is called off.
  const failed = new AbortController();
  const signals = options.signal ? [options.signal, failed.signal] : [failed.signal];
  try {
    return await playAll(engine, groups, { ...options, signal: AbortSignal.any(signals) });
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}

async function playAll(
  engine: Engine,
  groups: readonly EpisodeGroup[],
  options: Playing,
): Promise<Played> {
  const { task, mode, signal } = options;
  const tally: Tally = { gradeSeconds: 0, tools: { calls: 0, failed: 0, late: 0 } };
  const players: Player[] = [];
  const requests = groups.map(({ problem, ids }) => {
    const group = ids.map((id) => new Player(task.episode({ id, problem, mode }), options, tally));
    players.push(...group);
    // Every episode of a group opens alike: the engine reads the prompt once.
    const openings = group.map((player) => player.open());
    const { append: prompt, budget } = openings[0];
    return {
      prompt,
      budget,
      maxTokens: task.maxTokens(prompt.length, mode),
      sequences: group.map((player) => ({
        id: player.episode.id,
        onTurn: (turn: Turn) => player.onTurn(turn),
        onTokens: options.onTokens && ((ids: readonly number[]) => player.onTokens(ids)),
      })),
    };
  });
  const stats = await engine.run(requests, options);
  await untilAborted(Promise.all(players.map((player) => player.settled())), signal);
  return { episodes: players.map((p) => p.episode), stats, ...tally };
}

/** One episode between engine, grader and tools. */
class Player {
  readonly episode: Episode;
  readonly #options: Playing;
  readonly #tally: Tally;
  /** The stage being generated. */
  #stage: string | undefined;
  /** Answers the engine's question if the task could not do so yet. */
  #reply: PromiseWithResolvers<Continuation | null> | undefined;
  /** Grades and tools on their way. */
  readonly #pending: Set<Promise<void>> = new Set();
  #over = false;

  constructor(episode: Episode, options: Playing, tally: Tally) {
    this.episode = episode;
    this.#options = options;
    this.#tally = tally;
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
    const { episode } = this, at = { turn: episode.segments.length, stage: this.#stage! };
    checkLogprobs(turn.logprobs, episode, { ...at, whose: "the sampled log-prob" });
    const next = this.#step({ kind: "turn", turn });
    if (next !== undefined) return next;
    this.#reply = Promise.withResolvers();
    // A grade that fails, or failed while the turn was generated, will never be answered.
    for (const pending of this.#pending) pending.catch(this.#reply.reject);
    return this.#reply.promise;
  }

  /** Resolves when nothing is outstanding; rejects if the grader failed. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
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

  /** Carries commands out; undefined means the task waits for a grade or a tool. */
  #follow(commands: readonly TaskCommand[]): Continuation | null | undefined {
    let next: Continuation | null | undefined;
    for (const command of commands) {
      if (command.kind === "generate") {
        next = command;
        this.#stage = command.stage;
      } else if (command.kind === "end") next = null;
      else if (command.kind === "tool") {
        const { segments, problem } = this.episode;
        const { signal } = this.#options, counts = this.#tally.tools;
        const text = callTool(command.tool, { turns: [...segments], problem, signal, counts });
        this.#later(text, (text) => ({ kind: "tool", text }));
      } else {
        const { segment } = command, equal = this.#grade(command.answer);
        const event = (equal: boolean) => ({ kind: "graded", segment, equal }) as const;
        if (equal instanceof Promise) this.#later(equal, event);
        else {
          const later = this.#step(event(equal));
          if (later !== undefined) next = later;
        }
      }
    }
    return next;
  }

  /** Tells the episode of what has not arrived yet once it has. */
  #later<T>(value: Promise<T>, event: (value: T) => TaskEvent): void {
    const pending: Promise<void> = value.then((value) => {
      // Nobody plays on: what the episode would ask for next, a tool for one, must not be done.
      if (this.#options.signal.aborted) return void this.#pending.delete(pending);
      const next = this.#step(event(value));
      if (next !== undefined) this.#reply?.resolve(next);
      this.#pending.delete(pending);
    });
    // Reported by the turn that waits for it, or by settled().
    pending.catch((error) => this.#reply?.reject(error));
    this.#pending.add(pending);
  }

  #grade(answer: string): boolean | Promise<boolean> {
    const { problem } = this.episode;
    const gold = problem.answer;
    if (gold === undefined) throw new Error("a problem without an answer is being graded");
    const began = performance.now();
    try {
      return this.#options.grade(answer, gold, problem);
    } finally {
      this.#tally.gradeSeconds += (performance.now() - began) / 1000;
    }
  }
}
