/** Single bits that flip in files, one file at a time. */
import { interrupt, type Moment, type Place, type Subject } from "./place.ts";
import { filesOf } from "../e2e/small.ts";
import type { PrivateCache } from "./cache.ts";
import type { Trial, Verdict } from "./verdict.ts";
import type { Random } from "../../src/base/mod.ts";

/** A bit that has flipped. */
interface Flip {
  /** Which one, in words. */
  readonly bit: string;
  /** Puts the old bytes back. */
  readonly repair: () => Promise<void>;
}

/** Flips one bit of a file. */
async function flipBit(path: string, random: Random): Promise<Flip> {
  const before = await Deno.readFile(path), after = before.slice();
  let at = 0, place = 0;
  for (let draws = 0; draws < 100; draws++) {
    at = random.int(0, before.length - 1);
    place = random.int(0, 7);
    after.set(before);
    after[at] ^= 1 << place;
    if (isReadable(path, after)) break; // one that breaks the syntax is the easier case
  }
  await Deno.writeFile(path, after);
  return { bit: `bit ${place} of byte ${at}`, repair: () => Deno.writeFile(path, before) };
}

function isReadable(path: string, bytes: Uint8Array): boolean {
  if (!/\.jsonl?$/.test(path)) return true;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    (path.endsWith("l") ? text.trimEnd().split("\n") : [text]).forEach((part) => JSON.parse(part));
    return true;
  } catch {
    return false;
  }
}

/** The files of a folder by kind: of several checkpoints only those of the newest one. */
async function kinds(dir: string, newest: string): Promise<string[]> {
  const files = (await filesOf(dir)).filter((file) => !/(^|\/)\./.test(file));
  return files.filter((file) => !file.startsWith("checkpoints/") || file.startsWith(newest));
}

/** How much is flipped. */
export interface Extent {
  /** Every so many-th kind of file. */
  readonly every: number;
  /** Flips in each file of weights, moments or code. */
  readonly weights: number;
}

/** A flip in every kind of file of a run that goes on, of an evaluation, and of the kernel cache. */
export async function* flips(
  place: Place,
  { toy, evaluation, cache }: { toy: Subject; evaluation: Subject; cache: PrivateCache },
  { every, weights }: Extent,
): AsyncGenerator<Trial> {
  const { random } = place, newest = "checkpoints/step-4";
  const chosen = (files: string[]) =>
    files.filter((_, i) => i % every === 0)
      .flatMap((file) => Array(/\.(safetensors|so)$/.test(file) ? weights : 1).fill(file));
  for (const file of chosen(await kinds(place.at(await place.half(toy, 4)), newest))) {
    const dir = await place.half(toy, 4);
    const { bit, repair } = await flipBit(place.at(`${dir}/${file}`), random);
    const says = new RegExp(file.startsWith(newest) ? "step-4" : file.replaceAll(".", "\\."));
    const verdict = await place.tryFault(toy, dir, { says, repair });
    yield { fault: `run: ${file}, ${bit}`, ...verdict };
  }
  yield {
    fault: "run: weights of the two newest checkpoints",
    ...await twoCheckpoints(place, toy),
  };
  yield { fault: "run: weights, and a kill while it goes on", ...await killed(place, toy) };
  yield* stoppedFlips(place, toy, chosen);
  for (const file of chosen(await kinds(place.at(evaluation.whole), ""))) {
    const dir = await place.copy(evaluation);
    const { bit, repair } = await flipBit(place.at(`${dir}/${file}`), random);
    const says = new RegExp(file.replaceAll(".", "\\."));
    const verdict = await place.tryFault(evaluation, dir, { says, repair });
    yield { fault: `eval: ${file}, ${bit}`, ...verdict };
  }
  for (const file of chosen(await cache.files())) {
    const { bit } = await flipBit(file, random), repair = () => cache.refill();
    const options = { env: cache.env }, says = /kernel/;
    const verdict = await place.tryFault(toy, await place.half(toy, 4), { says, repair, options });
    yield { fault: `kernel cache: ${file.split("/").at(-1)}, ${bit}`, ...verdict };
  }
}

/** A flip in every file that only a run has that was stopped in its warm start, or in an evaluation. */
async function* stoppedFlips(
  place: Place,
  toy: Subject,
  chosen: (files: string[]) => string[],
): AsyncGenerator<Trial> {
  const moments: Moment[] = [
    { name: "warm start", when: (now) => now.warm > 20, ms: 0 },
    { name: "evaluation", when: (now) => now.pending && now.logged > 1, ms: 0 },
  ];
  for (const moment of moments) {
    const stopped = await stop(place, toy, moment);
    const known = new Set(await filesOf(place.at(toy.whole)));
    const files = (await filesOf(place.at(stopped))).filter((file) =>
      !/(^|\/)\./.test(file) && !known.has(file)
    );
    for (const file of chosen(files)) {
      const dir = await place.copy({ ...toy, whole: stopped });
      const { bit, repair } = await flipBit(place.at(`${dir}/${file}`), place.random);
      const says = new RegExp(file.split("/")[1] ?? file);
      const verdict = await place.tryFault(toy, dir, { says, repair });
      yield { fault: `stopped in ${moment.name}: ${file}, ${bit}`, ...verdict };
    }
  }
}

/** A run that a signal stopped. */
async function stop(place: Place, toy: Subject, moment: Moment): Promise<string> {
  const dir = place.folder(), child = await place.start([...toy.begin, "--out", dir]);
  await interrupt(child, place.at(dir), moment, "SIGTERM");
  return dir;
}

async function killed(place: Place, toy: Subject): Promise<Verdict> {
  const dir = await place.half(toy, 4);
  const { repair } = await flipBit(
    place.at(`${dir}/checkpoints/step-4/model.safetensors`),
    place.random,
  );
  const child = await place.start([...toy.goOn, "--out", dir]);
  const moment = { name: "", when: () => true, ms: toy.ms * (0.2 + 0.5 * place.random.next()) };
  await interrupt(child, place.at(dir), moment, "SIGKILL");
  return await place.tryFault(toy, dir, { repair });
}

async function twoCheckpoints(place: Place, toy: Subject): Promise<Verdict> {
  const dir = await place.half(toy, 4), made: Flip[] = [];
  for (const step of [2, 4]) {
    const path = place.at(`${dir}/checkpoints/step-${step}/model.safetensors`);
    made.push(await flipBit(path, place.random));
  }
  const repair = async () => {
    for (const { repair } of made) await repair();
  };
  return await place.tryFault(toy, dir, { says: /step-4/, repair });
}
