/**
 * What the numbers were measured on.
 *
 * @module
 */

/** The machine, software and command of a benchmark run. */
export interface Machine {
  readonly cpu: string;
  /** Logical cores. */
  readonly cores: number;
  /** Instruction set that the kernels use. */
  readonly isa: string;
  readonly memoryBytes: number;
  readonly lastLevelCacheBytes: number;
  /** Abbreviated hash, with `+` where the working tree differs from it. */
  readonly commit: string;
  readonly deno: string;
  /** As it was called; of a path that leads through somebody's machine only its last part. */
  readonly command: string;
}

/** Describes this machine. `device` is what the backend says about itself. */
export async function describeMachine(
  device: { readonly isa: string; readonly memoryBytes: number },
): Promise<Machine> {
  return {
    cpu: (await read("/proc/cpuinfo"))?.match(/^model name\s*: (.*)$/m)?.[1] ?? "unknown",
    cores: navigator.hardwareConcurrency,
    isa: device.isa,
    memoryBytes: device.memoryBytes,
    lastLevelCacheBytes: await lastLevelCacheBytes(),
    commit: await commitOf("."),
    deno: Deno.version.deno,
    command: [
      "deno run",
      Deno.mainModule.replace(/^.*\/bench\//, "bench/"),
      ...Deno.args.map(shown),
    ]
      .join(" "),
  };
}

/** An argument, fit for others to read. */
function shown(argument: string): string {
  return argument.replace(/(^|=)\/.*\/([^/]+)\/?$/, "$1$2");
}

/** Bytes of the largest cache that Linux reports; 32 MiB where it reports none. */
export async function lastLevelCacheBytes(): Promise<number> {
  let most = 0;
  for (let level = 0; level < 5; level++) {
    const size = await read(`/sys/devices/system/cpu/cpu0/cache/index${level}/size`);
    if (size) most = Math.max(most, parseCacheSize(size));
  }
  return most || 32 * 2 ** 20;
}

/** Bytes of a size as Linux writes it: `48K`, `32M`, or plain bytes. */
export function parseCacheSize(text: string): number {
  const [, digits, unit] = text.trim().match(/^(\d+)([KMG]?)$/) ?? [];
  if (!digits) throw new Error(`not a cache size: ${text}`);
  return Number(digits) * { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[unit]!;
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return undefined;
  }
}

/** Abbreviated hash of a checkout, with `+` where its files differ from it. */
export async function commitOf(cwd: string): Promise<string> {
  const git = async (...args: string[]) => {
    const { success, stdout } = await new Deno.Command("git", { args, cwd, stderr: "null" })
      .output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  };
  try {
    const hash = await git("rev-parse", "--short", "HEAD");
    if (!hash) return "unknown";
    return hash + (await git("status", "--porcelain", "--untracked-files=no") ? "+" : "");
  } catch {
    return "unknown";
  }
}
