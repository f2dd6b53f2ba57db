/** Files of a run or an evaluation that are gone, cut short, doubled, or another's. */
import { type Case, edit, editBytes, lines, remove, replace } from "./changes.ts";
import type { Place, Subject } from "./place.ts";
import type { Trial } from "./verdict.ts";

const log = (name: string, fault: string, change: (all: string[]) => string[]): Case => [
  `${name}: ${fault}`,
  edit(`run/${name}.jsonl`, lines(change)),
  new RegExp(`${name}\\.jsonl`),
];

const step = "run/checkpoints/step-4", before = "run/checkpoints/step-2";
const saved = (fault: string, change: Case[1]): Case => [`checkpoint: ${fault}`, change, /step-4/];
const weights = "model.safetensors", state = "trainer/state.json";

const logs: readonly Case[] = [
  log("metrics", "a line removed", (all) => all.toSpliced(2, 1)),
  log("metrics", "the last line that is kept removed", (all) => all.slice(0, 4)),
  log("metrics", "a line twice", (all) => all.toSpliced(2, 0, all[2])),
  log("metrics", "two lines swapped", (all) => all.with(1, all[2]).with(2, all[1])),
  log("metrics", "another number", (all) => all.with(1, all[1].replace(/"reward\/fast":/, "$&1"))),
  log("episodes", "a line removed", (all) => all.slice(1)),
  log("episodes", "a line that is none", (all) => all.with(1, "{")),
  log("warmstart", "a line removed", (all) => all.slice(1)),
  ["metrics: gone", remove("run/metrics.jsonl"), /metrics\.jsonl/],
  ["metrics: zero bytes at the end", edit("run/metrics.jsonl", (text) => text + "\0".repeat(512))],
];

const checkpoints: readonly Case[] = [
  ["checkpoint: under the next step's name", replace("run/checkpoints/step-6", step), /step-6/],
  saved("the one before in its place", replace(step, before)),
  saved("of another run in its place", replace(step, "models/run-of-seed-2")),
  saved("weights of the one before", replace(`${step}/${weights}`, `${before}/${weights}`)),
  saved("critic of the one before", replace(`${step}/trainer/critic`, `${before}/trainer/critic`)),
  saved("state of the one before", replace(`${step}/${state}`, `${before}/${state}`)),
  saved(
    "another step in its state",
    edit(`${step}/${state}`, (text) => text.replace(/"step": ?4/, '"step": 3')),
  ),
  saved(
    "other words in thinker.json",
    edit(`${step}/thinker.json`, (text) => text.replace("{question}", "{question} ")),
  ),
  saved("weights cut short", editBytes(`${step}/${weights}`, (all) => all.subarray(0, 99_999))),
  saved("zero bytes for weights", editBytes(`${step}/${weights}`, (all) => all.fill(0, 90_000))),
  saved("no moments", remove(`${step}/trainer/optimizer.safetensors`)),
  saved("no state", remove(`${step}/${state}`)),
  saved("an empty state", edit(`${step}/${state}`, () => "")),
  saved("no critic", remove(`${step}/trainer/critic`)),
  ["config: empty", edit("run/config.json", () => "")],
  ["config: gone", remove("run/config.json")],
  ["all checkpoints gone", remove("run/checkpoints")],
];

const answers = (fault: string, change: (all: string[]) => string[]): Case => [
  `eval: ${fault}`,
  edit("run/answers.jsonl", lines(change)),
  /answers\.jsonl/,
];
const noTurns = (line: string) => line.replace(/"turns":\[.*\],"final"/, '"turns":[],"final"');

const evaluations: readonly Case[] = [
  answers("an answer removed", (all) => all.toSpliced(5, 1)),
  answers("an answer that is none", (all) => all.with(5, '{"set":"sums"}')),
  answers("an answer of no turns", (all) => all.with(5, noTurns(all[5]))),
  answers("a line that is none", (all) => all.with(5, "{")),
  ["eval: config empty", edit("run/config.json", () => ""), /config\.json/],
];

/** Every `every`-th fault of each list, each in a folder of its own that goes on. */
export async function* damage(
  place: Place,
  { toy, evaluation }: { toy: Subject; evaluation: Subject },
  every: number,
): AsyncGenerator<Trial> {
  const lists: [Subject, readonly Case[]][] = [
    [toy, [...logs, ...checkpoints]],
    [evaluation, evaluations],
  ];
  for (const [subject, cases] of lists) {
    for (const [fault, change, says] of cases.filter((_, i) => i % every === 0)) {
      const isEval = subject === evaluation;
      const dir = isEval ? await place.halfAnswered(subject) : await place.half(subject, 4);
      const repair = await change(place, dir);
      yield { fault, ...await place.tryFault(subject, dir, { says, repair }) };
    }
  }
}
