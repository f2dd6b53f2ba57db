/** Where memory runs out, one line says for what, and which setting to lower. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Device } from "../../ffi/mod.ts";
import { memoryFor, OutOfMemory, UserError } from "../../src/base/mod.ts";
import { probeFloats } from "../../src/engine/mod.ts";
import { loadModel } from "../../src/model/mod.ts";
import { solve } from "../../src/rollout/mod.ts";
import { train } from "../../src/train/train.ts";
import { AdamW, flatten, Passes, uploadRollout } from "../../src/ppo/mod.ts";
import { openCritic, openReference } from "../../src/setup/mod.ts";
import { Lab } from "../native.ts";
import { rollOut, toyConfig, toyDecoder } from "../ppo/toy.ts";
import { smallConfig, TempDir } from "./small.ts";

/**
 * Runs with devices of so many bytes: an allocation beyond them asks the library for more than there is.
 * Resolves to what was allocated when, at most and at the end.
 */
async function limited<T>(limit: number, body: () => Promise<T>) {
  const { alloc } = Device.prototype, devices = new Set<Device>();
  let peak = 0;
  Device.prototype.alloc = function (dtype, shape) {
    devices.add(this);
    const bytes = shape.reduce((a, b) => a * b, dtype === "u8" ? 1 : dtype === "bf16" ? 2 : 4);
    // What the bandwidth is measured with is gone before there is a model, and no part of the limit.
    if (shape[0] === probeFloats + 1) return alloc.call(this, dtype, shape);
    if (this.allocatedBytes + bytes > limit) return alloc.call(this, "u8", [2 ** 50]);
    peak = Math.max(peak, this.allocatedBytes + bytes);
    return alloc.call(this, dtype, shape);
  };
  try {
    return { result: await body(), peak, left: 0 };
  } catch (error) {
    const left = [...devices].reduce((sum, device) => sum + device.allocatedBytes, 0);
    return { error, peak, left };
  } finally {
    Device.prototype.alloc = alloc;
  }
}

/** The error of a run on such a device; nothing of it may be left beside what was held before. */
async function fails(
  limit: number,
  body: () => Promise<unknown>,
  held = 0,
): Promise<UserError> {
  const { error, left } = await limited(limit, body);
  assert(error instanceof UserError, `${error}`);
  assertMatch(
    error.message,
    /^(step 1: )?no memory for [^:]+: memory_alloc\(allocated .+B\): out of memory/,
  );
  assert(error.hint);
  assertEquals(left, held);
  return error;
}

Deno.test("memory: a run, a load or a question that does not fit says what did not, and what to lower", async () => {
  await using dir = await TempDir.make();
  const config = smallConfig({
    steps: 1,
    evalProblems: 2,
    warmstart: { steps: 1, batch: 1 },
    ppo: { questions: 2 },
    engine: { ...smallConfig().engine, cacheTokens: 2 ** 16 }, // more than all else
  });
  const { peak, result } = await limited(Infinity, () => train(config, { out: `${dir.path}/run` }));
  assert(result);
  const error = await fails(peak / 2, () => train(config, { out: `${dir.path}/other` }));
  assertMatch(error.message, /KV cache/);
  assertMatch(error.hint!, /engine\.cacheTokens/);

  const load = () => loadModel(`${dir.path}/run/checkpoints/step-1`);
  assertMatch((await fails(1000, load)).message, /^no memory for the model in /);
  using model = await load();
  const held = model.stream.device.allocatedBytes;
  assertMatch((await fails(held + 1000, () => solve(model, "1+1="), held)).hint!, /lower budgets/);
});

Deno.test("memory: each part of training names its own settings", async () => {
  using lab = await Lab.open({ threads: 1 });
  const { stream } = lab, before = lab.device.allocatedBytes;
  using actor = toyDecoder(lab, "lm");
  const held = lab.device.allocatedBytes, options = { seed: 1, dir: null };
  const adam = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, maxNorm: 1 } as const;
  const samples = await rollOut(lab, actor), config = toyConfig();
  const parts: [RegExp, () => Disposable][] = [
    [/ppo\.estimator/, () => openCritic(stream, actor, options)],
    [/ppo\.klCoefficient/, () => openReference(stream, actor, null)],
    [/engine\.cacheTokens or ppo\.packTokens/, () => new AdamW(stream, actor, adam)],
    [/ppo\.packTokens, or set recompute/, () => new Passes(stream, [actor], 1000)],
    [/ppo\.questions, ppo\.samples/, () => uploadRollout(stream, flatten(samples, 0), config)],
  ];
  for (const [hint, make] of parts) {
    const error = await fails(held + 100, () => Promise.resolve().then(make), held);
    assertMatch(error.hint!, hint);
  }
  assert(before < held);
});

Deno.test("memory: the innermost part is named, at once or later; other errors pass", async () => {
  const run = (error: unknown) => () =>
    memoryFor("the whole", "lower all", async () => {
      await Promise.resolve();
      return memoryFor("a part", "lower some", () => {
        throw error;
      });
    });
  for (const ranOut of [new OutOfMemory("no"), new RangeError("Array buffer allocation failed")]) {
    const { message, hint } = await assertRejects(run(ranOut), UserError);
    assertEquals([message, hint], [`no memory for a part: ${ranOut.message}`, "lower some"]);
  }
  for (const other of [new RangeError("too long"), new UserError("no"), new Error("no")]) {
    assertEquals(await assertRejects(run(other)), other);
  }
  const late = () =>
    memoryFor("the whole", "lower all", () => Promise.reject(new OutOfMemory("no")));
  assertEquals((await assertRejects(late, UserError)).message, "no memory for the whole: no");
});
