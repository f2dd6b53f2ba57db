/** The harness of `deno task faults` tells a wrong result from a true one: else it could not fail. */
import { assertEquals, assertMatch } from "@std/assert";
import { difference, evalRemains, runRemains } from "./remains.ts";
import { type Ended, judge, worst } from "./verdict.ts";
import { TempDir } from "../e2e/small.ts";

const metrics = (seconds: number) => [
  { step: 0, "eval/fast": 0.5 },
  { step: 1, "reward/fast": 0.25, seconds, "time/update": seconds / 2 },
];
const jsonl = (lines: readonly object[]) =>
  lines.map((line) => JSON.stringify(line) + "\n").join("");

/** A run's folder; `changes` replace files, or remove those that are null. */
async function runFolder(changes: Record<string, string | null> = {}) {
  const files = {
    "config.json": "{}",
    "metrics.jsonl": jsonl(metrics(1)),
    "episodes.jsonl": jsonl([{ step: 1, text: "a" }]),
    "report.md": "took 1 second\n| step | fast |\n| 1 | 0.25 |\n",
    "report.html": "<p>1 second",
    "checkpoints/step-2/model.safetensors": "weights",
    ...changes,
  };
  await using dir = await TempDir.make();
  for (const [name, text] of Object.entries(files)) {
    if (text === null) continue;
    await Deno.mkdir(`${dir.path}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${dir.path}/${name}`, text);
  }
  return await runRemains(dir.path);
}

Deno.test("faults: of two runs whatever differs is seen, but for the clock", async () => {
  const truth = await runFolder();
  const differs = async (changes: Record<string, string | null>) =>
    difference(await runFolder(changes), truth);
  assertEquals(await differs({}), undefined);
  const clock = {
    "metrics.jsonl": jsonl(metrics(2)),
    "report.md": "took 2 seconds\n| step | fast |\n| 1 | 0.25 |\n",
    "report.html": "<p>2 seconds",
    ".lock": "7",
    "checkpoints/step-3/model.safetensors": "saved when it was stopped",
  };
  assertEquals(await differs(clock), undefined);

  const [first, second] = metrics(1), weights = "checkpoints/step-2/model.safetensors";
  const cases: [Record<string, string | null>, string][] = [
    [{ [weights]: "weightt" }, `${weights} differs`],
    [{ [weights]: null }, `${weights} is missing`],
    [{ "checkpoints/step-2/critic": "" }, "checkpoints/step-2/critic is too many"],
    [{ "config.json": "{ }" }, "config.json differs"],
    [{ "metrics.jsonl": jsonl([first]) }, "metrics.jsonl:1 is missing"],
    [{ "metrics.jsonl": jsonl([first, second, second]) }, "metrics.jsonl:2 is too many"],
    [
      { "metrics.jsonl": jsonl([first, { ...second, "reward/fast": 0.5 }]) },
      "metrics.jsonl:1 differs",
    ],
    [{ "episodes.jsonl": jsonl([{ step: 1, text: "b" }]) }, "episodes.jsonl:0 differs"],
    [{ "report.md": "| step | fast |\n| 1 | 0.5 |\n" }, "report.md differs"],
  ];
  for (const [changes, expected] of cases) assertEquals(await differs(changes), expected);
});

Deno.test("faults: answers of an evaluation may stand in any order, but each once", async () => {
  const answers = async (...lines: object[]) => {
    await using dir = await TempDir.make();
    await Deno.writeTextFile(`${dir.path}/answers.jsonl`, jsonl(lines));
    return await evalRemains(dir.path);
  };
  const a = { id: "a" }, b = { id: "b" }, truth = await answers(a, b);
  assertEquals(difference(await answers(b, a), truth), undefined);
  assertMatch(difference(await answers(a, a, b), truth)!, /differs|too many/);
  assertMatch(difference(await answers(a), truth)!, /missing/);
});

Deno.test("faults: a wrong continuation is one however the process ends", () => {
  const ended = (changes: Partial<Ended> = {}): Ended => ({
    code: 0,
    signal: null,
    stdout: "",
    stderr: "train 1/2\n",
    hung: false,
    ...changes,
  });
  const outcome = (...args: Parameters<typeof judge>) => judge(...args).outcome;
  const line = "error: step-4 is damaged\n", said = { stderr: "step-4 is damaged\ntrain 1/2\n" };
  assertEquals(outcome(ended(), undefined), "equal");
  assertEquals(outcome(ended(), undefined, /step-4/), "equal");
  assertEquals(outcome(ended(said), undefined, /step-4/), "recovered");
  assertEquals(outcome(ended(), "a differs"), "silent wrong");
  assertEquals(outcome(ended(), "a differs", /step-4/), "silent wrong");
  assertEquals(outcome(ended(said), "a differs"), "silent wrong");
  assertEquals(outcome(ended(said), "a differs", /step-4/), "warned");
  assertEquals(outcome(ended({ code: 1, stderr: line }), undefined), "refused");
  assertEquals(
    outcome(ended({ code: 1, stderr: `a note\n${line}hint: x\n` }), undefined),
    "refused",
  );
  const bad: Partial<Ended>[] = [
    { code: 1, stderr: `${line}    at run (file:///a.ts:1:2)\n` },
    { code: 1, stderr: line + line },
    { code: 1, stderr: "train 1/2\n" },
    { code: 0, stderr: "error: x\n    at run (file:///a.ts:1:2)\n" },
    { code: 139, signal: "SIGSEGV" },
    { code: 137, signal: "SIGKILL", hung: true },
  ];
  for (const each of bad) assertEquals(outcome(ended(each), undefined), "crashed");
  const verdicts = ["refused", "silent wrong", "equal"] as const;
  const all = verdicts.map((outcome) => ({ outcome, detail: "" }));
  assertEquals(worst(all).outcome, "silent wrong");
});
