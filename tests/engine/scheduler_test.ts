import { assert, assertEquals, assertRejects } from "@std/assert";
import { presets } from "../../src/setup/mod.ts";
import { Scheduler, type SchedulerOptions } from "../../src/engine/scheduler.ts";
import type { PromptRequest, SubmitOptions } from "../../src/engine/mod.ts";
import { type Rand, seeded } from "../native.ts";
import { expected, FakeBatch, longest, requestOf, type Script } from "./fake.ts";

const plain: SubmitOptions = { seed: 1n, sampling: { temperature: 1, topP: 1, topK: 0 } };
const common = { stop: new Set([0]), prefillCost: 256, lookahead: true };
const sizes = { maxSequences: 4, blocks: 64, blockSize: 4, prefillChunk: 64, steps: 2, ...common };

/** Scripts of which some begin alike. */
function makeScripts(rand: Rand, count: number): Script[] {
  const shared = Array.from({ length: 3 }, () => [...rand.ints(rand.int(1, 30), 1, 1000)]);
  let id = 0n;
  return Array.from({ length: count }, () => ({
    prompt: [...shared[rand.int(0, 3)], ...rand.ints(rand.int(0, 3) * 4, 1, 1000)],
    budget: rand.int(1, 20),
    samples: Array.from({ length: rand.int(1, 5) }, () => ({
      id: id++,
      then: Array.from({ length: rand.int(0, 3) }, () => ({
        append: [...rand.ints(rand.int(0, 12), 1, 1000)],
        budget: rand.int(1, 15),
      })),
    })),
  }));
}

function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("scheduler: whatever comes when, and whoever is preempted or called off, nothing changes a token", () =>
  seeded(async (rand) => {
    let preempted = 0, ahead = 0, cancelled = 0;
    for (let round = 0; round < 60; round++) {
      const scripts = makeScripts(rand, 12), blockSize = [4, 8][rand.int(0, 2)];
      const blocks = Math.ceil(Math.max(...scripts.map(longest)) / blockSize) + rand.int(0, 30);
      const batch = new FakeBatch(blocks, blockSize);
      batch.later = () => rand.uniform() < 0.2 ? soon() : Promise.resolve();
      const scheduler = new Scheduler(batch, {
        maxSequences: rand.int(1, 12),
        blocks,
        blockSize,
        prefillChunk: [1, 7, 64][rand.int(0, 3)],
        steps: rand.int(1, 5),
        ...common,
        prefillCost: [1, 8, 256][rand.int(0, 3)],
        lookahead: rand.uniform() < 0.7,
      });
      const thinks = () => rand.uniform() < 0.3 ? soon() : undefined;
      await Promise.all(scripts.map(async (script) => {
        if (rand.uniform() < 0.5) await soon();
        const { request, turns } = requestOf(script, thinks);
        const submission = scheduler.submit(request, { ...plain, priority: rand.int(0, 3) });
        if (rand.uniform() < 0.8) {
          const { sampled } = await submission.done;
          assertEquals(turns, expected(script));
          assertEquals(sampled, turns.flat(2).length);
          return;
        }
        cancelled++;
        const reason = new Error("called off");
        await soon();
        scheduler.fail(submission, reason);
        await submission.done.catch((error) => assertEquals(error, reason));
        const before = turns.flat(1).length;
        await soon();
        assertEquals(turns.flat(1).length, before, "its owner is not asked any more");
      }));
      assertEquals([scheduler.freeBlocks, scheduler.waiting], [blocks, 0]);
      preempted += scheduler.counts.preempted;
      ahead = Math.max(ahead, batch.ahead);
    }
    assert(preempted > 20 && cancelled > 20, `${preempted} preempted, ${cancelled} called off`);
    assertEquals(ahead, 2, "a round is enqueued before the one before it is told of");
  }));

/** Lengths with a long tail: log-normal, and none above the budget. */
function tailed(rand: Rand, mean: number, most: number): number {
  const [normal] = rand.normal(1), sigma = 0.9;
  const length = Math.exp(Math.log(mean) - sigma * sigma / 2 + sigma * normal);
  return Math.max(1, Math.min(most, Math.round(length)));
}

