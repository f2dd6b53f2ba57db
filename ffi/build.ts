/**
 * Finds or builds a backend's shared library.
 *
 * The library's place in the cache is a hash of everything that shapes its code: sources, compiler
 * version, flags, and the macros that the compiler predefines for this machine (clusters share home
 * folders between different CPUs). A build happens in a temporary folder under a file lock and is moved
 * into place with its digest, so an interrupted build leaves nothing that looks finished.
 *
 * @module
 */

import { removeTree, UserError } from "../src/base/mod.ts";
import { runProgram } from "./child.ts";
import { Interruption } from "./interruption.ts";
import { type SourceFile, sources } from "./sources.ts";
import * as cache from "./store.ts";

/**
 * Backends that this build knows how to compile. `emu` is a test instrument: the CUDA kernels on an
 * emulated GPU, thousands of times slower than a real one.
 */
export type Backend = "cpu" | "cuda" | "emu";

/** What to tell the user while a build runs. */
export interface BuildOptions {
  /** Called once, before a compilation that takes a while starts. */
  readonly onBuild?: (message: string) => void;
}

interface Toolchain {
  readonly compiler: string;
  readonly compile: readonly string[];
  readonly link: readonly string[];
  /** Everything about compiler and machine that changes the produced code. */
  readonly identity: string;
  /** Keep what the compiler says beside the library, as `<library>.log`. */
  readonly log?: boolean;
}

/**
 * The path of the backend's library, built first if the cache does not hold it.
 * `THINKER_LIB` overrides the search; `THINKER_MARCH` replaces `native` as the CPU to build for.
 *
 * @throws {UserError} when no compiler is found, the build fails (with the compiler's first error), or the
 *   cache is another user's or cannot be written.
 * @throws {BuildInterrupted} when a signal ended the build.
 */
export async function libraryPath(backend: Backend, options: BuildOptions = {}): Promise<string> {
  return Deno.env.get("THINKER_LIB") || await builtLibrary(backend, options);
}

/** What can be built: a backend, or the library that tells whether there is a driver. */
type Target = keyof typeof sources;

/** The path of a library in the cache, built first if it is not there. */
async function builtLibrary(backend: Target, options: BuildOptions): Promise<string> {
  const toolchain = await toolchains[backend]();
  const texts = sources[backend].flatMap((s) => [s.name, s.text]);
  const key = await hash([backend, toolchain.identity, ...texts]);
  const dir = `${cache.kernelCache()}/${key}`;
  return await cache.inCache(async () => {
    const path = `${dir}/libthinker_${backend}.so`;
    const there = await cache.expectPrivate(cache.kernelCache()) && await cache.expectPrivate(dir);
    if (there && await cache.examine(path) === "sound") return path;
    await buildLocked(path, backend, toolchain, options);
    return path;
  });
}

const toolchains: Readonly<Record<Target, () => Promise<Toolchain>>> = {
  cpu: cpuToolchain,
  cuda: cudaToolchain,
  emu: emuToolchain,
  driver: driverToolchain,
};

function cpuToolchain(): Promise<Toolchain> {
  const link = ["-shared", "-fopenmp"];
  return hostToolchain("cpu", ["-O3", "-fopenmp", "-fvisibility=hidden"], link);
}

function emuToolchain(): Promise<Toolchain> {
  const compile = ["-O2", "-fvisibility=hidden", "-Wno-unknown-pragmas", "-x", "c++"];
  return hostToolchain("emu", compile, ["-shared", "-pthread"]);
}

function driverToolchain(): Promise<Toolchain> {
  return hostToolchain("driver", ["-fvisibility=hidden"], ["-shared", "-ldl"]);
}

/**
 * Whether the dynamic linker finds NVIDIA's driver. It is asked by a library of a few lines, because the
 * kernels take minutes to compile. True where that cannot be had either: then only trying tells.
 */
export async function loadsDriver(): Promise<boolean> {
  let path: string;
  try {
    path = await builtLibrary("driver", {});
  } catch (error) {
    if (error instanceof UserError || error instanceof Deno.errors.NotCapable) return true;
    throw error;
  }
  const library = Deno.dlopen(path, { tk_driver_loads: { parameters: [], result: "i32" } });
  try {
    return library.symbols.tk_driver_loads() === 1;
  } finally {
    library.close();
  }
}

/** A C++ compiler of this machine, for this machine's CPU. */
async function hostToolchain(
  backend: Target,
  options: readonly string[],
  link: readonly string[],
): Promise<Toolchain> {
  const march = Deno.env.get("THINKER_MARCH") ?? "native";
  const machine = ["-std=c++17", `-march=${march}`, "-ffp-contract=off", "-fPIC"];
  const compile = [...machine, ...options];
  for (const compiler of ["g++", "clang++"]) {
    const probe = await runProgram(compiler, [
      ...machine,
      ...options,
      "-dM",
      "-E",
      "-x",
      "c++",
      "-",
    ]);
    if (probe === undefined) continue;
    if (!probe.success) throw buildError(backend, compiler, probe.stderr);
    return {
      compiler,
      compile,
      link,
      identity: [compiler, ...compile, ...link, probe.stdout].join("\n"),
    };
  }
  throw new UserError("no C++ compiler found: neither g++ nor clang++ is on PATH", {
    hint:
      "install one (Debian/Ubuntu: apt install g++, Fedora: dnf install gcc-c++) or set THINKER_LIB",
  });
}

