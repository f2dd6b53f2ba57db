/**
 * Runs ops whose scratch does not fit and prints what each says. The limit is set by prlimit once the
 * tensors are there, so that nothing but the scratch can fail; memory_test.ts starts this.
 */
import { attentionForward, lmHeadSample, type Stream } from "../../ffi/mod.ts";
import { Lab } from "../native.ts";

const slack = 48 << 20;

/** Lets this process map so many bytes more than it has. */
async function limitMemory(bytes: number): Promise<void> {
  const status = await Deno.readTextFile("/proc/self/status");
  const used = 1024 * Number(status.match(/^VmData:\s*(\d+) kB$/m)![1]);
  const args = ["--pid", `${Deno.pid}`, `--data=${used + bytes}:`];
  const { success } = await new Deno.Command("prlimit", { args }).output();
  if (!success) throw new Error("prlimit failed");
}

async function complaint(stream: Stream, name: string): Promise<void> {
  try {
    await stream.sync();
    console.log(`${name}: no error`);
  } catch (error) {
    console.log(`${name}: ${(error as Error).message}`);
  }
}

using lab = await Lab.open({ threads: 2 });
const { stream } = lab;

// Two threads, each with 64 MiB of transposed keys. Nothing is written before: the pages do not exist.
const T = 1 << 20, heads = { H: 1, Hk: 1, D: 16 };
const attention = {
  qkv: lab.alloc("f32", [T, 48]),
  out: lab.alloc("f32", [T, 16]),
  cuSeqlens: lab.put(Int32Array.of(0, T)),
  heads,
  scale: 1,
};

// A copy of 64 MiB of logits for each row that is truncated.
const V = 16 << 20, B = 2;
const sampling = {
  tokens: lab.out([B], "i32"),
  logprobs: lab.out([B]),
  h: lab.zeros([B, 1]),
  w: { data: lab.alloc("u8", [4 * V]), N: V, K: 1, dtype: "f32" },
  workspace: lab.alloc("u8", [4 * V * B]),
  sampling: lab.put(Float32Array.of(1, 1, 5, 1, 1, 5), [B, 3]),
  keys: lab.put(new Int32Array(4 * B), [B, 4]),
  positions: lab.put(new Int32Array(B)),
} as const;

await stream.sync();
await limitMemory(slack);
attentionForward(stream, attention);
await complaint(stream, "attention_forward");
lmHeadSample(stream, sampling);
await complaint(stream, "lm_head_sample");
stream.fill(sampling.logprobs, 1);
await complaint(stream, "fill");
