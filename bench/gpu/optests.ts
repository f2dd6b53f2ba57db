/**
 * The op tests of one device. Each file runs in a process of its own, so that a fault of the device costs the
 * rest of one file; a line is kept for each test as soon as it ends.
 *
 * @module
 */
import type { Backend } from "../../ffi/mod.ts";
import { UserError } from "../../src/base/mod.ts";
import { faultIn, type Recorder } from "./record.ts";

/** Files whose tests may be run, but for those that start another Deno: it would want the whole lock. */
function testFiles(micro: boolean): string[] {
  if (micro) return ["tests/kernels/layers_test.ts", "tests/kernels/qk_norm_test.ts"];
  return ["tests/kernels", "tests/ffi"].flatMap((folder) =>
    [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`).sort()
  ).filter((path) =>
    path.endsWith("_test.ts") && !Deno.readTextFileSync(path).includes("execPath")
  );
}

/** Runs the tests of the device whose names match; `pattern` is a regular expression. */
export async function opTests(
  device: Backend,
  recorder: Recorder,
  { micro, pattern }: { micro: boolean; pattern: string },
): Promise<void> {
  let seen = 0;
  for (const file of testFiles(micro)) {
    seen += await testFile(file, `/^${device}.*${pattern}/`, device, recorder);
  }
  if (seen === 0) throw new UserError("there are no tests of this name");
}

/** Keeps what the tests of one file come to and returns how many there were. */
async function testFile(
  file: string,
  filter: string,
  device: Backend,
  recorder: Recorder,
): Promise<number> {
  const options = ["-A", "--no-check", "--lock=bench/gpu/deno.lock", "--reporter=tap"];
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["test", ...options, `--filter=${filter}`, file],
    env: { THINKER_TEST_BACKENDS: device },
    stdout: "piped",
  }).spawn();
  let seen = 0, failed = 0, notRun = 0, last = "none", failing: string | undefined;
  let complete = false, faulted = false, before = performance.now();
  for await (const line of linesOf(child.stdout)) {
    const [, not, name] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (name !== undefined) {
      const seconds = (performance.now() - before) / 1000;
      before = performance.now();
      seen++;
      last = name;
      if (not) failing = name;
      else if (!/# SKIP/i.test(name)) {
        recorder.write({ op: name, shape: file, seconds, passed: true });
      }
    } else if (failing !== undefined && line.startsWith("  {")) {
      const { message } = JSON.parse(line);
      // Of several waits of one test another than the first may be the one that is told.
      if (faulted && faultIn(message) === "before") notRun++;
      else {
        failed++;
        faulted ||= faultIn(message) !== undefined;
        recorder.fail({ op: failing, shape: file }, message.split("\n")[0]);
        console.log(message);
      }
      failing = undefined;
    } else if (/^1\.\.\d+$/.test(line)) complete = true;
    else if (!/^(TAP version|# | {2}(---|\.\.\.)$)/.test(line)) console.log(line);
  }
  const { success, code, signal } = await child.status;
  if (notRun > 0) {
    recorder.failed += notRun;
    recorder.write({
      op: `tests of this file: ${notRun}`,
      shape: file,
      skipped: "not run, because the GPU failed before",
    });
  }
  if (!complete || (!success && failed + notRun === 0)) {
    recorder.fail(
      { op: "the process of the tests", shape: file },
      `ended with ${signal ?? `exit code ${code}`}; the last test that ended: ${last}`,
    );
    seen++;
  }
  return seen;
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest) yield rest;
}
