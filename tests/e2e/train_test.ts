import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { solve } from "../../src/rollout/mod.ts";
import { loadModel } from "../../src/model/mod.ts";
import type { EpisodeSample } from "../../src/train/mod.ts";
import { type Metrics, readJsonl, readMetrics } from "../../src/base/mod.ts";
import { train } from "../../src/train/train.ts";
import { fitConfig } from "../../src/setup/mod.ts";
import { tinyPrompts } from "../../src/tiny/mod.ts";
import { digests, filesOf, smallConfig, TempDir, timeless } from "./small.ts";

const checkpoint = [
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "thinker.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "trainer/critic/config.json",
  "trainer/critic/model.safetensors",
  "trainer/optimizer.safetensors",
  "digests.json",
  "trainer/state.json",
];

/** Keys that every step of the Thinker task logs; stages that nobody reached have none. */
const everyStep = [
  "step",
  "tokens/trained",
  "accuracy/fast",
  "accuracy/slow",
  "reward/fast",
  "reward/verify",
  "reward/slow",
  "reward/episode",
  "length/fast",
  "length/verify",
  "length/slow",
  "truncated/fast",
  "truncated/verify",
  "truncated/slow",
  "rollout/final_at_least",
  "rollout/check_cost",
  "ppo/actor_lr",
  "ppo/critic_lr",
  "ppo/zero_advantages",
  "ppo/policy_loss",
  "ppo/value_loss",
  "ppo/entropy",
  "ppo/kl",
  "ppo/clip_fraction",
  "ppo/grad_norm",
  "rollout/logprob_gap_max",
  "grade/undecided",
  "grade/symbolic",
  "grade/limit",
  "seconds",
  "time/generate",
  "time/grade",
  "time/forward",
  "time/update",
  "generate/tokens_per_second",
];
const evaluation = ["eval/fast", "eval/slow", "eval/final", "eval/tokens", "greedy/final"];
const passes = ["pass@2/final", "pass@4/final", "pass@4/fast"];

function missing(metrics: Metrics, keys: readonly string[]): string[] {
  return keys.filter((key) => !Number.isFinite(metrics[key]));
}

Deno.test("train: one small run and its repetitions", async (t) => {
  await using dir = await TempDir.make();
  const run = `${dir.path}/run`;
  const phases: string[] = [];
  await train(smallConfig(), {
    out: run,
    onPhase: (name, total, from) => phases.push(`${name} ${from}/${total}`),
  });

  await t.step("leaves exactly the files that others script against", async () => {
    const checkpoints = [0, 2, 3].flatMap((step) =>
      checkpoint.map((file) => `checkpoints/step-${step}/${file}`)
    );
    const logs = [
      "config.json",
      "episodes.jsonl",
      "metrics.jsonl",
      "origin.json",
      "warmstart.jsonl",
    ];
    const reports = ["report.html", "report.md", "report.svg"];
    assertEquals(await filesOf(run), [...checkpoints, ...logs, ...reports].sort());
    assertEquals(JSON.parse(await Deno.readTextFile(`${run}/config.json`)), {
      ...fitConfig(smallConfig()),
      weightDtype: "f32", // as taken
    });
    assertEquals(phases, ["warm start 0/20", "train 0/3"]);
  });

  await t.step("logs every metric of the contract, on-policy to the last bit", async () => {
    const lines = await readMetrics(`${run}/metrics.jsonl`);
    assertEquals(lines.map(({ step }) => step), [0, 1, 2, 3]);
    for (const line of lines.slice(1)) {
      assertEquals(missing(line, everyStep), []);
      assertEquals(line["rollout/logprob_gap_max"], 0);
      // Sums never need the symbolic stage, and so no worker is started.
      assertEquals([line["grade/symbolic"], line["grade/limit"]], [0, 0]);
    }
    const evaluated = lines.filter((line) => "eval/final" in line);
    assertEquals(evaluated.map(({ step }) => step), [0, 2, 3]);
    for (const line of evaluated) assertEquals(missing(line, evaluation), []);
    const reference = ["eval/answer", "eval/answer_tokens", "greedy/answer", "pass@4/answer"];
    assertEquals(missing(lines[0], reference), []);
    // Several samples at both ends alone.
    assertEquals(evaluated.map((line) => missing(line, passes).length), [0, 3, 0]);
    let trained = 0;
    for (const line of lines) {
      trained += line["rollout/sampled_tokens"] ?? 0;
      assertEquals(line["tokens/trained"], trained);
    }
  });

  await t.step("logs the warm start, whose loss falls", async () => {
    const lines = await readMetrics(`${run}/warmstart.jsonl`);
    assertEquals(lines.map(({ step }) => step), Array.from({ length: 20 }, (_, i) => i + 1));
    for (const line of lines) assertEquals(missing(line, ["loss", "grad_norm", "tokens"]), []);
    assert(lines[19].loss < 0.7 * lines[0].loss);
  });

  await t.step("keeps four dialogues a step, as they were", async () => {
    const samples = await readJsonl<EpisodeSample>(`${run}/episodes.jsonl`);
    assertEquals(samples.map(({ step }) => step), [1, 2, 3].flatMap((step) => Array(4).fill(step)));
    for (const { question, turns } of samples) {
      assertEquals(turns.slice(0, 2).map(({ stage }) => stage), ["fast", "verify"]);
      const opening = `<|im_start|>user\n${tinyPrompts.fast.replace("{question}", question)}`;
      assertEquals(turns[0].prompt, `${opening}<|im_end|>\n<|im_start|>assistant\n`);
      assert(turns.every(({ reward, tokens }) => reward >= 0 && reward <= 1 && tokens >= 1));
    }
  });

  await t.step("reports a row for each way to ask, and a chart", async () => {
    const report = await Deno.readTextFile(`${run}/report.md`);
    const cells = report.split("\n").filter((line) => /^\| (Pre|Think)/.test(line))
      .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    const names = ["Pretrained", "Pretrained, as Thinker", "Thinker", "Thinker-Fast"];
    assertEquals(cells.map(([name]) => name), names);
    assert(report.includes("| sampled | greedy | pass@4 | mean tokens |"), report);
    for (const [, sampled, greedy, passAt4] of cells) {
      for (const cell of [sampled, greedy]) assert(/^\d+\.\d\d ± \d+\.\d\d$/.test(cell), cell);
      assert(Number(passAt4) >= parseFloat(sampled), "one of four is right at least as often");
    }
    assert(report.includes("Held out: 20 sums"), report);
    assert((await Deno.readTextFile(`${run}/report.svg`)).startsWith("<svg"));
  });

  await t.step("saves a policy that loads and solves", async () => {
    using loaded = await loadModel(`${run}/checkpoints/step-3`);
    const { episode, final } = await solve(loaded, "1+1=");
    assert(episode.done && final !== undefined);
  });

  const metrics = await timeless(run), files = await digests(`${run}/checkpoints`);
  await t.step("changes the policy and the critic at every saved step", () => {
    for (
      const file of ["", "trainer/critic/"].map((at) => `${at}model.safetensors`).concat(
        "trainer/optimizer.safetensors",
      )
    ) {
      assertEquals(new Set([0, 2, 3].map((step) => files[`step-${step}/${file}`])).size, 3, file);
    }
  });

  await t.step("is repeated bit by bit by the same seed", async () => {
    const again = `${dir.path}/again`;
    await train(smallConfig(), { out: again });
    assertEquals(await timeless(again), metrics);
    assertEquals(await digests(`${again}/checkpoints`), files);
  });

  await t.step("is repeated bit by bit with one thread", async () => {
    const single = `${dir.path}/single`, config = `${dir.path}/config.json`;
    await Deno.writeTextFile(config, JSON.stringify(smallConfig()));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "cli/main.ts", "train", "--config", config, "--out", single],
      env: { OMP_NUM_THREADS: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    assertEquals(await timeless(single), metrics);
    assertEquals(await digests(`${single}/checkpoints`), files);
  });

  await t.step("is another run with another seed", async () => {
    const other = `${dir.path}/other`;
    await train(smallConfig({ seed: 2, steps: 1 }), { out: other });
    const lines = await timeless(other);
    assertNotEquals(lines[1], metrics[1]);
    const weights = "step-0/model.safetensors";
    assertNotEquals((await digests(`${other}/checkpoints`))[weights], files[weights]);
  });
});

