/**
 * Registers, stack and spills of every CUDA kernel, as ptxas reports them, beside the committed baseline.
 * A kernel that spills more than its baseline (or at all, when it is new) fails the check: a spilled
 * register turns into memory traffic in the innermost loop.
 *
 * Usage: `deno task kernels:report [--write]`. Builds the CUDA library if needed; `--write` makes this
 * report the new baseline.
 *
 * @module
 */
import { libraryPath } from "../ffi/mod.ts";
import { writeAtomic } from "../src/base/mod.ts";

/** What ptxas says about one kernel on one target. */
export interface KernelResources {
  /** Demangled name with template arguments, e.g. `tk::adamw<4>`. */
  readonly kernel: string;
  /** e.g. `sm_80`. */
  readonly target: string;
  /** Registers of a thread. */
  readonly registers: number;
  /** Bytes of static shared memory of a block. */
  readonly shared: number;
  /** Bytes of stack of a thread. */
  readonly stack: number;
  /** Bytes of a thread that are spilled: stores and loads added up. */
  readonly spills: number;
}

/** Reads the output of `ptxas -v`. Names stay as they are. */
export function parsePtxas(text: string): KernelResources[] {
  const found: KernelResources[] = [];
  const entry =
    /Compiling entry function '(\w+)' for '(\w+)'[^]*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\n[^\n]*Used (\d+) registers([^\n]*)/g;
  for (const [, kernel, target, stack, stores, loads, registers, rest] of text.matchAll(entry)) {
    found.push({
      kernel,
      target,
      registers: Number(registers),
      shared: Number(rest.match(/(\d+) bytes smem/)?.[1] ?? 0),
      stack: Number(stack),
      spills: Number(stores) + Number(loads),
    });
  }
  return found;
}

/** The kernels that spill more than in the baseline, one line each. */
export function newSpills(
  kernels: readonly KernelResources[],
  baseline: readonly KernelResources[],
): string[] {
  const key = ({ kernel, target }: KernelResources) => `${target} ${kernel}`;
  const before = new Map(baseline.map((k) => [key(k), k.spills]));
  return kernels.filter((k) => k.spills > (before.get(key(k)) ?? 0)).map((k) =>
    `${k.kernel} on ${k.target} spills ${k.spills} bytes a thread, ${
      before.get(key(k)) ?? 0
    } before`
  );
}

/** Readable names: template arguments stay, parameter lists and anonymous namespaces go. */
async function demangle(kernels: readonly KernelResources[]): Promise<KernelResources[]> {
  const child = new Deno.Command("c++filt", { args: ["-p"], stdin: "piped", stdout: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(kernels.map((k) => k.kernel).join("\n")));
  await writer.close();
  const { stdout } = await child.output();
  const names = new TextDecoder().decode(stdout).split("\n");
  return kernels.map((k, i) => ({
    ...k,
    kernel: names[i].replaceAll("(anonymous namespace)::", "").replace(/^void /, ""),
  }));
}

async function main(): Promise<void> {
  const file = new URL("./results/ptxas.json", import.meta.url).pathname;
  const log = `${await libraryPath("cuda", { onBuild: (text) => console.error(text) })}.log`;
  const parsed = await demangle(parsePtxas(await Deno.readTextFile(log)));
  if (parsed.length === 0) throw new Error(`${log} names no kernel`);
  const order = (k: KernelResources) => `${k.kernel} ${k.target}`;
  const kernels = parsed.sort((a, b) => order(a) < order(b) ? -1 : 1);
  const width = Math.max(...kernels.map((k) => k.kernel.length));
  for (const { kernel, target, registers, shared, stack, spills } of kernels) {
    const cells = [registers, shared, stack, spills].map((n) => `${n}`.padStart(7));
    console.log(`${kernel.padEnd(width)}  ${target.padEnd(7)}${cells.join("")}`);
  }
  console.log("columns: registers, bytes of static shared memory, of stack, spilled");
  if (Deno.args.includes("--write")) {
    await Deno.mkdir(new URL("./results/", import.meta.url), { recursive: true });
    const rows = kernels.map((k) => JSON.stringify(k)).join(",\n    ");
    await writeAtomic(file, `{\n  "kernels": [\n    ${rows}\n  ]\n}\n`);
    return;
  }
  const baseline: { kernels: KernelResources[] } = JSON.parse(await Deno.readTextFile(file));
  const worse = newSpills(kernels, baseline.kernels);
  for (const line of worse) console.error(`new spills: ${line}`);
  console.log(`${kernels.length} kernels, ${worse.length} with new spills`);
  if (worse.length > 0) Deno.exit(1);
}

if (import.meta.main) await main();
