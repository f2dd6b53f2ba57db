/** Two processes that want the same folder, and files in it that belong to somebody else. */
import { dirname } from "node:path";
import { end, interrupt, look, type Place, sleep, type Subject } from "./place.ts";
import { isBad, judge, type Trial, type Verdict, worst } from "./verdict.ts";

/** One of two processes: what it does, and what it is judged by. */
interface Side {
  readonly subject: Subject;
  readonly args: readonly string[];
}

/** Starts two processes on one folder, a little apart, and judges both. */
async function both(place: Place, dir: string, sides: readonly Side[]): Promise<Verdict> {
  const apart = place.random.next() * 300;
  const ends = await Promise.all(sides.map(async ({ args }, i) => {
    await sleep(i * apart);
    return await place.run([...args, "--out", dir]);
  }));
  const verdicts: Verdict[] = [];
  for (const [i, ended] of ends.entries()) {
    const { subject } = sides[i];
    verdicts.push(judge(ended, ended.code === 0 ? await place.differs(subject, dir) : undefined));
  }
  if (verdicts.some(isBad)) return worst(verdicts);
  const refused = verdicts.filter(({ outcome }) => outcome === "refused");
  const detail = refused.map(({ detail }) => detail).join("; ");
  if (refused.length < verdicts.length) {
    return { outcome: refused.length > 0 ? "refused" : "equal", detail };
  }
  const [{ subject }] = sides;
  const after = await place.goOn(look(place.at(dir)).begun ? subject : afresh(subject), dir);
  return isBad(after) ? after : { outcome: "refused", detail: `both: ${detail}` };
}

const afresh = (subject: Subject) => ({ ...subject, goOn: subject.begin });

/** Pairs of processes in one folder. */
export async function* doubleRuns(
  place: Place,
  { toy, evaluation }: { toy: Subject; evaluation: Subject },
  count: number,
): AsyncGenerator<Trial> {
  const begin = (subject: Subject) => ({ subject, args: subject.begin });
  const resume = { subject: toy, args: toy.goOn };
  for (let n = 0; n < count; n++) {
    const half = await place.half(toy, 0);
    yield { fault: "two --resume at once", ...await both(place, half, [resume, resume]) };
    const pairs: [string, Side[]][] = [
      ["two new runs into one folder", [begin(toy), begin(toy)]],
      ["two evaluations into one folder", [begin(evaluation), begin(evaluation)]],
      ["a run and an evaluation into one folder", [begin(toy), begin(evaluation)]],
      ["an evaluation and a run into one folder", [begin(evaluation), begin(toy)]],
    ];
    for (const [fault, sides] of pairs) {
      yield { fault, ...await both(place, place.folder(), sides) };
    }
    yield { fault: "--resume while the run is killed", ...await handOver(place, toy) };
    yield { fault: "--resume while the run stands still", ...await standing(place, toy) };
    yield { fault: "an evaluation of a run that goes on", ...await watched(place, toy) };
  }
}

/** Resumes the moment that the process before is killed: what it held must not outlive it. */
async function handOver(place: Place, toy: Subject): Promise<Verdict> {
  const dir = place.folder();
  const child = await place.start([...toy.begin, "--out", dir]);
  const moment = { name: "a step", when: () => look(place.at(dir)).logged > 2, ms: 0 };
  await interrupt(child, place.at(dir), moment, "SIGKILL");
  return await place.goOn(toy, dir);
}

/** Resumes while the process before is stopped: it is there, and goes on later. */
async function standing(place: Place, toy: Subject): Promise<Verdict> {
  const dir = place.folder(), child = await place.start([...toy.begin, "--out", dir]);
  const ending = end(child);
  while (look(place.at(dir)).logged < 3) await sleep(1);
  child.kill("SIGSTOP");
  const second = await place.run([...toy.goOn, "--out", dir]);
  child.kill("SIGCONT");
  const verdicts = [second, await ending].map((ended) => judge(ended, undefined));
  const different = await place.differs(toy, dir);
  if (verdicts.some(isBad)) return worst(verdicts);
  if (different) return { outcome: "silent wrong", detail: different };
  return verdicts[0];
}

/** Evaluates a run's newest checkpoint while the run goes on. */
async function watched(place: Place, toy: Subject): Promise<Verdict> {
  const dir = await place.half(toy, 4), data = ["--data", "data/eval", "--bench", "sums"];
  const model = ["--model", `${dir}/checkpoints/step-4`, "--samples", "4"];
  const [verdict, ended] = await Promise.all([
    place.goOn(toy, dir),
    place.run(["eval", ...model, ...data, "--out", place.folder()]),
  ]);
  return worst([verdict, judge(ended, undefined)]);
}

/** Files and links that others put into a folder: they stay, and nothing is written through them. */
export async function* foreignFiles(
  place: Place,
  { toy, evaluation }: { toy: Subject; evaluation: Subject },
): AsyncGenerator<Trial> {
  const note = "not yours\n";
  const cases: [string, Subject, string[]][] = [
    ["hidden files in a new run's folder", toy, [".notes.tmp", "checkpoints/.notes.tmp"]],
    ["a hidden file in an evaluation's folder", evaluation, [".notes.tmp"]],
  ];
  for (const [fault, subject, files] of cases) {
    const dir = place.folder();
    for (const file of files) {
      await Deno.mkdir(dirname(place.at(`${dir}/${file}`)), { recursive: true });
      await place.write(`${dir}/${file}`, note);
    }
    const ended = await place.run([...subject.begin, "--out", dir]);
    const gone = files.find((file) => !isThere(place.at(`${dir}/${file}`), note));
    const verdict = judge(ended, ended.code === 0 ? await place.differs(subject, dir) : undefined);
    yield { fault, ...gone ? { outcome: "silent wrong", detail: `${gone} is gone` } : verdict };
  }
  const planted: [string, Subject, string[]][] = [
    ["links at an evaluation's names", evaluation, [".results.json.tmp", ".config.json.tmp"]],
    ["a link at the answers' name", evaluation, ["answers.jsonl"]],
    ["links at a run's names", toy, [".report.md.tmp", ".config.json.tmp", ".probe.tmp"]],
  ];
  for (const [fault, subject, links] of planted) {
    const dir = place.folder(), victim = place.at(`data/victim-${subject.begin[0]}`);
    await Deno.mkdir(place.at(dir));
    await Deno.writeTextFile(victim, note);
    for (const link of links) await Deno.symlink(victim, place.at(`${dir}/${link}`));
    const ended = await place.run([...subject.begin, "--out", dir]);
    const verdict = judge(ended, ended.code === 0 ? await place.differs(subject, dir) : undefined);
    const written = !isThere(victim, note) && "a file outside of the folder was written";
    yield { fault, ...written ? { outcome: "silent wrong", detail: written } : verdict };
  }
}

function isThere(path: string, text: string): boolean {
  try {
    return Deno.readTextFileSync(path) === text;
  } catch {
    return false;
  }
}