Deno.test("scheduler: at the budgets of r1.5b all 512 dialogues of a mean length of 3,000 run at once", () =>
  seeded(async (rand) => {
    const { engine: { maxSequences, cacheTokens } } = presets["r1.5b"];
    const blockSize = 64, blocks = Math.floor(cacheTokens / blockSize), maxTokens = 14_660;
    // Each sequence ends after a length of its own; what it says does not matter here.
    const ends = new Map<bigint, number>();
    const batch = new FakeBatch(
      blocks,
      blockSize,
      ({ id, position }) => position >= ends.get(id)! ? 0 : 1,
    );
    const options = { maxSequences, blocks, blockSize, prefillChunk: 2048, steps: 32, ...common };
    const scheduler = new Scheduler(batch, options);
    let id = 0n, tokens = 0;
    const requests: PromptRequest[] = Array.from({ length: 64 }, () => ({
      prompt: [...rand.ints(150, 1, 1000)],
      budget: maxTokens - 150,
      maxTokens,
      sequences: Array.from({ length: 8 }, () => {
        const length = tailed(rand, 3_200, maxTokens - 1);
        tokens += length;
        ends.set(id, Math.max(151, length));
        return { id: id++, onTurn: () => null };
      }),
    }));
    await Promise.all(requests.map((request) => scheduler.submit(request, plain).done));
    const { widest, preempted } = scheduler.counts, mean = tokens / 512;
    assert(mean > 2_500 && mean < 3_600, `a mean length of ${mean}`);
    assert(widest >= 400, `${widest} at once`);
    assert(preempted < 100, `${preempted} preempted`);
    assertEquals(scheduler.freeBlocks, blocks);
  }));

Deno.test("scheduler: a hundred thousand requests leave nothing behind", () =>
  seeded(async (rand) => {
    const blockSize = 4, blocks = 120, maxSequences = 64;
    const batch = new FakeBatch(
      blocks,
      blockSize,
      ({ id, position }) => (Number(id) * 7 + position) % 11,
    );
    batch.later = () => rand.uniform() < 0.001 ? soon() : Promise.resolve();
    const sizes: SchedulerOptions = {
      maxSequences,
      blocks,
      blockSize,
      prefillChunk: 64,
      steps: 2,
      ...common,
    };
    const scheduler = new Scheduler(batch, sizes);
    const open = new Set<Promise<unknown>>(), heap: number[] = [];
    let turns = 0, ended = 0, cancelled = 0;
    for (let n = 0; n < 100_000; n++) {
      const length = rand.int(1, 12);
      const request = {
        prompt: [n % 500 + 1, ...rand.ints(length, 1, 20)],
        budget: 12,
        maxTokens: length + 13,
        sequences: [{ id: BigInt(n), onTurn: () => (turns++, null) }],
      };
      const submission = scheduler.submit(request, { ...plain, priority: n % 3 });
      const done: Promise<unknown> = submission.done.then(() => ended++, () => cancelled++)
        .then(() => open.delete(done));
      open.add(done);
      if (n % 10 === 0) scheduler.fail(submission, new Error("called off"));
      while (scheduler.waiting >= maxSequences) await scheduler.news;
      if (n % 20_000 === 19_999) heap.push(Deno.memoryUsage().heapUsed / 2 ** 20);
    }
    await Promise.all(open);
    assertEquals([turns, ended, cancelled], [90_000, 90_000, 10_000]);
    assertEquals([scheduler.freeBlocks, scheduler.waiting], [blocks, 0]);
    assert(scheduler.counts.preempted > 100, `${scheduler.counts.preempted} preempted`);
    // The garbage collector comes when it likes: a leak of every request would be some hundred MiB.
    assert(heap[4] < heap[0] + 60, `MiB of heap after every 20,000 requests: ${heap}`);
  }));

