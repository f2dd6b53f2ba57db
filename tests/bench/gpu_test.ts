/** The GPU benchmarks and their script work, as far as that shows without a GPU: on the emulator. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { gpuCases } from "../../bench/gpu/cases.ts";
import { microShapes } from "../../bench/gpu/sizes.ts";
import { gpuOf } from "../../bench/gpu/peaks.ts";
import { summarise } from "../../bench/gpu/summary.ts";
import { readJsonl } from "../../src/base/mod.ts";
import { TempDir } from "../e2e/small.ts";
import { backends } from "../native.ts";

const script = "bench/gpu.sh", lock = "bench/gpu/deno.lock";
const emulator = { ignore: !backends.includes("emu") };

async function run(command: string, args: string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, env }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

/** What the script needs to be rehearsed: the same Deno, and a folder of its own for the results. */
function rehearsal(dir: string) {
  return { DENO: Deno.execPath(), OUT: `${dir}/out` };
}

async function rowsOf(dir: string): Promise<Record<string, unknown>[]> {
  const path = `${dir}/out/results.jsonl`;
  const text = await Deno.readTextFile(path);
  assert(text.endsWith("\n"), "the last line is whole");
  return await readJsonl(path);
}

for (
  const [part, ops] of Object.entries({ kernels: gpuCases(microShapes).length, decode: 1, step: 6 })
) {
  Deno.test(`gpu bench: ${part} runs on the emulator and keeps its results`, emulator, async () => {
    await using dir = await TempDir.make();
    const out = `${dir.path}/results.jsonl`;
    const args = ["run", "-A", "bench/gpu/main.ts", part, "--device", "emu", "--micro"];
    const { code, stdout, stderr } = await run(Deno.execPath(), [...args, "--append", out]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "CUDA emulator, sm_80\n");
    const rows = await readJsonl<Record<string, number | string>>(out);
    assertEquals(rows.length, ops);
    assert(rows.every((r) => r.part === part && Number(r.seconds) > 0 && Number(r.rate) > 0));
  });
}

Deno.test("gpu.sh: wrong arguments and a machine without a driver are told in a line", async () => {
  const wrong: [string[], string][] = [
    [["teleport"], "error: teleport is no part\nhint: first second probe exact"],
    [["--budget"], "error: --budget: nothing is no number of minutes\nhint: "],
    [["--budget", "soon", "first"], "error: --budget: soon is no number of minutes\nhint: "],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await run(script, args);
    assertEquals([code, stdout], [1, ""]);
    assert(stderr.startsWith(message), stderr);
  }
  await using dir = await TempDir.make();
  for (const tool of ["dirname", "bash", "env"]) {
    const { stdout } = await run("sh", ["-c", `command -v ${tool}`]);
    await Deno.symlink(stdout.trim(), `${dir.path}/${tool}`);
  }
  const bare = await run(script, ["kernels"], { PATH: dir.path });
  assertEquals(bare.code, 1);
  assertMatch(bare.stderr, /^error: no CUDA device: no NVIDIA driver is installed\nhint: .*\n$/);
});

Deno.test("gpu.sh: parts that do not fit into the budget are skipped; a torn line is dropped", async () => {
  await using dir = await TempDir.make();
  const env = rehearsal(dir.path);
  await Deno.mkdir(env.OUT);
  await Deno.writeTextFile(`${env.OUT}/results.jsonl`, '{"part":"old"}\n{"part":"kern');
  const args = ["--rehearse", "--budget", "0", "probe", "peers-decode"];
  const { code, stdout, stderr } = await run(script, args, env);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "\n== probe: skipped, 0 s of the budget are left and it needs 15\n");
  const [old, header, ...rest] = await rowsOf(dir.path);
  assertEquals(old, { part: "old" });
  const { gpu, driver, commit, date } = header;
  assertEquals([gpu, driver], ["CUDA emulator", "none"]);
  assertMatch(`${date}`, /^\d{4}-\d\d-\d\dT/);
  assertStringIncludes(stdout, `CUDA emulator, driver none, commit ${commit}, ${date}\n`);
  const skipped = rest.filter(({ result }) => result === "skipped").map(({ part }) => part);
  assertEquals(skipped.filter((part) => part !== "build"), ["probe", "peers-decode"]);
});