Deno.test("train: the baseline stops after the tokens it was given", async () => {
  await using dir = await TempDir.make();
  const run = `${dir.path}/run`;
  const tokens = 1500;
  await train(smallConfig({ task: "baseline", steps: 50, tokens }), { out: run });
  const lines = await readMetrics(`${run}/metrics.jsonl`);
  const trained = lines.map((line) => line["tokens/trained"]);
  assert(
    trained[trained.length - 1] >= tokens && trained[trained.length - 2] < tokens,
    `${trained}`,
  );
  assert(trained.length > 3);
  for (const line of lines.slice(1)) {
    assertEquals(missing(line, ["reward/answer", "length/answer", "accuracy/answer"]), []);
    assertEquals(line["rollout/logprob_gap_max"], 0);
    assertEquals(Object.keys(line).filter((key) => /fast|verify|slow|summary/.test(key)), []);
  }
  const last = lines.length - 1;
  assertEquals(missing(lines[last], ["eval/answer", "eval/answer_tokens"]), []);
  const saved = await filesOf(`${run}/checkpoints`);
  assert(saved.includes(`step-${last}/trainer/state.json`), "the last step is saved");
  const report = await Deno.readTextFile(`${run}/report.md`);
  assert(report.includes("Pretrained") && report.includes("Baseline"));
});

Deno.test("train: steps that can teach nothing are told once and counted", async () => {
  await using dir = await TempDir.make();
  const run = `${dir.path}/run`, notes: string[] = [];
  // Without a warm start nothing is right, and all samples of a question are paid alike.
  const config = smallConfig({
    task: "baseline",
    evalProblems: 2,
    warmstart: { steps: 1 },
    ppo: { estimator: "grpo" },
  });
  await train(config, { out: run, onNote: (text) => notes.push(text) });
  assertEquals(notes, ["step 1: all advantages are 0, nothing was learned"]);
  const report = await Deno.readTextFile(`${run}/report.md`);
  assert(report.includes("In 3 steps all advantages were 0: nothing was learned in them."), report);
});

Deno.test("train: the built-in tasks start from one warm start", async () => {
  await using dir = await TempDir.make();
  const tasks = ["thinker", "thinker-fast", "baseline"] as const;
  const [thinker, fast, baseline] = await Promise.all(tasks.map(async (task) => {
    const out = `${dir.path}/${task}`;
    await train(smallConfig({ task, steps: 1, evalProblems: 5 }), { out });
    const [{ "eval/answer": answer, "eval/answer_tokens": tokens }] = await timeless(out);
    return [(await digests(`${out}/checkpoints/step-0`))["model.safetensors"], answer, tokens];
  }));
  assertEquals(thinker, baseline);
  assertEquals(fast, baseline);
});
