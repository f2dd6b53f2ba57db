import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cp } from "node:fs/promises";
import { smallConfig, TempDir } from "../e2e/small.ts";
import { start, thinker } from "./thinker.ts";

/** Collects a stream; resolves `seen` once its text matches. */
function follow(stream: ReadableStream<Uint8Array>, pattern: RegExp) {
  const seen = Promise.withResolvers<void>();
  const all = (async () => {
    let text = "";
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (pattern.test(text)) seen.resolve();
    }
    seen.reject(new Error(`ended before ${pattern}:\n${text}`));
    return text;
  })();
  seen.promise.catch(() => {}); // whoever waits for it sees the failure
  return { seen: seen.promise, all };
}

Deno.test("cli: train goes all the way, and solve asks its newest checkpoint", async () => {
  await using dir = await TempDir.make();
  const config = `${dir.path}/config.json`;
  await Deno.writeTextFile(config, JSON.stringify(smallConfig({ steps: 2 })));
  const cwd = dir.path;
  const trained = await thinker(["train", "--config", config], { cwd });
  assertEquals(trained.code, 0, trained.stderr);
  // No terminal: plain lines, one per step.
  // deno-lint-ignore no-control-regex -- what must not be there
  assert(!/[\x1b\r]/.test(trained.stderr + trained.stdout), trained.stderr);
  const lines = trained.stderr.trimEnd().split("\n");
  assertEquals(lines.filter((line) => line.startsWith("warm start ")).length, 20);
  assertEquals(lines.filter((line) => /^train \d\/2 \|/.test(line)).length, 3);
  assertMatch(trained.stdout, /^# Thinker on arithmetic/);
  assertMatch(
    trained.stdout,
    /\n2 PPO steps, [^]*\n\| Thinker-Fast \|[^]*\n\* Held out: 20 sums, /,
  );
  assertStringIncludes(trained.stdout, "run folder: runs/tiny-thinker-seed1");

  const ask = (...args: string[]) => thinker(["solve", "1+1=", "--seed", "3", ...args], { cwd });
  const solved = await ask();
  assertEquals(solved.code, 0, solved.stderr);
  assertMatch(solved.stdout, /^model: runs\/tiny-thinker-seed1\/checkpoints\/step-2$/m);
  assertMatch(solved.stdout, /── Fast Thinking ──[^]*── Verification ──[^]*\nfinal answer: .+\n$/);
  const named = await ask("--model", "runs/tiny-thinker-seed1/checkpoints/step-2");
  assertEquals(named.stdout, solved.stdout.replace(/^model: .*\n/, ""));
  const greedy = await Promise.all(["1", "2"].map((seed) => {
    return thinker(["solve", "1+1=", "--temperature", "0", "--seed", seed], { cwd });
  }));
  assertEquals(greedy[0], greedy[1]);
  const plain = await ask("--task", "baseline");
  assertMatch(plain.stdout, /^[^─]*── Answer ──[^─]*$/);
  assertMatch(
    plain.stderr,
    /^the model was trained on the task thinker and is asked as baseline$/m,
  );
  // A checkpoint is whole: copied out of its run it is asked in the same words.
  await cp(`${cwd}/runs/tiny-thinker-seed1/checkpoints/step-2`, `${cwd}/mine`, { recursive: true });
  assertEquals((await ask("--model", "mine")).stdout, named.stdout);
});

Deno.test("cli: Ctrl-C during the warm start stops it and exits 130", async () => {
  await using dir = await TempDir.make();
  const config = `${dir.path}/long.json`;
  const warmstart = { steps: 100000, batch: 8 };
  await Deno.writeTextFile(config, JSON.stringify(smallConfig({ warmstart })));
  const child = await start(["train", "--config", config, "--out", `${dir.path}/run`]);
  const stderr = follow(child.stderr, /^warm start: 100000 steps/m),
    stdout = follow(child.stdout, /$/);
  await stderr.seen;
  child.kill("SIGINT");
  assertEquals((await child.status).code, 130);
  assertMatch(await stderr.all, /\ninterrupted\n$/);
  assertEquals(await stdout.all, "");
});

Deno.test("cli: train without room for its checkpoints ends before there is a folder", async () => {
  await using dir = await TempDir.make();
  const huge = ["--steps", "1000000000", "--set", "saveEvery=1", "--device", "cpu"];
  const { code, stderr } = await thinker(["train", ...huge], { cwd: dir.path });
  assertEquals(code, 1);
  assertMatch(stderr, /^error: the checkpoints of this run take up to .*, and where runs is, /m);
  assertMatch(
    stderr,
    /^hint: keep fewer with --keep \d+, or save less often with --set saveEvery=/m,
  );
  assertEquals([...Deno.readDirSync(dir.path)], []);
});
