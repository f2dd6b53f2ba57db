/**
 * The machine's peaks, measured by a small native program between the rounds of a benchmark. It is a child
 * process because only ffi/ loads native code, and because its buffer must not share our caches' contents.
 *
 * @module
 */
import { kernelCache } from "../ffi/mod.ts";
import { UserError } from "../src/base/mod.ts";
import { Peer } from "./peer.ts";
import source from "./native/peak.cpp" with { type: "text" };

/** What the machine can do at best, at this moment. */
export interface Peak {
  /** Fused multiply-adds in registers on all threads: FLOP/s. */
  fma(): Promise<number>;
  /** Reading memory that no cache holds, on all threads: bytes/s. */
  read(): Promise<number>;
}

/** The peak program, compiled and running. */
export class PeakProcess implements Peak, AsyncDisposable {
  readonly #peer: Peer;

  private constructor(peer: Peer) {
    this.#peer = peer;
  }

  /**
   * Compiles the program and starts it.
   *
   * @param threads As many as the kernels use.
   * @param bytes Size of the buffer that is read: several times the last-level cache.
   * @throws {UserError} when there is no g++ or it fails.
   */
  static async start(threads: number, bytes: number): Promise<PeakProcess> {
    const peer = new Peer(await compile(), [String(threads), String(bytes)]);
    return new PeakProcess(peer);
  }

  async fma(): Promise<number> {
    return Number(await this.#peer.ask("fma 0.015"));
  }

  async read(): Promise<number> {
    return Number(await this.#peer.ask("read 0.03"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
  }
}

/** Compiles the program into the cache folder and returns its path. A rename puts it in place. */
async function compile(): Promise<string> {
  const dir = kernelCache(), path = `${dir}/peak`;
  await Deno.mkdir(dir, { recursive: true });
  const build = await Deno.makeTempDir({ dir, prefix: "peak-" });
  try {
    await Deno.writeTextFile(`${build}/peak.cpp`, source);
    const args = ["-O3", "-march=native", "-fopenmp", `${build}/peak.cpp`, "-o", `${build}/peak`];
    const { success, stderr } = await new Deno.Command("g++", { args }).output();
    if (!success) {
      throw new UserError(`g++ cannot build peak.cpp: ${new TextDecoder().decode(stderr)}`);
    }
    await Deno.rename(`${build}/peak`, path);
    return path;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError("no g++ on PATH", {
      hint: "benchmarks measure the machine's peak with it",
    });
  } finally {
    await Deno.remove(build, { recursive: true });
  }
}
