/**
 * Watches a run's log for what should not pass without a word: skipped updates, spikes, a dead policy. All that
 * it knows it has from the lines, so a resumed run and the report see what the run saw.
 *
 * @module
 */
import { groupOf, type Metrics } from "../base/mod.ts";

/** Steps whose median is the usual value. */
const remembered = 32;
/** Fewer tell nothing of what is usual. */
const enough = 8;
/** Steps in a row after which a symptom is no chance. */
const patience = 5;

/** A model of which gradients and losses are watched, by the names that a log has for them. */
interface Watched {
  readonly model: string;
  readonly norm: string;
  readonly skipped: string;
  readonly spikes?: string;
  readonly loss?: string;
}

/** In `metrics.jsonl`. The policy's loss is none of it: it is 0 but for rounding. */
const inRun: readonly Watched[] = [{
  model: "policy",
  norm: "ppo/grad_norm",
  skipped: "ppo/skipped_updates",
  spikes: "ppo/spikes",
}, {
  model: "critic",
  norm: "ppo/critic_grad_norm",
  skipped: "ppo/critic_skipped_updates",
  spikes: "ppo/critic_spikes",
  loss: "ppo/value_loss",
}];

/** In `warmstart.jsonl`. */
const inWarmStart: readonly Watched[] = [
  { model: "policy", norm: "grad_norm", skipped: "skipped_updates", loss: "loss" },
];

/** Signs of a policy that learns no more. */
const symptoms: readonly {
  readonly shows: (line: Metrics) => boolean;
  readonly text: (line: Metrics) => string;
}[] = [{
  shows: (line) => allOf(line, "truncated", (share) => share >= 0.99),
  text: () =>
    "nearly every turn has spent its budget before a stop token: raise `budgets`, or start from a model " +
    "that ends its turns",
}, {
  shows: (line) => allOf(line, "length", (tokens) => tokens === 1) && !budgetSpent(line),
  text: () => "every turn is empty: the policy says nothing but the token that ends it",
}, {
  // Equal rewards differ from their mean by rounding.
  shows: (line) => line["rollout/reward_spread"] < 1e-6,
  text: (line) =>
    `all turns of a stage earn the same (an episode ${
      shown(line["reward/episode"])
    }): there is nothing to ` +
    "learn from; take other questions, or check the reward",
}, {
  shows: (line) => line["ppo/entropy"] < 1e-3,
  text: (line) =>
    `the policy hardly varies what it says (entropy ${
      shown(line["ppo/entropy"])
    }): take an earlier ` +
    "checkpoint, or set ppo.entropyCoefficient",
}];

/** Something worth a line. */
interface Sighting {
  readonly kind: "skipped" | "spike" | "dead";
  readonly step: number;
  readonly text: string;
}

/** What is usual in a log, and what is not. */
export class Watch {
  readonly #watched: readonly Watched[];
  readonly #factor: number;
  readonly #past = new Map<string, number[]>();
  /** By symptom: steps in a row that showed it. */
  readonly #rows: number[] = symptoms.map(() => 0);
  readonly #said = new Set<number>();

  /** @param factor `ppo.spikeFactor`: from how many times its usual value on a number is a spike. */
  constructor(log: "run" | "warm start", factor: number | null) {
    this.#watched = log === "run" ? inRun : inWarmStart;
    this.#factor = factor ?? Infinity;
  }

  /** The median of a metric's last values that were above 0; undefined while there are too few. */
  usual(key: string): number | undefined {
    const past = this.#past.get(key) ?? [];
    if (past.length < enough) return undefined;
    const sorted = past.toSorted((a, b) => a - b), middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Takes the next line of the log; resolves to what should be said about it. */
  see(line: Metrics): Sighting[] {
    const sightings = this.#watched.flatMap((watched) => [
      ...skippedUpdates(line, watched),
      ...this.#spike(line, watched.norm, `gradient norm of the ${watched.model}`, watched.spikes),
      ...(watched.loss ? this.#spike(line, watched.loss, `loss of the ${watched.model}`) : []),
    ]);
    return [...sightings, ...this.#symptoms(line)];
  }

  #spike(line: Metrics, key: string, what: string, scaled = ""): Sighting[] {
    const value = line[key], usual = this.usual(key), count = line[scaled] ?? 0;
    // Steps without a gradient are no measure of those that have one.
    if (value > 0 && Number.isFinite(value)) {
      this.#past.set(key, [...this.#past.get(key) ?? [], value].slice(-remembered));
    }
    if (usual === undefined || !(count > 0 || value > this.#factor * usual)) return [];
    const done = count > 0 ? `; ${updates(count)} scaled down` : "";
    const text = `the ${what} is ${shown(value)}, usually ${shown(usual)}${done}`;
    return [{ kind: "spike", step: line.step, text }];
  }

  #symptoms(line: Metrics): Sighting[] {
    return symptoms.flatMap(({ shows, text }, i): Sighting[] => {
      this.#rows[i] = shows(line) ? this.#rows[i] + 1 : 0;
      if (this.#rows[i] < patience || this.#said.has(i)) return [];
      this.#said.add(i);
      return [{ kind: "dead", step: line.step, text: `for ${patience} steps ${text(line)}` }];
    });
  }
}

/** A sighting as one line. */
export function sightingLine({ step, text }: Sighting): string {
  return `step ${step}: ${text}`;
}

/** What a report says of a log in which not everything went well. */
export function watchNotes(
  log: "run" | "warm start",
  lines: readonly Metrics[],
  factor: number | null,
): string[] {
  const watch = new Watch(log, factor), all = lines.flatMap((line) => watch.see(line));
  const where = log === "run" ? "" : "Warm start, ";
  const listed = (kind: Sighting["kind"]) => {
    const found = all.filter((each) => each.kind === kind), [first] = found;
    if (!first) return [];
    const more = found.length > 1 ? ` (and ${found.length - 1} more in the log)` : "";
    return [`${where}${sightingLine(first)}${more}.`];
  };
  const dead = all.filter(({ kind }) => kind === "dead").map((each) => `${sightingLine(each)}.`);
  return [...listed("skipped"), ...listed("spike"), ...dead];
}

function skippedUpdates(line: Metrics, { model, skipped }: Watched): Sighting[] {
  const count = line[skipped] ?? 0;
  if (count === 0) return [];
  const tokens = model === "policy" ? ", its tokens are not counted as trained" : "";
  const text = `the gradient of the ${model} was not finite: ${updates(count)} skipped${tokens}`;
  return [{ kind: "skipped", step: line.step, text }];
}

function updates(count: number): string {
  return `${count} update${count === 1 ? "" : "s"}`;
}

function budgetSpent(line: Metrics): boolean {
  return groupOf(line, "truncated").some(([, share]) => share > 0);
}

/** Whether a group has values and all of them are such. */
function allOf(line: Metrics, group: string, is: (value: number) => boolean): boolean {
  const values = groupOf(line, group);
  return values.length > 0 && values.every(([, value]) => is(value));
}

function shown(value: number): string {
  return String(Number(value.toPrecision(3)));
}
