/** SIGTERM, SIGHUP and Ctrl-C: what was done is saved within seconds, and what goes on is the same run. */
import { end, interrupt, look, type Moment, type Place, sleep, type Subject } from "./place.ts";
import type { Trial, Verdict } from "./verdict.ts";
import { judge } from "./verdict.ts";

const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Seconds in which a signal must have been followed. */
const within = 10;

/** What a run is doing when the signal comes. */
function moments({ random }: Place): Moment[] {
  const odd = 1 + 2 * random.int(0, 2); // such a step saves and measures nothing, the next one does
  return [
    { name: "the warm start", when: (now) => now.warm > 5, ms: random.next() * 20 },
    { name: "the first evaluation", when: (now) => now.saved === 0, ms: 5 + random.next() * 20 },
    { name: "a rollout", when: (now) => now.logged > odd, ms: random.next() * 20 },
    {
      name: "an evaluation",
      when: (now) => now.pending && now.logged > odd,
      ms: random.next() * 40,
    },
    { name: "a save", when: (now) => now.saving && now.logged > 1, ms: random.next() * 4 },
  ];
}

/** Each signal at each moment of a run, and in an evaluation. */
export async function* signals(
  place: Place,
  { toy, evaluation }: { toy: Subject; evaluation: Subject },
  every: number,
): AsyncGenerator<Trial> {
  const cases = (Object.keys(numbers) as (keyof typeof numbers)[]).flatMap((signal) => [
    ...moments(place).map((moment) => ({ signal, moment, subject: toy })),
    {
      signal,
      subject: evaluation,
      moment: {
        name: "answers",
        when: ({ answered }: { answered: number }) => answered > 50,
        ms: 5,
      },
    },
  ]);
  for (const { signal, moment, subject } of cases.filter((_, i) => i % every === 0)) {
    const fault = `${signal} in ${subject.begin[0]}, ${moment.name}`;
    const verdict = await stop(place, subject, moment, signal);
    if (verdict) yield { fault, ...verdict };
    else console.log(`missed: ${fault}`);
  }
  yield { fault: "SIGINT twice in train", ...await twice(place, toy) };
}

/** The second one ends the process at once, in the middle of saving. */
async function twice(place: Place, toy: Subject): Promise<Verdict> {
  const dir = place.folder(), child = await place.start([...toy.begin, "--out", dir]);
  const ending = end(child);
  while (look(place.at(dir)).logged < 4) await sleep(1);
  child.kill("SIGINT");
  await sleep(1 + 5 * place.random.next());
  try {
    child.kill("SIGINT");
  } catch {
    // the first one was enough
  }
  const { signal, code } = await ending;
  if (signal || code !== 130) return { outcome: "crashed", detail: `exit ${code}, ${signal}` };
  return await place.goOn(toy, dir);
}

/** What comes of a signal at a moment; undefined where the process had ended before. */
async function stop(
  place: Place,
  subject: Subject,
  moment: Moment,
  signal: keyof typeof numbers,
): Promise<Verdict | undefined> {
  const dir = place.folder();
  const child = await place.start([...subject.begin, "--out", dir]);
  const { hit, after, ended } = await interrupt(child, place.at(dir), moment, signal);
  if (!hit) return;
  const { code, stderr, hung } = ended, { logged, saved } = look(place.at(dir));
  const seconds = after / 1000, codes = [130, 128 + numbers[signal]];
  const wrong = (detail: string): Verdict => ({ outcome: "crashed", detail });
  if (ended.signal) return wrong(`died of ${ended.signal}: nothing saved`);
  // A signal that comes after the last step changes nothing.
  const over = code === 0 && (await place.differs(subject, dir)) === undefined;
  if (hung || seconds > within) return wrong(`${seconds.toFixed(0)} s until it stopped`);
  if (!over && !codes.includes(code)) return wrong(`exit ${code}: ${stderr.split("\n").at(-2)}`);
  if (/\n\s+at .+:\d+:\d+/.test(stderr)) return judge(ended, undefined);
  if (logged > 0 && saved < logged - 1) return wrong(`saved ${saved}, logged ${logged - 1}`);
  const verdict = await place.goOn(look(place.at(dir)).begun ? subject : afresh(subject), dir);
  return { ...verdict, detail: `stopped at ${logged - 1} with ${code}; ${verdict.detail}` };
}

const afresh = (subject: Subject) => ({ ...subject, goOn: subject.begin });
