/**
 * `deno task bench:llama`: decoding and prefill here and in llama.cpp, turn by turn in one run, at the
 * shape of SmolLM2-135M. Needs Node.js and, by environment variable, `LLAMA_CPP`: a folder in which
 * `npm install node-llama-cpp` was run, and `LLAMA_MODELS`: a folder with smollm2-f32.gguf, -f16 and
 * -bf16 as requantize.py writes them. Weights here are random: time does not depend on them.
 *
 * A step here includes sampling and its log-probs; there it is the model's forward pass alone. Keys and
 * values are float32 here and f16 there, activations float32 here and rounded to the weights' type there.
 *
 * @module
 */
import type { Precision } from "../../ffi/mod.ts";
import { DecodeBench, decodeCost, PrefillBench, randomDecoder, smol135m } from "../models.ts";
import { Peer } from "../peer.ts";
import { benchProgram, selected } from "../program.ts";
import { UserError } from "../../src/base/mod.ts";
import { compareAll, free, type Pair } from "./turns.ts";

const context = 200, prompt = 512;

/** Precisions that have equal bytes on both sides. */
const precisions: readonly { ours: Precision; theirs: string }[] = [
  { ours: "f32", theirs: "f32" },
  { ours: "bf16", theirs: "f16" },
  { ours: "bf16", theirs: "bf16" },
];

function pairs(models: string): Pair[] {
  return precisions.flatMap(({ ours, theirs }) => {
    const path = `${models}/smollm2-${theirs}.gguf`, names = `SmolLM2-135M ${ours} / ${theirs}`;
    const decode = [1, 8, 32].map((batch): Pair => ({
      op: `decode ${names}`,
      shape: `batch ${batch}, context ${context}`,
      work: decodeCost(smol135m, batch, context).tokens,
      unit: "tokens/s",
      peer: { case: "decode", path, batch, context, steps: DecodeBench.steps },
      ours: ({ stream }) => {
        const decoder = randomDecoder(stream, smol135m, { train: false, weights: ours });
        const bench = new DecodeBench(stream, decoder, { batch, context });
        return Promise.resolve({ round: () => bench.round(), dispose: () => free(bench, decoder) });
      },
    }));
    return [...decode, {
      op: `prefill ${names}`,
      shape: `${prompt} tokens`,
      work: prompt,
      unit: "tokens/s",
      peer: { case: "prefill", path, length: prompt },
      ours: ({ stream }) => {
        const decoder = randomDecoder(stream, smol135m, { train: false, weights: ours });
        const bench = new PrefillBench(stream, decoder, prompt);
        return Promise.resolve({ round: () => bench.round(), dispose: () => free(bench, decoder) });
      },
    }];
  });
}

/** A folder that an environment variable names. */
function folder(variable: string, what: string): string {
  const path = Deno.env.get(variable);
  if (!path) throw new UserError(`${variable} is not set`, { hint: `it names ${what}` });
  return path;
}

await benchProgram({
  name: "llama",
  description: "Time decoding and prefill here and in llama.cpp, turn by turn.",
  rounds: 9,
}, async (bench, _peak, options) => {
  const install = folder("LLAMA_CPP", "a folder in which `npm install node-llama-cpp` was run");
  const models = folder("LLAMA_MODELS", "a folder with smollm2-{f32,f16,bf16}.gguf");
  const script = new URL("./llama_peer.mjs", import.meta.url).pathname;
  await using peer = new Peer("node", [script, install]);
  const { threads } = bench.device.info;
  const about = JSON.parse(await peer.ask(JSON.stringify({ hello: true, threads })));
  const chosen = pairs(models).filter(({ op, shape }) => selected(options, `${op} ${shape}`));
  const rows = await compareAll(bench, peer, chosen, {
    name: "llama.cpp",
    rounds: options.rounds,
  });
  return { llama: about, rows };
});
