/**
 * `thinker doctor`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { cacheDir, Device, runProgram } from "../ffi/mod.ts";
import { UserError } from "../src/base/mod.ts";

/** One thing that was looked at. */
interface Finding {
  readonly name: string;
  readonly state: "ok" | "missing" | "failed";
  readonly detail: string;
  /** What to do if it is not ok. */
  readonly hint?: string;
}

/** The command. */
export function doctorCommand() {
  return new Command()
    .description("Check what this machine has: compilers, kernels, devices, memory.")
    .option("--json", "Print the findings as JSON.")
    .example("everything at a glance", "thinker doctor")
    .action(async (options: Record<string, unknown>) => {
      const findings = await examine();
      if (options.json) {
        console.log(JSON.stringify(findings, null, 2));
      } else {
        for (const { name, state, detail, hint } of findings) {
          const mark = { ok: "ok     ", missing: "missing", failed: "FAILED " }[state];
          console.log(`${mark}  ${name.padEnd(14)} ${detail}`);
          if (hint) console.log(`${" ".repeat(24)} ${hint}`);
        }
      }
      if (findings.some((finding) => finding.state === "failed")) {
        throw new UserError("this machine cannot run the CPU kernels");
      }
    });
}

async function examine(): Promise<Finding[]> {
  const { deno, v8 } = Deno.version;
  return [
    { name: "deno", state: "ok", detail: `${deno} (V8 ${v8})` },
    await compiler("g++", "needed for the CPU kernels: apt install g++, or dnf install gcc-c++"),
    await compiler("clang++", "an alternative to g++; not needed beside it"),
    await compiler("nvcc", "needed only to build the CUDA kernels: install the CUDA toolkit"),
    { name: "kernel cache", state: "ok", detail: cacheDir() },
    await cpu(),
  ];
}

async function compiler(name: string, hint: string): Promise<Finding> {
  const version = await runProgram(name, ["--version"]);
  if (!version) return { name, state: "missing", detail: "not on PATH", hint };
  const lines = version.stdout.trim().split("\n");
  const detail = lines.find((line) => /release|version|\d+\.\d+/.test(line)) ?? lines[0];
  return { name, state: "ok", detail };
}

async function cpu(): Promise<Finding> {
  try {
    using device = await Device.open("cpu", { onBuild: (text) => console.error(text) });
    const { isa, threads, memoryBytes } = device.info;
    const memory = `${(memoryBytes / 2 ** 30).toFixed(1)} GiB`;
    const detail = `${isa}, ${threads} threads, ${memory} of memory`;
    return { name: "cpu backend", state: "ok", detail };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { name: "cpu backend", state: "failed", detail: error.message, hint: error.hint };
  }
}
