/**
 * `deno task bench:peers`: the same work here and in PyTorch, turn by turn in one run. Needs Python with
 * PyTorch (`pip install torch`); `PYTHON` names another interpreter than `python3`.
 *
 * @module
 */
import { allCases } from "../cases.ts";
import { Runner } from "../harness.ts";
import {
  DecodeBench,
  decodeCost,
  decoderBytes,
  qwen05b,
  randomDecoder,
  smol135m,
  tiny,
  TrainingBench,
  trainingCost,
} from "../models.ts";
import { Peer } from "../peer.ts";
import { benchProgram, selected } from "../program.ts";
import { cpuSizes } from "../sizes.ts";
import type { Workbench } from "../workbench.ts";
import type { ModelConfig } from "../../src/model/mod.ts";
import { compareAll, free, type Pair } from "./turns.ts";

/** Least seconds of a round. */
const seconds = 0.1;
const context = 200;

/** What torch_peer.py knows of the kernels. */
function kernels(): Pair[] {
  return allCases(cpuSizes).flatMap((each) => {
    const { op, shape, flops, bytes, peer } = each;
    if (!peer || peer.case === "ppo_loss") return [];
    const ours = (bench: Workbench) => Runner.prepare(bench, each, seconds);
    return [{ op, shape, work: flops || bytes, unit: "GFLOP/s", peer, ours }];
  });
}

function steps(name: string, config: ModelConfig): Pair[] {
  return [1, 8, 32].map((batch) => ({
    op: `decode ${name}`,
    shape: `batch ${batch}, context ${context}`,
    work: decodeCost(config, batch, context).tokens,
    unit: "tokens/s",
    peer: { case: "decode", config, batch, context },
    ours: ({ stream }) => {
      const decoder = randomDecoder(stream, config, { train: false });
      const bench = new DecodeBench(stream, decoder, { batch, context });
      return Promise.resolve({ round: () => bench.round(), dispose: () => free(bench, decoder) });
    },
  }));
}

function training(name: string, config: ModelConfig, sequences: number, length: number): Pair {
  return {
    op: `training ${name}`,
    shape: `${sequences} x ${length} tokens, with AdamW`,
    work: trainingCost(config, sequences, length).tokens,
    unit: "tokens/s",
    peer: { case: "training", config, sequences, length },
    ours: ({ stream }) => {
      const decoder = randomDecoder(stream, config, { train: true });
      const bench = new TrainingBench(stream, decoder, { sequences, length });
      return Promise.resolve({ round: () => bench.round(), dispose: () => free(bench, decoder) });
    },
  };
}

/** Qwen2.5-0.5B, with fewer layers where both sides' gradients and moments do not fit into memory. */
function trainable(memoryBytes: number): { name: string; config: ModelConfig } {
  const name = "Qwen2.5-0.5B";
  const both = 2 * decoderBytes(qwen05b, { train: true }) + 6e9;
  if (both < memoryBytes) return { name, config: qwen05b };
  return { name: `${name}, 8 of 24 layers`, config: { ...qwen05b, layers: 8 } };
}

/** Starts the peer, or says why there is none. */
async function startPeer(threads: number): Promise<{ peer: Peer; torch: string } | string> {
  const python = Deno.env.get("PYTHON") ?? "python3";
  const script = new URL("./torch_peer.py", import.meta.url).pathname;
  try {
    const check = new Deno.Command(python, { args: ["-c", "import torch"], stderr: "null" });
    if (!(await check.output()).success) return `${python} has no torch (pip install torch)`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return `there is no ${python}`;
  }
  const peer = new Peer(python, [script]);
  const { torch } = JSON.parse(await peer.ask(JSON.stringify({ hello: true, threads })));
  return { peer, torch };
}

await benchProgram({
  name: "peers",
  description: "Time the same work here and in PyTorch, turn by turn.",
  rounds: 5,
}, async (bench, _peak, options) => {
  const { threads, memoryBytes } = bench.device.info;
  const started = await startPeer(threads);
  if (typeof started === "string") {
    console.log(`skipped PyTorch: ${started}`);
    return { rows: [] };
  }
  await using peer = started.peer;
  const { name, config } = trainable(memoryBytes);
  const pairs = [
    ...kernels(),
    ...steps("tiny", tiny),
    training("tiny", tiny, 32, 128),
    ...steps("SmolLM2-135M", smol135m),
    training("SmolLM2-135M", smol135m, 2, 256),
    ...steps("Qwen2.5-0.5B", qwen05b),
    training(name, config, 2, 256),
  ].filter(({ op, shape }) => selected(options, `${op} ${shape}`));
  const rows = await compareAll(bench, peer, pairs, {
    name: `PyTorch ${started.torch}`,
    rounds: options.rounds,
    request: { seconds, pool: bench.poolBytes },
  });
  return { pytorch: started.torch, rows };
});
