/** Mistakes in calls of `thinker eval`: one clear line each, exit 1, and no folder left behind. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { cp } from "node:fs/promises";
import { smallConfig, TempDir } from "../e2e/small.ts";
import { train } from "../../src/train/train.ts";
import { start, thinker } from "./thinker.ts";

Deno.test("cli: eval refuses what does not fit, and says what to do", async () => {
  await using dir = await TempDir.make();
  const { path } = dir;
  await train(smallConfig({ steps: 1, evalProblems: 1, warmstart: { steps: 1 } }), {
    out: `${path}/run`,
  });
  await Deno.mkdir(`${path}/data`);
  await Deno.writeTextFile(`${path}/data/one.jsonl`, '{"id":"a","question":"1+1=","answer":"2"}\n');
  await Deno.writeTextFile(`${path}/data/bad.jsonl`, '{"id":"a","question":"1+1="}\n');
  await Deno.writeTextFile(`${path}/file`, "");
  // As an older version wrote it: its prompts and budgets must not be replaced by others in silence.
  await cp(`${path}/run/checkpoints/step-0`, `${path}/old`, { recursive: true });
  await Deno.remove(`${path}/old/thinker.json`);
  await Deno.rename(`${path}/old/trainer/state.json`, `${path}/old/state.json`);
  // Of a task that the command line does not know.
  await Deno.rename(`${path}/run/checkpoints/step-0`, `${path}/own`);
  const trained = JSON.parse(await Deno.readTextFile(`${path}/own/thinker.json`));
  await Deno.writeTextFile(
    `${path}/own/thinker.json`,
    JSON.stringify({ ...trained, task: "own" }),
  );
  const model = ["--model", `${path}/run/checkpoints/step-1`];
  const one = ["--data", `${path}/data`, "--bench", "one"];
  const cases: [string[], RegExp][] = [
    [["--model", `${path}/nowhere`], /^error: .*nowhere holds no model\nhint: /],
    [
      ["--model", `${path}/old`, ...one],
      /^error: .*old is a checkpoint of an older version, .*\nhint: train from it with --model/,
    ],
    [
      ["--model", `${path}/own`, ...one],
      /^error: .* the task "own", which is not known here\nhint: .* TypeScript module: .*--task/,
    ],
    [
      [...model, "--data", `${path}/data`],
      /^error: there is no .*math500\.jsonl\nhint: .*deno task data/,
    ],
    [
      [...model, "--data", `${path}/data`, "--bench", "bad"],
      /^error: .*bad\.jsonl: line 1: the answer is missing/,
    ],
    [[...model, "--data", `${path}/data`, "--bench", ","], /^error: --bench names no set/],
    [[...model, ...one, "--task", "quick"], /^error: --task: /],
    [[...model, ...one, "--samples", "0"], /^error: --samples: /],
    [
      [...model, ...one, "--budget", "10,x,10"],
      /^error: --budget: "10,x,10" does not fit --task thinker\nhint: /,
    ],
    [[...model, ...one, "--budget", "10,10"], /^error: --budget: .*\nhint: .*1000,6000,6000/],
    [
      [...model, ...one, "--task", "baseline", "--budget", "10,10,10"],
      /does not fit --task baseline\nhint: /,
    ],
    [
      [...model, ...one, "--budget", "100,400,400"],
      /^error: no question fits: the model has 512 positions, .* takes 9\d\d\nhint: lower/,
    ],
    [
      [...model, ...one, "--compare", `${path}/run`],
      /^error: cannot read .*results\.json.*\nhint: .*no finished evaluation/,
    ],
    [[...model, ...one, "--out", `${path}/file`], /^error: cannot write .*file: /],
    [[...model, ...one, "--out", `${path}/run`], /^error: .*config\.json: /],
    [[...model, ...one, "--prompts", "nice"], /^error: .*nice/],
  ];
  for (const [args, message] of cases) {
    const out = args.includes("--out") ? [] : ["--out", `${path}/out`];
    const { code, stdout, stderr } = await thinker(["eval", ...args, ...out]);
    assertMatch(stderr, message, args.join(" "));
    assertEquals([code, stdout], [1, ""], args.join(" "));
    assert(stderr.trimEnd().split("\n").length <= 2, stderr);
  }
  const left = (await Array.fromAsync(Deno.readDir(path))).map((entry) => entry.name).sort();
  assertEquals(left, ["data", "file", "old", "own", "run"]);
});

Deno.test("cli: Ctrl-C stops an evaluation, and what is finished stays", async () => {
  await using dir = await TempDir.make();
  const { path } = dir;
  await train(smallConfig({ steps: 1, evalProblems: 1, warmstart: { steps: 1 } }), {
    out: `${path}/run`,
  });
  const rows = Array.from(
    { length: 200 },
    (_, i) => JSON.stringify({ id: i, question: `${i}+1=`, answer: i + 1 }),
  );
  await Deno.writeTextFile(`${path}/many.jsonl`, rows.join("\n"));
  const log = `${path}/out/answers.jsonl`;
  const child = await start([
    ...["eval", "--model", `${path}/run/checkpoints/step-1`, "--data", path, "--bench", "many"],
    ...["--samples", "100", "--parallel", "4", "--out", `${path}/out`],
  ]);
  const stderr = new Response(child.stderr).text(), stdout = new Response(child.stdout).text();
  const lines = async () => (await Deno.readTextFile(log).catch(() => "")).split("\n").length - 1;
  while (await lines() < 20) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGINT");
  assertEquals((await child.status).code, 130);
  assertMatch(await stderr, /\ninterrupted\n$/);
  assertEquals(await stdout, "");
  const text = await Deno.readTextFile(log);
  assert(text.endsWith("\n"));
  for (const line of text.trimEnd().split("\n")) assertEquals(JSON.parse(line).set, "many");
});
