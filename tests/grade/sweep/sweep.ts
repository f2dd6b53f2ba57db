/**
 * Sweeps the grader over the golds of data files: `deno task grade:sweep [FOLDER|FILE ...]`.
 *
 * 1. every gold equals itself in every spelling of `rewritings.ts`: at least 99.9 % of each set,
 * 2. no two different golds of a set are equal, but those that truly are (`known_equal.json`),
 * 3. no gold equals what `mutations.ts` makes of it, but for the pairs in the same list.
 *
 * Prints what went wrong, then one table; exits with 1 when something did. The same seed makes the
 * same pairs.
 *
 * @module
 */
import { extname, join } from "node:path";
import { parseArgs } from "node:util";
import { formatTable } from "../../../bench/report.ts";
import { Random, UserError } from "../../../src/base/mod.ts";
import { loadProblems } from "../../../src/data/mod.ts";
import { grade, GradePool } from "../../../src/grade/mod.ts";
import { describe, type Gold } from "./gold.ts";
import known from "./known_equal.json" with { type: "json" };
import { MUTATIONS } from "./mutations.ts";
import { distinctPairs, grouped, KnownEqual } from "./pairs.ts";
import { REWRITINGS } from "./rewritings.ts";

/** Least share of spellings that must equal their gold. */
const SELF_EQUAL = 0.999;
/** Symbolic questions of one set at most; golds that need them meet every other gold. */
const SYMBOLIC_LIMIT = 200;

/** The golds of one file, each once. */
export interface GoldSet {
  readonly name: string;
  readonly golds: readonly Gold[];
}

/** How much to do. */
export interface Extent {
  /** Pairs of different golds, all sets together. */
  readonly pairs: number;
  /** Changed golds, all sets together. */
  readonly mutations: number;
  readonly seed: number;
}

/** What a check did and found. */
export interface Found {
  tried: number;
  readonly wrong: (readonly [gold: string, answer: string, kind: string])[];
}

/** What was found of a set. */
export interface SetReport {
  readonly set: GoldSet;
  readonly rewritten: Found;
  readonly distinct: Found;
  readonly mutated: Found;
}

const EQUAL = new KnownEqual(known);

/** Compares as training does, the symbolic stage included up to a limit. */
class Judge {
  #left = SYMBOLIC_LIMIT;
  readonly #pool: GradePool;
  readonly #waiting: Promise<void>[] = [];

  constructor(pool: GradePool) {
    this.#pool = pool;
  }

  /** Calls `paid` where an answer is found equal to the gold, perhaps later. */
  ask(answer: string, { text, choices }: Pick<Gold, "text" | "choices">, paid: () => void): void {
    if (this.#left <= 0) {
      if (grade(answer, text, { choices }).equal) paid();
      return;
    }
    const verdict = this.#pool.decide(answer, text, { choices });
    if (!(verdict instanceof Promise)) {
      if (verdict.equal) paid();
      return;
    }
    this.#left--;
    this.#waiting.push(verdict.then(({ equal }) => void (equal && paid())));
  }

  /** Waits for all that was asked. */
  async settle(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
  }
}

function checkRewritings({ golds }: GoldSet): Found {
  const found: Found = { tried: 0, wrong: [] };
  for (const gold of golds) {
    for (const [kind, rewrite] of Object.entries(REWRITINGS)) {
      const answer = rewrite(gold);
      if (answer === undefined) continue;
      found.tried++;
      if (!grade(answer, gold.text, { choices: gold.choices }).equal) {
        found.wrong.push([gold.text, answer, kind]);
      }
    }
  }
  return found;
}

/** The different golds of a set; letters of choices mean something else in every row. */
function textsOf({ golds }: GoldSet): string[] {
  return [...new Set(golds.filter(({ choices }) => !choices).map(({ text }) => text))];
}

async function checkDistinct(
  set: GoldSet,
  limit: number,
  random: Random,
  pool: GradePool,
): Promise<Found> {
  const found: Found = { tried: 0, wrong: [] };
  const judge = new Judge(pool);
  for (const [a, b] of distinctPairs(textsOf(set), limit, random.fork(`pairs of ${set.name}`))) {
    found.tried++;
    judge.ask(a, { text: b }, () => {
      if (!EQUAL.has(a, b)) found.wrong.push([a, b, "distinct"]);
    });
  }
  await judge.settle();
  return found;
}

/** All changes of a set's golds, in random order. */
function mutants({ name, golds }: GoldSet, random: Random) {
  const all = golds.flatMap((gold) =>
    Object.entries(MUTATIONS).flatMap(([kind, mutate]) =>
      mutate(gold).filter((answer) => answer !== gold.core).map((answer) => ({
        gold,
        kind,
        answer,
      }))
    )
  );
  return random.fork(`mutants of ${name}`).shuffle(all);
}

async function checkMutants(
  chosen: ReturnType<typeof mutants>,
  pool: GradePool,
): Promise<Found> {
  const found: Found = { tried: 0, wrong: [] };
  const judge = new Judge(pool);
  for (const { gold, kind, answer } of chosen) {
    found.tried++;
    judge.ask(answer, gold, () => {
      if (!EQUAL.has(answer, gold.text)) found.wrong.push([gold.text, answer, kind]);
    });
  }
  await judge.settle();
  return found;
}

