import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cp } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { readMetrics } from "../../src/base/mod.ts";
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

Deno.test("cli: each signal that asks to stop does, with its own code, and the run goes on", async () => {
  await using dir = await TempDir.make();
  const config = `${dir.path}/long.json`, out = `${dir.path}/run`;
  const warmstart = { steps: 100000, batch: 8 };
  await Deno.writeTextFile(config, JSON.stringify(smallConfig({ warmstart })));
  let from = 0;
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    const args = from === 0 ? ["--config", config] : ["--resume"];
    const child = await start(["train", ...args, "--out", out]);
    const stderr = follow(child.stderr, new RegExp(`^warm start: ${100000 - from} steps`, "m"));
    const stdout = follow(child.stdout, /$/);
    await stderr.seen;
    while ((await readMetrics(`${out}/warmstart.jsonl`)).length < from + 3) await delay(5);
    child.kill(signal);
    assertEquals((await child.status).code, code);
    assertMatch(await stderr.all, /\ninterrupted\n$/);
    assertEquals(await stdout.all, "");
    const logged = await readMetrics(`${out}/warmstart.jsonl`);
    assertEquals(logged.map(({ step }) => step), logged.map((_, i) => i + 1));
    from = logged.length;
  }
});

Deno.test("cli: a run whose output nobody can take goes on to its end", async () => {
  await using dir = await TempDir.make();
  const config = `${dir.path}/config.json`, run = `${dir.path}/run`;
  await Deno.writeTextFile(config, JSON.stringify(smallConfig({ steps: 1, evalProblems: 1 })));
  const child = await start(["train", "--config", config, "--out", run]);
  await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
  assertEquals((await child.status).code, 0);
  assertStringIncludes(await Deno.readTextFile(`${run}/report.md`), "1 PPO steps");
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
