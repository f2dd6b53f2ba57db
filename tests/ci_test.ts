/** What CI says where there is no nvcc: a copy of .ci/ runs with a Deno that does nothing. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const tools = ["bash", "dirname", "env", "mktemp", "tee", "grep", "tail", "rm"];
const deno = `#!/bin/bash
[[ $* == "task test" ]] && echo "5 passed, 0 failed, 2 skipped"
[[ $* == "task kernels:report" ]] && echo "a report"
exit 0
`;

/** Runs a script of .ci/ in a copy, with only `tools` and what `stubs` names on PATH. */
async function ci(script: string, env: Record<string, string>, stubs: readonly string[] = []) {
  const dir = await Deno.makeTempDir();
  try {
    for (const folder of [".ci", "bin"]) await Deno.mkdir(`${dir}/${folder}`);
    for (const name of ["run", "cuda"]) await Deno.copyFile(`.ci/${name}`, `${dir}/.ci/${name}`);
    const write = (path: string, text: string) => Deno.writeTextFile(path, text, { mode: 0o755 });
    await write(`${dir}/.ci/deno`, deno);
    for (const name of stubs) await write(`${dir}/bin/${name}`, "#!/bin/bash\n");
    for (const tool of tools) await Deno.symlink(await which(tool), `${dir}/bin/${tool}`);
    const command = new Deno.Command(`${dir}/.ci/${script}`, {
      clearEnv: true,
      env: { PATH: `${dir}/bin`, ...env },
    });
    const { code, stdout, stderr } = await command.output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, lines: decode(stdout).trimEnd().split("\n"), stderr: decode(stderr) };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function which(tool: string): Promise<string> {
  const args = ["-c", `command -v ${tool}`];
  return new TextDecoder().decode((await new Deno.Command("sh", { args }).output()).stdout).trim();
}

Deno.test("ci: a missing nvcc is told where it is missed and before the last line, and counts as skipped", async () => {
  const { code, lines, stderr } = await ci("run", {});
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "!! CUDA was NOT compiled: nvcc is not on PATH\n");
  assertEquals(lines.slice(-3), [
    "!! CUDA was NOT compiled (see == .ci/cuda above)",
    "",
    "11 passed, 0 failed, 3 skipped",
  ]);
});

Deno.test("ci: where nvcc is required its absence is a failure", async () => {
  const { code, lines, stderr } = await ci("run", { THINKER_CI_NVCC: "required" });
  assertEquals([code, lines.at(-1)], [1, "11 passed, 1 failed, 2 skipped"]);
  assertStringIncludes(stderr, "FAILED: THINKER_CI_NVCC=required\n");
  assertEquals((await ci("cuda", { THINKER_CI_NVCC: "required" })).code, 1);
  assertEquals((await ci("cuda", {})).code, 3);
});

Deno.test("ci: with nvcc the kernels are built and reported, and nothing is warned of", async () => {
  const { code, lines, stderr } = await ci("run", { THINKER_CI_NVCC: "required" }, ["nvcc"]);
  assertEquals([code, lines.at(-1), stderr], [0, "12 passed, 0 failed, 2 skipped", ""]);
  assert(lines.includes("a report") && !lines.some((line) => line.includes("NOT compiled")));
});
