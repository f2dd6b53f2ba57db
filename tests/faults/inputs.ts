/** Inputs and settings that are not what they were when a run or an evaluation began. */
import { cp } from "node:fs/promises";
import { type Case, type Change, edit, lines, replace } from "./changes.ts";
import type { Place, Subject } from "./place.ts";
import { type Ended, judge, type Trial, type Verdict } from "./verdict.ts";

const row = '{"id":"new","question":"1+1=","answer":"2"}';
const data = "data/rows.jsonl", asked = "data/eval/sums.jsonl", start = "models/start";
const config = (fault: string, key: string, from: unknown, to: unknown): Case => [
  `config.json: ${fault}`,
  edit("run/config.json", (text) => text.replace(`"${key}": ${from}`, `"${key}": ${to}`)),
  new RegExp(key),
];

const ofRun: readonly Case[] = [
  ["data: a row appended", edit(data, (text) => text + row + "\n")],
  ["data: a row removed", edit(data, lines((all) => all.toSpliced(17, 1)))],
  ["data: a row changed", edit(data, lines((all) => all.with(3, row)))],
  ["data: rows reordered", edit(data, lines((all) => all.toReversed()))],
  ["prompts: another word", edit("data/prompts.json", (text) => text.replace("check", "test"))],
  ["start model: another", replace(start, "models/other")],
  ["start model: another tokenizer", edit(`${start}/tokenizer.json`, swapped)],
  config("another seed", "seed", 1, 2),
  config("another gamma", "gamma", 1, 0.9),
  config("another learning rate", "actorLr", "", "9"),
  config("evaluated more seldom", "evalEvery", 2, 3),
  config("fewer held-out problems", "evalProblems", 200, 7),
];

const ofEvaluation: readonly Case[] = [
  ["eval: another model", replace(start, "models/other")],
  [
    "eval: other words of its model",
    edit(`${start}/thinker.json`, (text) => text.replace("{question}", "{question} ")),
  ],
  ["eval: another tokenizer of its model", edit(`${start}/tokenizer.json`, swapped)],
];

/** What may change: questions that did are asked anew, and an answer counts once. */
const allowed: readonly Case[] = [
  ["eval: another question", edit(asked, lines((all) => all.with(0, row)))],
  [
    "eval: another gold answer",
    edit(asked, lines((all) => all.with(0, all[0].replace(/"answer":"/, "$&1")))),
  ],
  ["eval: an answer twice", edit("run/answers.jsonl", lines((all) => [all[0], ...all]))],
  ["eval: questions reordered", edit(asked, lines((all) => all.toReversed()))],
];

/** Swaps two pieces of a vocabulary that is used. */
function swapped(text: string): string {
  const { model, ...rest } = JSON.parse(text);
  const vocab = { ...model.vocab, "1": model.vocab["2"], "2": model.vocab["1"] };
  return JSON.stringify({ ...rest, model: { ...model, vocab } });
}

/** Every `every`-th change of each list, each in a folder of its own that goes on. */
export async function* changedInputs(
  place: Place,
  { rows, evaluation }: { rows: Subject; evaluation: Subject },
  every: number,
): AsyncGenerator<Trial> {
  const chosen = (cases: readonly Case[]) => cases.filter((_, i) => i % every === 0);
  for (const [fault, change, says] of chosen(ofRun)) {
    const dir = await place.half(rows, 4), repair = await change(place, dir);
    yield { fault, ...await place.tryFault(rows, dir, { says, repair }) };
  }
  for (const [fault, change, says] of chosen(ofEvaluation)) {
    const dir = await place.halfAnswered(evaluation), repair = await change(place, dir);
    yield { fault, ...await place.tryFault(evaluation, dir, { says, repair }) };
  }
  for (const [fault, change] of chosen(allowed)) {
    yield { fault, ...await sameScores(place, evaluation, change) };
  }
  yield* settings(place, rows);
}

/** Goes on with a change: the scores must be those of an evaluation that was begun with it. */
async function sameScores(place: Place, evaluation: Subject, change: Change): Promise<Verdict> {
  const dir = await place.halfAnswered(evaluation), fresh = place.folder();
  const repair = await change(place, dir);
  const ended = await place.run([...evaluation.goOn, "--out", dir]);
  await place.run([...evaluation.begin, "--out", fresh]);
  await repair();
  const [actual, expected] = await Promise.all(
    [dir, fresh].map((each) => evaluation.remains(place.at(each))),
  );
  const scores = ["results.json", "report.md"];
  const differs = scores.find((name) => actual[name] !== expected[name]);
  return judge(ended, differs && `${differs} differs`);
}

/** Options of `--resume` that ask for another run; a path may change when its content does not. */
async function* settings(place: Place, rows: Subject): AsyncGenerator<Trial> {
  await cp(place.at(data), place.at("data/moved.jsonl"));
  const options = [
    ["--seed", "7"],
    ["--set", "ppo.gamma=0.9"],
    ["--task", "baseline"],
    ["--data", "data/moved.jsonl"],
  ];
  for (const option of options) {
    const dir = await place.half(rows, 4);
    const ended = await place.run([...rows.goOn, ...option, "--out", dir]);
    yield { fault: `--resume ${option.join(" ")}`, ...await judged(place, rows, dir, ended) };
  }
}

async function judged(place: Place, rows: Subject, dir: string, ended: Ended): Promise<Verdict> {
  if (ended.code !== 0) return judge(ended, undefined);
  // The config says where the data stand now: that is no other result.
  const different = await place.differs(rows, dir);
  return judge(ended, different === "config.json differs" ? undefined : different);
}
