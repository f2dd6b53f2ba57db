/** Disks that fill up, files that may not grow, and screens that cannot be written. */
import { filesOf } from "../e2e/small.ts";
import { look, type Place, sleep, steps, type Subject } from "./place.ts";
import { judge, type Trial, type Verdict } from "./verdict.ts";

/** Whether this process may mount a file system. */
export async function canMount(): Promise<boolean> {
  const dir = await Deno.makeTempDir();
  try {
    await mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", dir);
    await command("umount", dir);
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(dir);
  }
}

const mount = (...args: string[]) => command("mount", ...args);

async function command(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}

/** Bytes of what a subject leaves. */
async function bytesOf(dir: string): Promise<number> {
  const files = await filesOf(dir);
  return files.reduce((sum, file) => sum + Deno.statSync(`${dir}/${file}`).size, 0);
}

/** Bytes of the file systems, of which a file of ballast leaves as much room as is wanted. */
const diskBytes = 64 * 2 ** 20;

/** Mounts a file system in a new folder of the place for as long as the body runs. */
async function withDisk<T>(
  place: Place,
  body: (dir: string, ballast: string) => Promise<T>,
): Promise<T> {
  const disk = place.folder();
  await Deno.mkdir(place.at(disk));
  await mount("-t", "tmpfs", "-o", `size=${diskBytes}`, "tmpfs", place.at(disk));
  try {
    return await body(`${disk}/out`, `${disk}/ballast`);
  } finally {
    await command("umount", place.at(disk));
  }
}

/** File systems whose room is a random share of what is needed, and then enough. */
export async function* fullDisks(
  place: Place,
  subject: Subject,
  count: number,
): AsyncGenerator<Trial> {
  const needed = await bytesOf(place.at(subject.whole));
  for (let n = 0; n < count; n++) {
    const share = 0.02 + 0.96 * (n + place.random.next()) / count;
    const fault = `${subject.begin[0]}: room for ${Math.round(100 * share)} % of it`;
    const verdict = await withDisk(place, async (dir, ballast) => {
      await Deno.writeFile(place.at(ballast), new Uint8Array(diskBytes - needed * share));
      return await without(place, subject, dir, () => place.remove(ballast));
    });
    yield { fault, ...verdict };
  }
}

/** Disks that somebody else fills while a run is at work. */
export async function* filledDisks(
  place: Place,
  toy: Subject,
  count: number,
): AsyncGenerator<Trial> {
  for (let n = 0; n < count; n++) {
    const step = place.random.int(0, steps - 1);
    const verdict = await withDisk(place, async (dir, ballast) => {
      const ending = place.run([...toy.begin, "--out", dir]);
      let over = false;
      ending.finally(() => over = true);
      while (!over && look(place.at(dir)).logged <= step) await sleep(1);
      await fill(place.at(ballast));
      const ended = await ending;
      const verdict = judge(ended, ended.code === 0 ? await place.differs(toy, dir) : undefined);
      await place.remove(ballast);
      return await withRoom(place, toy, dir, verdict);
    });
    yield { fault: `train: the disk is filled after step ${step}`, ...verdict };
  }
}

/** Takes all the room that there is. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  for (let size = 2 ** 20; size >= 1; size = Math.floor(size / 8)) {
    const piece = new Uint8Array(size);
    try {
      while (true) await file.write(piece);
    } catch {
      // No room for so much: less may still fit.
    }
  }
}

/** The same where no file may be longer than some blocks. */
export async function* longFiles(
  place: Place,
  subject: Subject,
  count: number,
): AsyncGenerator<Trial> {
  for (let n = 0; n < count; n++) {
    const blocks = Math.floor(2 ** (3 + 7 * (n + place.random.next()) / count));
    const through = ["bash", "-c", `trap '' XFSZ; ulimit -f ${blocks}; exec "$@"`, "bash"];
    const fault = `${subject.begin[0]}: files of at most ${blocks} KiB`;
    const room = () => Promise.resolve();
    yield { fault, ...await without(place, subject, place.folder(), room, through) };
  }
}

/** Runs without enough room, then with it: the first is refused in one line, the second ends truly. */
async function without(
  place: Place,
  subject: Subject,
  dir: string,
  room: () => Promise<void>,
  through?: readonly string[],
): Promise<Verdict> {
  const ended = await place.run([...subject.begin, "--out", dir], { through });
  const verdict = judge(ended, ended.code === 0 ? await place.differs(subject, dir) : undefined);
  await room();
  return await withRoom(place, subject, dir, verdict);
}

/** A refusal may cost nothing: with room it must end truly. */
async function withRoom(
  place: Place,
  subject: Subject,
  dir: string,
  verdict: Verdict,
): Promise<Verdict> {
  if (verdict.outcome !== "refused") return verdict;
  const { begun } = look(place.at(dir));
  const after = await place.goOn(begun ? subject : { ...subject, goOn: subject.begin }, dir);
  if (["equal", "recovered"].includes(after.outcome)) return verdict;
  return { ...after, detail: `refused (${verdict.detail}), and with room: ${after.detail}` };
}

/** Screens that nothing can be written to: what runs goes on. */
export async function* screens(
  place: Place,
  subjects: readonly Subject[],
): AsyncGenerator<Trial> {
  const ways = {
    "a full disk": 'exec "$@" 2>/dev/full',
    "a full disk, for the summary too": 'exec "$@" >/dev/full 2>&1',
    "a pipe that nobody reads": 'set -o pipefail; "$@" 2>&1 | true',
    "a pipe that is closed later": 'set -o pipefail; "$@" 2>&1 | head -c 300 >/dev/null',
    "nothing at all": 'exec "$@" >&- 2>&-',
  };
  for (const subject of subjects) {
    for (const [name, script] of Object.entries(ways)) {
      const dir = place.folder(), through = ["bash", "-c", script, "bash"];
      const ended = await place.run([...subject.begin, "--out", dir], { through });
      const differs = await place.differs(subject, dir);
      // A summary that is lost is a failure, of which nothing can be said; the run is whole all the same.
      const isWhole = ended.code === 1 && name.endsWith("summary too") && differs === undefined;
      const verdict = judge(isWhole ? { ...ended, code: 0 } : ended, differs);
      yield { fault: `${subject.begin[0]}: the screen is ${name}`, ...verdict };
    }
  }
}