/** Each set's part of a total, in proportion to what it has. */
function shares(amounts: readonly number[], total: number): number[] {
  const sum = amounts.reduce((a, b) => a + b, 0);
  // Small sets are taken whole; what they leave goes to the large ones.
  const small = amounts.map((amount) => amount <= total / amounts.length);
  const whole = amounts.reduce((a, amount, i) => a + (small[i] ? amount : 0), 0);
  const share = sum <= total ? 1 : (total - whole) / (sum - whole);
  return amounts.map((amount, i) => small[i] ? amount : Math.floor(amount * share));
}

/** Runs the three checks over the sets, one after the other. */
export async function sweep(
  sets: readonly GoldSet[],
  { pairs, mutations, seed }: Extent,
  onSet: (name: string) => void = () => {},
): Promise<SetReport[]> {
  await using pool = new GradePool();
  const random = new Random(seed);
  const changed = sets.map((set) => mutants(set, random));
  const changes = shares(changed.map((each) => each.length), mutations);
  const sizes = shares(sets.map((set) => textsOf(set).length).map((n) => n * (n - 1) / 2), pairs);
  const reports: SetReport[] = [];
  for (const [i, set] of sets.entries()) {
    onSet(set.name);
    reports.push({
      set,
      rewritten: checkRewritings(set),
      distinct: await checkDistinct(set, sizes[i], random, pool),
      mutated: await checkMutants(changed[i].slice(0, changes[i]), pool),
    });
  }
  return reports;
}

/** Whether nothing was wrongly paid, and nearly every spelling of every set was paid. */
export function isClean(reports: readonly SetReport[]): boolean {
  return reports.every(({ rewritten, distinct, mutated }) =>
    rewritten.wrong.length <= (1 - SELF_EQUAL) * rewritten.tried &&
    distinct.wrong.length + mutated.wrong.length === 0
  );
}

/** The golds of a data file. */
export async function goldsOf(path: string): Promise<GoldSet> {
  const { problems } = await loadProblems(path);
  const seen = new Map<string, Gold>();
  for (const { answer, choices } of problems) {
    seen.set(JSON.stringify([answer, choices]), describe(answer, choices));
  }
  return { name: path, golds: [...seen.values()] };
}

async function dataFiles(path: string): Promise<string[]> {
  const { isDirectory } = await Deno.stat(path).catch((cause) => {
    throw new UserError(`${path}: cannot be read`, { hint: "name data files or folders", cause });
  });
  if (!isDirectory) return [path];
  const entries = (await Array.fromAsync(Deno.readDir(path)))
    .sort((a, b) => a.name < b.name ? -1 : 1)
    .filter(({ name, isDirectory }) =>
      isDirectory || [".jsonl", ".json", ".parquet"].includes(extname(name))
    );
  return (await Promise.all(entries.map(({ name }) => dataFiles(join(path, name))))).flat();
}

/** What was found, for people: what went wrong first, at most `shown` of each kind. */
export function format(reports: readonly SetReport[], shown: number): string {
  const lines: string[] = [];
  const show = (title: string, all: Found["wrong"]) => {
    if (all.length === 0) return;
    lines.push(`${title}: ${all.length}`);
    for (const [gold, answer, kind] of all.slice(0, shown)) {
      lines.push(`  ${kind}: ${JSON.stringify(gold)} <- ${JSON.stringify(answer)}`);
    }
  };
  const kinds = Map.groupBy(
    reports.flatMap(({ rewritten }) => rewritten.wrong),
    ([, , kind]) => kind,
  );
  for (const [kind, wrong] of kinds) show(`not equal to itself: ${kind}`, wrong);
  for (const { set, distinct, mutated } of reports) {
    const classes = grouped(distinct.wrong.map(([a, b]) => [a, b] as const));
    if (classes.length > 0) lines.push(`${set.name}: different golds that are equal`);
    for (const pairs of classes) {
      const [[a, b], ...others] = pairs.slice(0, shown);
      lines.push(`  ${JSON.stringify(a)} = ${JSON.stringify(b)}`);
      for (const [a, b] of others) lines.push(`    ${JSON.stringify(a)} = ${JSON.stringify(b)}`);
    }
    show(`${set.name}: changed golds that are equal`, mutated.wrong);
  }
  const perCent = ({ tried, wrong }: Found) => (100 - 100 * wrong.length / tried).toFixed(2);
  const count = (found: Found) => [found.tried, found.wrong.length].map(String);
  const header = [
    ..."set,golds,spellings,refused,equal %,pairs,paid,changed,paid".split(","),
  ];
  const rows = reports.map(({ set, rewritten, distinct, mutated }) => [
    set.name.split("/").at(-1)!,
    String(set.golds.length),
    ...count(rewritten),
    perCent(rewritten),
    ...count(distinct),
    ...count(mutated),
  ]);
  return [...lines, formatTable(header, rows, 1)].join("\n");
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      pairs: { type: "string", default: "1500000" },
      mutations: { type: "string", default: "75000" },
      seed: { type: "string", default: "1" },
      shown: { type: "string", default: "5" },
    },
  });
  const fixture = new URL("../../fixtures/golds.jsonl", import.meta.url).pathname;
  const paths = positionals.length > 0 ? positionals : [fixture];
  const files = (await Promise.all(paths.map(dataFiles))).flat();
  const began = performance.now();
  const reports = await sweep(await Promise.all(files.map(goldsOf)), {
    pairs: Number(values.pairs),
    mutations: Number(values.mutations),
    seed: Number(values.seed),
  }, (name) => console.error(`${((performance.now() - began) / 1000).toFixed(0)} s: ${name}`));
  console.log(format(reports, Number(values.shown)));
  console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`);
  if (!isClean(reports)) Deno.exitCode = 1;
}