Deno.test("scheduler: priority goes first, and starves nobody", () =>
  seeded(async () => {
    const batch = new FakeBatch(64, 4);
    const sizes = {
      maxSequences: 2,
      blocks: 64,
      blockSize: 4,
      prefillChunk: 64,
      steps: 2,
      ...common,
    };
    const scheduler = new Scheduler(batch, sizes), order: string[] = [];
    let id = 0n;
    const submit = (name: string, priority: number) => {
      const sequences = [{ id: id++, onTurn: () => (order.push(name), null) }];
      const request = { prompt: [1, 2, 3], budget: 4, maxTokens: 8, sequences };
      return scheduler.submit(request, { ...plain, priority }).done;
    };
    const first = ["a", "b", "c", "d"].map((name) => submit(name, 0));
    const high = submit("high", 1);
    await Promise.all([...first, high]);
    assertEquals(order.toSorted().join(), "a,b,c,d,high");
    assert(order.indexOf("high") <= 1, `${order}`);

    // Requests of priority 1 come without end, always more than can run.
    order.length = 0;
    let low = false;
    const lowly = submit("low", 0).then(() => low = true);
    for (let n = 0; !low; n++) {
      assert(n < 3000, "the request of low priority never ran");
      void submit("flood", 1);
      while (scheduler.waiting >= 8) await scheduler.news;
    }
    await lowly;
    assert(order.length > 900, `${order.length} had overtaken it`);
  }));

Deno.test("scheduler: what stands between turns is read in few prefills, and at once where nothing else runs", () =>
  seeded(async (rand) => {
    const run = async (count: number) => {
      const scripts = Array.from({ length: count }, (_, i): Script => ({
        prompt: [...rand.ints(12, 1, 1000)],
        budget: 40,
        samples: [{
          id: BigInt(i),
          then: Array.from({ length: 3 }, () => ({ append: [5, 6, 7, 8], budget: 40 })),
        }],
      }));
      const batch = new FakeBatch(4096, 4);
      const sizes = {
        maxSequences: 128,
        blocks: 4096,
        blockSize: 4,
        prefillChunk: 1024,
        steps: 2,
        ...common,
      };
      const scheduler = new Scheduler(batch, sizes);
      const all = scripts.map((script) => ({ script, ...requestOf(script) }));
      await Promise.all(all.map(({ request }) => scheduler.submit(request, plain).done));
      for (const { script, turns } of all) assertEquals(turns, expected(script));
      return { prefills: batch.prefills, steps: scheduler.counts.steps };
    };
    const many = await run(128);
    assert(many.prefills <= 60, `${many.prefills} prefills for 384 changes of stage`);
    const one = await run(1);
    assertEquals(one.prefills, 4);
  }));

Deno.test("scheduler: texts that begin alike are read once, until the weights change", async () => {
  const batch = new FakeBatch(64, 4);
  const scheduler = new Scheduler(batch, sizes),
    prompt = Array.from({ length: 21 }, (_, i) => i + 1);
  const versions: number[] = [];
  const read = async (tail: number[]) => {
    const sequences = [{ id: 9n, onTurn: () => null, onStart: (v: number) => versions.push(v) }];
    const request = { prompt: [...prompt, ...tail], budget: 3, maxTokens: 40, sequences };
    return (await scheduler.submit(request, plain).done).prefilled;
  };
  assertEquals(await read([]), 20);
  assertEquals(await read([]), 0, "the same text");
  assertEquals(await read([7, 7, 7, 7]), 4, "five blocks of four are the same");
  batch.version = 2;
  assertEquals(await read([]), 20, "other weights");
  assertEquals(versions, [1, 1, 1, 2]);
});

Deno.test("scheduler: a device that fails ends what it was given, and works again", async () => {
  const batch = new FakeBatch(64, 4), rounds: number[] = [];
  const scheduler = new Scheduler(batch, sizes);
  const script: Script = { prompt: [3, 4, 5], budget: 9, samples: [{ id: 5n, then: [] }] };
  batch.later = () => rounds.push(0) === 2 ? Promise.reject(new Error("lost")) : Promise.resolve();
  await assertRejects(() => scheduler.submit(requestOf(script).request, plain).done, Error, "lost");
  assertEquals(scheduler.freeBlocks, 64);
  const { request, turns } = requestOf(script);
  await scheduler.submit(request, plain).done;
  assertEquals(turns, expected(script));
});