/** GPUs that the CUDA library holds code for: Ampere, Hopper, and PTX that newer ones compile. */
const cudaTargets = [
  "arch=compute_80,code=sm_80",
  "arch=compute_90a,code=sm_90a",
  "arch=compute_80,code=compute_80",
];

async function cudaToolchain(): Promise<Toolchain> {
  const compiler = "nvcc";
  const targets = cudaTargets.flatMap((target) => ["-gencode", target]);
  const compile = ["-std=c++17", "-O3", "-Xcompiler", "-fPIC,-fvisibility=hidden", ...targets];
  compile.push("-Xptxas", "-v"); // registers and spills of every kernel, for bench/ptxas.ts
  // A static runtime loads on machines without a driver, and then says so.
  // Never to be unloaded: the runtime leaves keys and handlers with the process.
  const stay = ["-Xlinker", "-z", "-Xlinker", "nodelete"];
  const link = ["-shared", "-cudart", "static", ...stay, ...targets];
  const version = await runProgram(compiler, ["--version"]);
  if (!version?.success) {
    throw new UserError("no CUDA compiler found: nvcc is not on PATH", {
      hint: "install the CUDA toolkit and put its bin folder on PATH",
    });
  }
  const identity = [...compile, ...link, version.stdout].join("\n");
  return { compiler, compile, link, identity, log: true };
}

async function buildLocked(
  path: string,
  backend: Target,
  toolchain: Toolchain,
  options: BuildOptions,
): Promise<void> {
  const dir = path.slice(0, path.lastIndexOf("/"));
  await cache.makePrivate(cache.kernelCache());
  await cache.makePrivate(dir);
  using interruption = new Interruption();
  using lock = await cache.openLock(dir);
  await interruption.until(() => lock.tryLock(true)); // released by close, also when the process dies
  const found = await cache.examine(path);
  if (found === "sound") return; // somebody else built it meanwhile
  const why = found === "missing"
    ? "(once per machine and version)"
    : `again: ${path} ${found.flaw}`;
  options.onBuild?.(`building the ${backend} kernels with ${toolchain.compiler} ${why}`);
  await cache.removeLeftovers(dir);
  await cache.removeOtherLeftovers();
  const temporary = await cache.makeBuildFolder(dir);
  try {
    const log = await build(temporary, backend, toolchain, interruption.signal);
    if (toolchain.log) await Deno.writeTextFile(`${path}.log`, log);
    await cache.store(`${temporary}/library.so`, path);
  } catch (cause) {
    throw await interruption.reason(cause);
  } finally {
    await removeTree(temporary);
  }
}

async function build(
  dir: string,
  backend: Target,
  toolchain: Toolchain,
  signal: AbortSignal,
): Promise<string> {
  const files: readonly SourceFile[] = sources[backend];
  for (const { name, text } of files) await Deno.writeTextFile(`${dir}/${name}`, text);
  const units = files.map(({ name }) => name).filter((name) => /\.(cpp|cu)$/.test(name));
  const objects = units.map((name) => `${dir}/${name}.o`);
  const queue = units.keys(), said: string[] = [];
  let failed = false;
  const worker = async () => {
    for (const i of queue) {
      if (failed) return;
      const args = [...toolchain.compile, "-c", `${dir}/${units[i]}`, "-o", objects[i]];
      said[i] = await compile(backend, toolchain.compiler, args, signal).catch((error) => {
        failed = true;
        throw error;
      });
    }
  };
  // All of them: nobody may still write into the folder when it is removed.
  const workers = Array.from({ length: navigator.hardwareConcurrency }, worker);
  const failure = (await Promise.allSettled(workers)).find((done) => done.status === "rejected");
  if (failure) throw failure.reason;
  const link = [...objects, ...toolchain.link, "-o", `${dir}/library.so`];
  await compile(backend, toolchain.compiler, link, signal);
  return said.join("");
}

/** Runs the compiler and returns its messages. */
async function compile(
  backend: Target,
  compiler: string,
  args: string[],
  signal: AbortSignal,
): Promise<string> {
  const result = await runProgram(compiler, args, { signal });
  if (!result?.success) {
    throw buildError(backend, compiler, result?.stderr ?? "the compiler vanished");
  }
  return result.stderr;
}

function buildError(backend: Target, compiler: string, stderr: string): UserError {
  const lines = stderr.split("\n");
  const first = lines.find((l) => /error|cannot|unrecognized|bad value/i.test(l)) ?? lines[0];
  const hint = /No space left/.test(first)
    ? "make room for the compiler's files: TMPDIR and XDG_CACHE_HOME name other folders"
    : undefined;
  return new UserError(`building the ${backend} kernels failed: ${compiler}: ${first.trim()}`, {
    hint,
  });
}

async function hash(parts: readonly string[]): Promise<string> {
  const bytes = new TextEncoder().encode(parts.map((p) => `${p.length}:${p}`).join("\0"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest.subarray(0, 12), (b) => b.toString(16).padStart(2, "0")).join("");
}
