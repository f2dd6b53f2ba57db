/** SIGKILL at random moments, again and again, until what is left is taken up and ends. */
import { interrupt, look, type Moment, type Place, saveEvery, type Subject } from "./place.ts";
import type { Trial } from "./verdict.ts";

/** So often one run is killed before it may end. */
const chain = 5;

/** Milliseconds until a process has read its files. */
const startUp = 300;

/** A moment of a run: anywhere, inside of a step, or while a checkpoint is written. */
function runMoment({ random }: Place, { ms }: Subject, logged: number): Moment {
  const next = logged + random.int(0, saveEvery);
  return random.pick<Moment>([
    { name: "anywhere", when: () => true, ms: random.next() * ms },
    { name: "a step", when: (now) => now.logged > next, ms: random.next() * 80 },
    { name: "a checkpoint", when: (now) => now.saving, ms: random.next() * 8 },
  ]);
}

/** A moment of an evaluation: anywhere, or soon after an answer. */
function evalMoment({ random }: Place, { ms }: Subject, answered: number): Moment {
  const next = answered + random.int(1, 200);
  return random.pick<Moment>([
    { name: "anywhere", when: () => true, ms: random.next() * ms },
    { name: "an answer", when: (now) => now.answered > next, ms: random.next() * 8 },
    { name: "starting", when: () => true, ms: random.next() * startUp },
  ]);
}

/** Kills until `count` kills have hit a running process. */
export async function* kills(place: Place, subject: Subject, count: number): AsyncGenerator<Trial> {
  const isRun = subject.begin[0] === "train";
  for (let hits = 0; hits < count;) {
    const dir = place.folder(), at: string[] = [];
    let args = subject.begin;
    for (let n = 0; n < Math.min(chain, count - hits); n++) {
      const { logged, answered } = look(place.at(dir));
      const moment = isRun
        ? runMoment(place, subject, logged)
        : evalMoment(place, subject, answered);
      const child = await place.start([...args, "--out", dir]);
      const { hit } = await interrupt(child, place.at(dir), moment, "SIGKILL");
      if (!hit) break;
      const now = look(place.at(dir));
      at.push(`${moment.name} (logged ${now.logged + now.answered}, saved ${now.saved})`);
      if (now.begun) args = subject.goOn;
    }
    hits += at.length;
    const begun = look(place.at(dir)).begun ? subject : { ...subject, goOn: subject.begin };
    const verdict = await place.goOn(begun, dir);
    for (const each of at) yield { fault: `${subject.begin[0]} killed in ${each}`, ...verdict };
  }
}
