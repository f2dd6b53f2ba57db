/**
 * llama.cpp on the CPU, timed on request: the other side of llama.ts. Runs in Node.js; the argument is a
 * folder in which `npm install node-llama-cpp` was run.
 *
 * Reads one JSON object a line and answers each with one line of JSON: {"case": NAME, ...} sets a case up,
 * {"round": true} answers the seconds of one step. Ends with its input. Only the model's forward pass is
 * timed, through the binding's own batch calls; nothing is sampled.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];
const require = createRequire(`${folder}/package.json`);
const { getLlama } = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);
const { version } = JSON.parse(
  readFileSync(`${folder}/node_modules/node-llama-cpp/package.json`, "utf8"),
);

/** Seconds: CPU time with one thread, as bench/clock.ts has it on the other side. */
function now() {
  if (threads > 1) return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

let llama, threads, model, loaded, context, round;

async function open(path, sequences, contextSize, batchSize) {
  await context?.dispose();
  context = undefined;
  if (loaded !== path) {
    await model?.dispose();
    model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
    loaded = path;
  }
  const options = { sequences, contextSize, batchSize, threads: { ideal: threads, min: threads } };
  context = await model.createContext(options);
  context._ctx.setThreads(threads);
  if (context._ctx.getThreads() !== threads) throw new Error("llama.cpp takes other threads");
  return context._ctx;
}

/** Some tokens of the vocabulary. */
const tokens = (count, salt = 0) =>
  Uint32Array.from({ length: count }, (_, i) => 100 + (i * 7919 + salt) % 40000);
const none = new Uint32Array();

async function decodeCase({ path, batch, context: length, steps }) {
  const ctx = await open(path, batch, length + steps + 8, Math.max(length, batch));
  ctx.initBatch(length);
  ctx.addToBatch(0, 0, tokens(length), none);
  await ctx.decodeBatch();
  for (let s = 1; s < batch; s++) await ctx.copySequenceStateFromOtherSequence(s, 0);
  round = async () => {
    const begin = now();
    for (let step = 0; step < steps; step++) {
      ctx.initBatch(batch);
      for (let s = 0; s < batch; s++) {
        ctx.addToBatch(s, length + step, tokens(1, s), Uint32Array.of(0));
      }
      await ctx.decodeBatch();
    }
    const seconds = (now() - begin) / steps;
    for (let s = 0; s < batch; s++) ctx.removeTokenCellsFromSequence(s, length, length + steps);
    return seconds;
  };
}

async function prefillCase({ path, length }) {
  const ctx = await open(path, 1, length + 8, length);
  round = async () => {
    const begin = now();
    ctx.initBatch(length);
    ctx.addToBatch(0, 0, tokens(length), none);
    await ctx.decodeBatch();
    const seconds = now() - begin;
    ctx.disposeSequence(0);
    return seconds;
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer = {};
  if (request.hello) {
    threads = request.threads;
    const quiet = { gpu: false, logLevel: "error", progressLogs: false, build: "never" };
    llama = await getLlama({ ...quiet, maxThreads: threads });
    answer = { version, release: llama.llamaCppRelease?.release };
  } else if (request.round) {
    answer = await round();
  } else {
    await (request.case === "decode" ? decodeCase : prefillCase)(request);
    await round();
  }
  console.log(JSON.stringify(answer));
}
await context?.dispose();
await model?.dispose();
await llama?.dispose();