Deno.test("gpu.sh: what was measured survives a run that is cut off", emulator, async () => {
  await using dir = await TempDir.make();
  const child = new Deno.Command(script, {
    args: ["--rehearse", "kernels", "train", "test"],
    env: rehearsal(dir.path),
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let text = "", cut = false;
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (cut || !text.includes("== train,")) continue;
    cut = true;
    child.kill("SIGTERM");
  }
  assertEquals((await child.status).code, 143);
  const rows = await rowsOf(dir.path);
  assertEquals(
    rows.filter((r) => r.part === "kernels" && r.op !== undefined).length,
    gpuCases(microShapes).length,
  );
  assertEquals(rows.at(-1), { part: "train", result: "cut off" });
  // The summary is the end of what was printed, and on disk.
  const summary = await Deno.readTextFile(`${dir.path}/out/summary.txt`);
  assertMatch(summary, /kernels .* ok\ntrain .* cut off\n$/);
  assert(text.endsWith(summary) && (await Deno.readTextFile(`${dir.path}/out/log`)) === text);
});

Deno.test(
  "gpu.sh: a fault costs its case or its file and leaves its reason",
  emulator,
  async () => {
    await using dir = await TempDir.make();
    const env = { ...rehearsal(dir.path), THINKER_EMU_FAULT: "rmsnorm_backward:3" };
    const { code } = await run(script, ["--rehearse", "train", "kernels", "test"], env);
    assertEquals(code, 1);
    const rows = await rowsOf(dir.path);
    const errors = (part: string) => rows.filter((r) => r.part === part && r.error !== undefined);
    for (const part of ["train", "kernels", "test"]) {
      assertEquals(errors(part).length, 1, part);
      assertMatch(`${errors(part)[0].error}`, /rmsnorm_backward\(|the GPU context is lost/);
      assertEquals(rows.find((r) => r.part === part && r.result !== undefined)?.result, "FAILED");
    }
    assertEquals(errors("kernels")[0].op, "rmsnorm backward");
    assertEquals(
      rows.filter((r) => r.part === "kernels" && r.seconds && r.op).length,
      gpuCases(microShapes).length - 1,
    );
    // The rest of the file is counted; the next file runs.
    const { shape } = errors("test")[0];
    const [rest] = rows.filter((r) => r.part === "test" && r.skipped !== undefined);
    assertEquals([rest.shape, rest.skipped], [shape, "not run, because the GPU failed before"]);
    assert(rows.some((r) => r.part === "test" && r.passed && r.shape !== shape));
  },
);

Deno.test("gpu peaks: a GPU's name is taken as a word", () => {
  assertEquals(gpuOf("NVIDIA H200").bandwidth, 4.8e12);
  assertEquals(gpuOf("NVIDIA H100 80GB HBM3").bandwidth, 3.35e12);
  assertThrows(() => gpuOf("NVIDIA GH200 480GB"), Error, "the peaks of NVIDIA GH200 480GB");
});

Deno.test("gpu summary: tests that passed are counted, those that failed are told", () => {
  const test = (op: string, rest: object) => ({ part: "test", op, shape: "a_test.ts", ...rest });
  assertMatch(
    summarise([
      test("one", { passed: true, seconds: 1 }),
      test("two", { error: "wrong" }),
      test("three", { passed: true, seconds: 1 }),
      { part: "test", result: "FAILED", seconds: 3 },
    ]),
    /^two .* ERROR: wrong\ntest +3 s {2}FAILED, 2 tests passed$/,
  );
});

Deno.test("gpu summary: peers stand beside our case as ratios, alone without it", () => {
  const peer = (name: string, rest: object) => ({
    part: "peers-kernels",
    op: "linear",
    shape: "1 x 2",
    peer: name,
    ...rest,
  });
  const peers = [peer("cuBLASLt", { seconds: 2e-6 }), peer("cuBLAS", { error: "out of memory" })];
  const ours = { part: "kernels", op: "linear", shape: "1 x 2", seconds: 4e-6 };
  assertStringIncludes(
    summarise([ours, ...peers]),
    "4.0 µs\n    peers' time over ours: cuBLASLt 0.50; cuBLAS: out of memory",
  );
  assertMatch(
    summarise(peers),
    /^linear, cuBLASLt .* 2\.0 µs\nlinear, cuBLAS .* ERROR: out of memory$/,
  );
});

Deno.test("gpu lock: it holds what the run imports, in the project's versions", async () => {
  const bundle = await Deno.readTextFile("bench/gpu/bundle.sh");
  const entries = bundle.match(/^entries=\((.*)\)$/m)![1];
  const { stdout } = await run("bash", ["-c", `printf '%s\\n' ${entries}`]);
  const files = stdout.trim().split("\n");
  assert(files.length > 10, stdout);
  // Without --frozen Deno would add to the lock what is missing there.
  const args = [
    "test",
    "--no-run",
    "--no-check",
    "--cached-only",
    "--frozen",
    `--lock=${lock}`,
    ...files,
  ];
  const { code, stderr } = await run(Deno.execPath(), args);
  assertEquals(code, 0, stderr);
  const [own, whole] = await Promise.all(
    [lock, "deno.lock"].map(async (path) => JSON.parse(await Deno.readTextFile(path)).specifiers),
  );
  for (const [specifier, version] of Object.entries(own)) {
    assertEquals(version, whole[specifier], `${specifier}: run bench/gpu/bundle.sh again`);
  }
});
