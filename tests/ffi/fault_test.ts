/** A kernel fails on the emulator as on a GPU: reported late, and nothing works after it. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Device, NativeError } from "../../ffi/mod.ts";
import { smallConfig, TempDir } from "../e2e/small.ts";
import { ended, thinker } from "../cli/thinker.ts";
import { backends } from "../native.ts";

const norm = "rmsnorm_forward(y f32[3, 4], x f32[3, 4], w f32[4], eps 0)";
const lost = "CUDA: an illegal memory access was encountered; the GPU context is lost";
const called = norm.replace(", eps 0", "");
const since = "enqueued since the last wait, the latest first: fill(dst f32[4]), ";
const graph = `graph of 2 ops (${called}, copy(dst f32[3, 4], src f32[3, 4]))`;
const hint = "hint: with THINKER_CUDA_SYNC=1 in the environment the kernel that fails is named\n";

/** Runs fault_child.ts; `noticed` says where the failure shows. */
async function run(noticed: string, env: Record<string, string>) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-qA", `${import.meta.dirname}/fault_child.ts`, noticed],
    env: { NO_COLOR: "1", THINKER_EMU_FAULT: "rmsnorm_forward", ...env },
    stdout: "piped",
    stderr: "piped",
  });
  return await ended(child.spawn());
}

async function testAsynchronous(): Promise<void> {
  const expected: Record<string, string> = {
    download: `error: download(src f32[3, 4]): ${lost}; ${since}${called}\n${hint}`,
    graph: `error: download(src f32[3, 4]): ${lost}; ${since}${graph}\n${hint}`,
    dispose: `error: memory_free: ${lost}; ${since}${called}\n${hint}`,
    again: `stream_sync: ${lost}; ${since}${called}\n` +
      "error: download(src f32[3, 4]): not run, because the GPU failed before: see the first error\n",
  };
  for (const [noticed, stderr] of Object.entries(expected)) {
    assertEquals(await run(noticed, {}), { code: 1, stdout: "", stderr }, noticed);
  }
  // An error of the program does not hide the GPU's, nor the other way round.
  const { code, stderr } = await run("unrelated", {});
  assertEquals(code, 1);
  assertMatch(stderr, /^error: Error: something else\n( +at .*\n)+error: memory_free: CUDA: an /);
  // Only the third run fails: nobody gets so far.
  const none = await run("download", { THINKER_EMU_FAULT: "rmsnorm_forward:3" });
  assertEquals(none, { code: 0, stdout: "1\n", stderr: "" });
}

async function testSynchronous(): Promise<void> {
  const kernel = "kernel rmsnorm_forward<<<(3, 1, 1), (32, 1, 1), 0>>>";
  for (const noticed of ["download", "graph", "dispose", "unrelated"]) {
    const { code, stderr } = await run(noticed, { THINKER_CUDA_SYNC: "1" });
    assertEquals([code, stderr], [1, `error: ${norm}: ${kernel}: ${lost}\n`], noticed);
  }
}

async function testTraining(): Promise<void> {
  await using dir = await TempDir.make();
  const config = `${dir.path}/config.json`;
  const shape = { hidden: 64, ffn: 128, layers: 1, heads: 1, kvHeads: 1, headDim: 64 };
  const settings = smallConfig({ shape: { ...shape, maxPositions: 512 }, device: "emu" });
  await Deno.writeTextFile(
    config,
    JSON.stringify({ ...settings, warmstart: { steps: 1, batch: 1 } }),
  );
  const train = async (out: string, env: Record<string, string>) => {
    const args = ["train", "--config", config, "--out", `${dir.path}/${out}`];
    return await thinker(args, { env: { THINKER_EMU_FAULT: "swiglu_backward", ...env } });
  };
  const late = await train("late", {});
  assertEquals(late.code, 1);
  const line =
    /^error: \w+.*: CUDA: an illegal memory access was encountered; the GPU context is lost; .*\n/m;
  assertMatch(late.stderr, line);
  assertMatch(late.stderr, / swiglu_backward\(dgateUp bf16\[\d+, 256\], dy bf16\[\d+, 128\], /);
  assertEquals(late.stderr.match(/error/gi)?.length, 1, late.stderr);
  const exact = await train("exact", { THINKER_CUDA_SYNC: "1" });
  assertEquals(exact.code, 1);
  assertMatch(
    exact.stderr,
    /^error: swiglu_backward\(.*\): kernel swiglu_backward<<<.*>>>: CUDA: .*\n$/m,
  );
  assertEquals(exact.stderr.match(/error/gi)?.length, 1, exact.stderr);
}

async function testIndex(): Promise<void> {
  const message = "device_open: no CUDA device: there is no emu:2 (devices: 1, the first is emu:0)";
  await assertRejects(() => Device.open("emu", { index: 2 }), NativeError, message);
}

if (backends.includes("emu")) {
  Deno.test(
    "emu: a fault is reported once, with the ops that may have caused it",
    testAsynchronous,
  );
  Deno.test("emu: with THINKER_CUDA_SYNC a fault names its kernel, in graphs too", testSynchronous);
  Deno.test("emu: a fault in training is one clear line", testTraining);
  Deno.test("emu: a GPU that is not there is refused, with how many there are", testIndex);
}
