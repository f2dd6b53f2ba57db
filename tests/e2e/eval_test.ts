/** Evaluations from the command line: killed ones go on, and the report shows what was measured. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { heldOut } from "../../src/tiny/mod.ts";
import type { Answer, EvalResults } from "../../src/eval/mod.ts";
import { readJsonl } from "../../src/base/mod.ts";
import { train } from "../../src/train/train.ts";
import { start, thinker } from "../cli/thinker.ts";
import { smallConfig, TempDir } from "./small.ts";

const evil = `<img src=x onerror=alert(1)></pre><script>alert(2)</script>`;

/** A folder with a model and two sets: sums, and a few questions with options and sharp edges. */
async function workplace() {
  const dir = await TempDir.make();
  const { path } = dir;
  // Long enough a warm start that the model closes its boxes: there is something to grade.
  const config = smallConfig({ steps: 1, evalProblems: 1, warmstart: { steps: 150, lr: 8e-3 } });
  await train(config, { out: `${path}/run` });
  await Deno.mkdir(`${path}/data`);
  const lines = (rows: object[]) => rows.map((row) => JSON.stringify(row)).join("\n") + "\n";
  const sums = heldOut(40, 0).map(({ question, answer }, i) => ({
    id: `sums/${i}`,
    question,
    answer,
  }));
  await Deno.writeTextFile(`${path}/data/sums.jsonl`, lines(sums));
  const choices = { A: "3", B: "4" };
  const odd = [
    { id: `odd/${evil}`, question: `1+3=? ${evil}`, answer: "B", choices },
    { id: "odd/long", question: "1+".repeat(400), answer: "1" },
    { id: "odd/2", question: "2+2=", answer: "B", choices: { A: "5", B: "4" } },
  ];
  await Deno.writeTextFile(`${path}/data/odd.jsonl`, lines(odd));
  const model = `${path}/run/checkpoints/step-1`;
  const command = (out: string, ...more: string[]) => [
    ...["eval", "--model", model, "--data", `${path}/data`, "--bench", "sums,odd"],
    ...["--samples", "24", "--parallel", "8", "--complete", "--out", `${path}/${out}`, ...more],
  ];
  return { path, command, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

const answersOf = (out: string) => readJsonl<Answer>(`${out}/answers.jsonl`);
const keyOf = ({ set, id, sample }: Answer) => `${set} ${id} ${String(sample).padStart(2, "0")}`;
const inOrder = (answers: Answer[]) => answers.toSorted((a, b) => keyOf(a) < keyOf(b) ? -1 : 1);
const resultsOf = async (out: string): Promise<EvalResults> =>
  JSON.parse(await Deno.readTextFile(`${out}/results.json`));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function finish(args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await thinker(args);
  assertEquals(code, 0, stderr);
  return { stdout, stderr };
}

/** Runs `thinker` and kills it as soon as the log has so many lines. */
async function killAfter(args: string[], log: string, lines: number): Promise<void> {
  const child = await start(args);
  const drained = [child.stdout, child.stderr].map((stream) => new Response(stream).text());
  for (;;) {
    const text = await Deno.readTextFile(log).catch(() => "");
    if (text.split("\n").length > lines) break;
    await sleep(3);
  }
  child.kill("SIGKILL");
  assertEquals((await child.status).signal, "SIGKILL");
  await Promise.all(drained);
}

Deno.test("eval: killed twice and torn, it ends as if it had never been interrupted", async () => {
  await using place = await workplace();
  const { path, command } = place;
  const { stdout, stderr } = await finish(command("whole"));
  assertStringIncludes(stderr, "1 question left out: over the model's 512 positions");
  assertMatch(stderr, /^eval: 1008 steps$/m);
  assertMatch(stderr, /^eval 1008\/1008 \| accuracy fast \S+% +slow .* final \S+%/m);
  assertMatch(stdout, /\| Thinker \(run, step-1\) \| \d+\.\d\d ± /);
  assertMatch(stdout, /\| Thinker-Fast \(run, step-1\) \|/);
  assertMatch(stdout, /^\* Accuracy is pass@1, .*not measured here/m);
  assertMatch(stdout, /^\* Left out, .*: 1 of odd\./m);
  const opening = stdout.slice(0, stdout.indexOf("\n\nresults: "));
  assert(
    (await Deno.readTextFile(`${path}/whole/report.md`)).startsWith(`${opening}\n\n## Sampling`),
  );
  const whole = inOrder(await answersOf(`${path}/whole`));
  assertEquals(whole.length, 42 * 24);
  assertEquals(new Set(whole.map(keyOf)).size, 42 * 24);
  assert(whole.some(({ turns }) => turns.some((turn) => turn.correct)), "nothing was right");
  assert(whole.some(({ turns, final }) => !turns[final].correct), "nothing was wrong");

  const log = `${path}/killed/answers.jsonl`;
  await killAfter(command("killed"), log, 100);
  await Deno.writeTextFile(log, '{"set":"sums","id":"sums/1","sam', { append: true });
  const first = (await answersOf(`${path}/killed`)).map(keyOf);
  await killAfter(command("killed"), log, first.length + 150);
  const second = (await answersOf(`${path}/killed`)).map(keyOf);
  assertEquals(second.slice(0, first.length), first, "finished answers stay");
  assert(second.length < 42 * 24, "the second kill came too late to show anything");
  const last = await finish(command("killed"));
  assertMatch(last.stderr, new RegExp(`^eval: ${42 * 24 - second.length} steps$`, "m"));
  assertEquals(inOrder(await answersOf(`${path}/killed`)), whole);
  for (const file of ["results.json", "report.md", "report.html"]) {
    const [a, b] = await Promise.all(
      ["whole", "killed"].map((out) => Deno.readTextFile(`${path}/${out}/${file}`)),
    );
    assertEquals(b, a, file);
  }

  // The page has every text of model and data, and none of it as markup.
  const page = await Deno.readTextFile(`${path}/whole/report.html`);
  assertStringIncludes(page, "&lt;img src=x onerror=alert(1)&gt;");
  assert(!page.includes("<img"));
  assertEquals(page.split("<script").length, 2, "one script: ours");
  assert(!/(?:src|href)="|url\(|@import/.test(page), "it needs nothing from elsewhere");
  const script = page.slice(page.indexOf("<script>") + 8, page.indexOf("</script>"));
  const digest = createHash("sha256").update(script).digest("base64");
  assertStringIncludes(page, `script-src &#39;sha256-${digest}&#39;`);
  for (
    const title of [
      "Accuracy against tokens",
      "Length of fast responses",
      "Length of verify responses",
    ]
  ) {
    assertStringIncludes(page, `aria-label="${title}"`);
  }

  // More samples: what is there stays, byte for byte, and only the rest is asked.
  const before = await Deno.readTextFile(`${path}/whole/answers.jsonl`);
  const more = command("whole");
  more[more.indexOf("24")] = "26";
  const { stderr: rest } = await finish(more);
  assertMatch(rest, /^eval: 84 steps$/m);
  const after = await Deno.readTextFile(`${path}/whole/answers.jsonl`);
  assert(after.startsWith(before));
  assertEquals(after.split("\n").length - before.split("\n").length, 84);
  const results = await resultsOf(`${path}/whole`);
  assertEquals(results.sets[0].samples, 26);
  assert(results.config.method.device !== "auto", "the folder names the device that was taken");

  // Asked again in full: nothing is left to do, and nothing changes.
  const { stderr: none } = await finish(more);
  assertMatch(none, /^eval: 0 steps$/m);
  assertEquals(await Deno.readTextFile(`${path}/whole/answers.jsonl`), after);

  // A changed question has no answer yet; those of the others still count.
  const data = `${path}/data/sums.jsonl`;
  const sums = await Deno.readTextFile(data);
  const gold = JSON.parse(sums.split("\n")[0]).answer;
  await Deno.writeTextFile(data, sums.replace(`"answer":"${gold}"`, '"answer":"-1"'));
  const { stderr: changed } = await finish(more);
  assertMatch(changed, /^eval: 26 steps$/m);

  // Another method does not mix with this one.
  for (
    const [option, what] of [
      [["--seed", "2"], /another seed \(1, now 2\)/],
      [["--budget", "9,9,9"], /another budgets\.fast \(10, now 9\)/],
    ] as const
  ) {
    const { code, stderr } = await thinker([...more, ...option]);
    assertEquals(code, 1);
    assertMatch(stderr, what);
  }
  const { code, stderr: refused } = await thinker(command("run"));
  assertEquals(code, 1);
  assertMatch(refused, /config\.json/);
});

Deno.test("eval: tasks, --json and rows of another evaluation beside one's own", async () => {
  await using place = await workplace();
  const { path, command } = place;
  const few = ["--limit", "10"];
  const base = command("base", "--task", "baseline", ...few);
  const { stdout, stderr } = await finish([...base, "--json"]);
  assertMatch(stderr, /^the model was trained on the task thinker and is asked as baseline$/m);
  assertMatch(stderr, /^eval \d+\/\d+ \| accuracy answer \S+% +final \S+% \|/m);
  const results: EvalResults = JSON.parse(stdout);
  assertEquals(results, await resultsOf(`${path}/base`));
  const note = "* The model was trained on the task thinker and is asked as baseline.\n";
  assertStringIncludes(await Deno.readTextFile(`${path}/base/report.md`), note);
  assertEquals(results.skipped, 1);
  assertEquals(Object.keys(results.sets[0].stages), ["answer"]);
  assertEquals(results.sets[0].problems, 10);

  const fast: EvalResults = JSON.parse(
    (await finish(command("fast", "--task", "thinker-fast", "--json", ...few))).stdout,
  );
  const compare = ["--compare", `${path}/base`];
  const full: EvalResults = JSON.parse(
    (await finish(command("full", "--json", ...few, ...compare))).stdout,
  );
  // The first stage draws the same random numbers, whether others follow or not.
  assertEquals(full.sets[0].firstAccuracy, fast.sets[0].accuracy);
  assertEquals(full.sets[0].stages.fast, fast.sets[0].stages.fast);
  const report = await Deno.readTextFile(`${path}/full/report.md`);
  const names = [...report.matchAll(/^\| (\S+) \(run, step-1\)/gm)].map((match) => match[1]);
  assertEquals(names, ["Thinker", "Thinker-Fast", "Baseline"]);

  // The decoded tokens do not depend on how many sequences run side by side.
  const narrow = command("narrow", "--json", ...few);
  narrow[narrow.indexOf("8")] = "3";
  const { sets } = JSON.parse((await finish(narrow)).stdout) as EvalResults;
  assertEquals(sets, full.sets);
  assertEquals(
    inOrder(await answersOf(`${path}/narrow`)),
    inOrder(await answersOf(`${path}/full`)),
  );
});
