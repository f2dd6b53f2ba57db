/**
 * Does to runs what happens to them, and counts what comes of it:
 * `deno task faults [--quick] [--seed N] [--only CLASS,CLASS] [--save]`. Outside of CI, because it takes minutes.
 * Fails when a run goes on wrongly without a word, or shows a stack trace.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { describeMachine } from "../../bench/machine.ts";
import { formatTable, saveResults } from "../../bench/report.ts";
import { Device } from "../../ffi/mod.ts";
import { Random } from "../../src/base/mod.ts";
import { kernelCache, PrivateCache } from "./cache.ts";
import { damage } from "./damage.ts";
import { canMount, filledDisks, fullDisks, longFiles, screens } from "./disks.ts";
import { doubleRuns, foreignFiles } from "./doubles.ts";
import { flips } from "./flips.ts";
import { changedInputs } from "./inputs.ts";
import { kills } from "./kills.ts";
import { Place } from "./place.ts";
import { signals } from "./signals.ts";
import { isBad, judge, outcomes, type Trial } from "./verdict.ts";

/** How much is done. */
interface Extent {
  readonly kills: number;
  readonly evalKills: number;
  /** Every so many-th case of a list. */
  readonly every: number;
  readonly weights: number;
  readonly doubles: number;
  readonly disks: number;
  readonly builds: boolean;
}

const whole: Extent = {
  kills: 50,
  evalKills: 15,
  every: 1,
  weights: 3,
  doubles: 4,
  disks: 10,
  builds: true,
};
const quick: Extent = {
  kills: 5,
  evalKills: 3,
  every: 4,
  weights: 1,
  doubles: 1,
  disks: 2,
  builds: false,
};

/** The classes of faults, each with its trials. */
async function prepare(place: Place, extent: Extent) {
  const toy = await place.observeToy();
  await place.takeModel(`${toy.whole}/checkpoints/step-8`, "models/start");
  await place.takeModel(`${toy.whole}/checkpoints/step-2`, "models/other");
  const evaluation = await place.observeEvaluation(), rows = await place.observeRows();
  await control(place, toy);
  const cache = await PrivateCache.make(place), subjects = { toy, evaluation, rows, cache };
  const mounts = await canMount();
  if (!mounts) console.log("full disks: skipped, this user may not mount a file system");
  const classes: Record<string, () => AsyncGenerator<Trial>> = {
    "kills": () => kills(place, toy, extent.kills),
    "kills of evaluations": () => kills(place, evaluation, extent.evalKills),
    "bit flips": () => flips(place, subjects, extent),
    "double runs": () => doubleRuns(place, subjects, extent.doubles),
    "foreign files": () => foreignFiles(place, subjects),
    ...mounts && {
      "full disks": () => fullDisks(place, toy, extent.disks),
      "disks filled on the way": () => filledDisks(place, toy, Math.ceil(extent.disks / 2)),
      "full disks, evaluations": () => fullDisks(place, evaluation, Math.ceil(extent.disks / 2)),
    },
    "limits on files": () => longFiles(place, toy, Math.ceil(extent.disks / 2)),
    "damaged files": () => damage(place, subjects, extent.every),
    "changed inputs": () => changedInputs(place, subjects, extent.every),
    "signals": () => signals(place, subjects, extent.every),
    "screens": () => screens(place, [toy, evaluation].slice(0, extent.every === 1 ? 2 : 1)),
    ...extent.builds && { "kernel cache": () => kernelCache(place, toy, cache) },
  };
  return classes;
}

/** A harness that calls everything equal would pass: a run of another seed must be seen as one. */
async function control(place: Place, toy: Awaited<ReturnType<Place["observeToy"]>>): Promise<void> {
  const other = { ...toy, begin: ["train", "--config", "other-seed.json"] };
  const { whole } = await place.observe(other);
  await Deno.rename(place.at(`${whole}/checkpoints/step-4`), place.at("models/run-of-seed-2"));
  const ended = { code: 0, signal: null, stdout: "", stderr: "", hung: false };
  const { outcome } = judge(ended, await place.differs(toy, whole));
  if (outcome !== "silent wrong") throw new Error(`a run of another seed is called ${outcome}`);
  const twin = await place.observe(toy);
  const differs = await place.differs(toy, twin.whole);
  if (differs) throw new Error(`two runs of one seed: ${differs}`);
}

/** Runs the classes; returns what came of each fault, by class. */
async function runAll(seed: number, extent: Extent, only: string): Promise<Map<string, Trial[]>> {
  await using place = await Place.make(new Random(seed));
  const results = new Map<string, Trial[]>(), began = performance.now();
  for (const [name, trials] of Object.entries(await prepare(place, extent))) {
    if (!only.split(",").some((part) => name.includes(part))) continue;
    const found: Trial[] = [];
    results.set(name, found);
    for await (const trial of trials()) {
      found.push(trial);
      const { fault, outcome, detail } = trial, text = detail.replaceAll(place.path, "");
      const seconds = ((performance.now() - began) / 1000).toFixed(0).padStart(4);
      console.log(`${seconds} s  ${name}: ${fault}: ${outcome}${text && ` (${text})`}`);
    }
  }
  return results;
}

function summary(results: ReadonlyMap<string, readonly Trial[]>) {
  return [...results].map(([name, trials]) => {
    const counts = outcomes.map((outcome) =>
      [outcome, trials.filter((trial) => trial.outcome === outcome).length] as const
    );
    return { class: name, tried: trials.length, ...Object.fromEntries(counts) };
  });
}

/**
 * Runs this program again where it may mount file systems that it alone sees, and that are gone when it
 * is; false where there is no such place.
 */
async function ranApart(): Promise<boolean> {
  if (Deno.env.has("THINKER_FAULTS_APART")) return false;
  const apart = ["unshare", ...Deno.uid() === 0 ? ["-m"] : ["-rm"]];
  const probe = await new Deno.Command(apart[0], { args: [...apart.slice(1), "true"] }).output()
    .catch(() => ({ success: false }));
  if (!probe.success) return false;
  const lock = `--lock=${new URL("../../deno.lock", import.meta.url).pathname}`;
  const { code } = await new Deno.Command(apart[0], {
    args: [...apart.slice(1), Deno.execPath(), "run", "-qA", lock, Deno.mainModule, ...Deno.args],
    env: { THINKER_FAULTS_APART: "1" },
  }).spawn().status;
  Deno.exitCode = code;
  return true;
}

if (import.meta.main && !await ranApart()) {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      only: { type: "string", default: "" },
      save: { type: "boolean", default: false },
    },
  });
  const seed = Number(values.seed), began = performance.now();
  console.log(`seed ${seed}`);
  using device = await Device.open("cpu");
  const results = await runAll(seed, values.quick ? quick : whole, values.only);
  const rows = summary(results), seconds = Math.round((performance.now() - began) / 1000);
  const table = rows.map((row) => Object.values(row).map(String));
  console.log("\n" + formatTable(["class", "tried", ...outcomes], table, 1));
  const bad = [...results.values()].flat().filter(isBad).length;
  console.log(`${[...results.values()].flat().length} faults, ${bad} of them bad, ${seconds} s`);
  if (values.save) {
    const command = `deno task faults${values.quick ? " --quick" : ""} --seed ${seed}`;
    const machine = { ...await describeMachine(device.info), command };
    const trials = Object.fromEntries(results);
    console.log(await saveResults("faults", machine, { seed, seconds, rows, trials }));
  }
  if (bad > 0) Deno.exitCode = 1;
}
