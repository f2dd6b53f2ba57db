/** A kernel cache of one's own, and what may go wrong with it. */
import { cp } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { libraryPath } from "../../ffi/mod.ts";
import { filesOf } from "../e2e/small.ts";
import { end, type Place, sleep, type Subject } from "./place.ts";
import { judge, type Trial, type Verdict, worst } from "./verdict.ts";

/** A copy of the built kernels, which processes with its environment use. */
export class PrivateCache {
  readonly env: Record<string, string>;
  readonly #root: string;
  readonly #built: string;

  private constructor(root: string, built: string, denoDir: string) {
    this.#root = root;
    this.#built = built;
    this.env = { XDG_CACHE_HOME: root, DENO_DIR: denoDir };
  }

  /** Makes one in the place. */
  static async make(place: Place, name = "cache"): Promise<PrivateCache> {
    const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
    const { denoDir } = JSON.parse(new TextDecoder().decode(info.stdout));
    const cache = new PrivateCache(place.at(name), await libraryPath("cpu"), denoDir);
    await cache.refill();
    return cache;
  }

  /** The library's path in it. */
  get library(): string {
    const { length } = dirname(dirname(this.#built));
    return `${this.#root}/thinker${this.#built.slice(length)}`;
  }

  /** Every file of it. */
  async files(): Promise<string[]> {
    const dir = dirname(this.library);
    return (await filesOf(dir)).map((file) => `${dir}/${file}`)
      .filter((file) => Deno.statSync(file).size > 0);
  }

  /** Empties it. */
  async empty(): Promise<void> {
    await Deno.remove(this.#root, { recursive: true }).catch(() => {});
  }

  /** Makes it as good as the one that it was copied from. */
  async refill(): Promise<void> {
    await this.empty();
    await cp(dirname(this.#built), dirname(this.library), {
      recursive: true,
      preserveTimestamps: true,
    });
  }
}

/** A library cut short, and builds that are killed, stopped, or done twice at once. */
export async function* kernelCache(
  place: Place,
  toy: Subject,
  cache: PrivateCache,
): AsyncGenerator<Trial> {
  const options = { env: cache.env }, says = /kernel/;
  const attempt = async () =>
    await place.tryFault(toy, await place.half(toy, 6), {
      says,
      options,
      repair: () => cache.refill(),
    });
  await cache.refill();
  const { size } = await Deno.stat(cache.library);
  await Deno.truncate(cache.library, Math.floor(size * place.random.next()));
  yield { fault: "library cut short", ...await attempt() };

  await cache.empty();
  const killed = await building(place, toy, cache, "SIGKILL");
  yield { fault: "SIGKILL while building", ...killed ?? await attempt() };

  await cache.empty();
  yield { fault: "SIGINT while building", ...await stopped(place, toy, cache) };
  yield { fault: "two builds at once", ...await twice(place, toy, cache) };

  const odd = await PrivateCache.make(place, "cache, and a space");
  const dir = await place.half(toy, 6), repair = () => Promise.resolve();
  yield {
    fault: "a comma and a space in the path",
    ...await place.tryFault(toy, dir, { options: { env: odd.env }, repair }),
  };
}

/** Starts a build and sends a signal in the middle of it; a verdict where none was begun. */
async function building(
  place: Place,
  toy: Subject,
  cache: PrivateCache,
  signal: Deno.Signal,
): Promise<Verdict | undefined> {
  const child = await place.start([...toy.begin, "--out", place.folder()], { env: cache.env });
  let over = false;
  const ending = end(child).finally(() => over = true);
  await sleep(1500 + 3000 * place.random.next());
  if (over) return { outcome: "crashed", detail: "no build to interrupt" };
  const sent = performance.now();
  child.kill(signal);
  const { code } = await ending, seconds = (performance.now() - sent) / 1000;
  if (signal === "SIGKILL") return;
  if (code === 130 && seconds < 10) return;
  const detail = `exit ${code}, ${seconds.toFixed(0)} s after ${signal}`;
  return { outcome: "crashed", detail };
}

async function stopped(place: Place, toy: Subject, cache: PrivateCache): Promise<Verdict> {
  const bad = await building(place, toy, cache, "SIGINT");
  const left = await filesOf(cache.env.XDG_CACHE_HOME).catch(() => []);
  const half = left.filter((file) => /\.(o|cpp|h)$|library\.so$/.test(file)).map((f) =>
    basename(f)
  );
  if (!bad && half.length > 0) {
    return { outcome: "crashed", detail: `left ${half.length} files, such as ${half[0]}` };
  }
  return bad ?? { outcome: "equal", detail: "exit 130, and nothing left" };
}

async function twice(place: Place, toy: Subject, cache: PrivateCache): Promise<Verdict> {
  await cache.empty();
  const verdicts = await Promise.all([1, 2].map(async () => {
    const dir = await place.half(toy, 6);
    const ended = await place.run([...toy.goOn, "--out", dir], { env: cache.env });
    return judge(ended, ended.code === 0 ? await place.differs(toy, dir) : undefined, /kernel/);
  }));
  return worst(verdicts);
}
