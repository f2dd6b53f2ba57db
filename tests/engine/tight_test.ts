/** The scheduler where there is hardly any room: it must neither stall, nor run in circles, nor mix anything up. */
import { assert, assertEquals } from "@std/assert";
import { Scheduler } from "../../src/engine/scheduler.ts";
import type { Turn } from "../../src/engine/mod.ts";
import { type Rand, seeded } from "../native.ts";
import { expected, FakeBatch, longest, type Script } from "./fake.ts";

const plain = { seed: 1n, sampling: { temperature: 1, topP: 1, topK: 0 } };
const off = new Error("called off");

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Some requests that each fit a cache of so many tokens alone; many begin alike, some have more samples than rows. */
function scriptsFor(rand: Rand, tokens: number): Script[] {
  const shared = [0, 1].map(() => [...rand.ints(rand.int(1, tokens), 1, 1000)]);
  const scripts: Script[] = [];
  for (let id = 0n; scripts.length < 6;) {
    const start = shared[rand.int(0, 2)].slice(0, rand.int(1, tokens));
    const script = {
      prompt: [...start, ...rand.ints(rand.int(0, 3), 1, 1000)],
      budget: rand.int(1, 8),
      samples: Array.from({ length: rand.int(1, [2, 5, 12][rand.int(0, 3)]) }, () => ({
        id: id++,
        then: Array.from({ length: rand.int(0, 4) }, () => ({
          append: [...rand.ints(rand.int(0, 5), 1, 1000)],
          budget: rand.int(1, 6),
        })),
      })),
    };
    if (longest(script) <= tokens) scripts.push(script);
  }
  return scripts;
}

/** Plays a script; its owners may think, throw, or call it off at any moment. */
async function play(
  rand: Rand,
  { scheduler, batch, script, calm }: {
    readonly scheduler: Scheduler;
    readonly batch: FakeBatch;
    readonly script: Script;
    readonly calm: boolean;
  },
): Promise<void> {
  const turns: number[][][] = script.samples.map(() => []);
  const end = calm || rand.uniform() < 0.6
    ? ""
    : ["start", "tokens", "turn", "throw", "late"][rand.int(0, 5)];
  const callOff = (at: string) => {
    if (at === end) scheduler.fail(submission, off);
  };
  const sequences = script.samples.map(({ id, then }, i) => ({
    id,
    onStart(version: number) {
      batch.begun.set(id, version);
      callOff("start");
    },
    onTokens: () => callOff("tokens"),
    onTurn({ ids }: Turn) {
      const answer = then[turns[i].length] ?? null;
      turns[i].push(ids);
      callOff("turn");
      if (end === "throw" && rand.uniform() < 0.5) throw off;
      return rand.uniform() < 0.3 ? after(rand.int(0, 2)).then(() => answer) : answer;
    },
  }));
  const { prompt, budget } = script, priority = rand.int(0, 2);
  const request = { prompt, budget, maxTokens: longest(script), sequences };
  const submission = scheduler.submit(request, { ...plain, priority });
  if (end === "late") setTimeout(() => callOff("late"), rand.int(0, 4));
  try {
    const { sampled } = await submission.done;
    assertEquals(turns, expected(script));
    assertEquals(sampled, turns.flat(2).length);
  } catch (error) {
    if (error !== off) throw error;
  }
}

Deno.test("scheduler: in the tightest caches all come to their end, with their own tokens and no old keys", () =>
  seeded(async (rand) => {
    let preempted = 0;
    for (let round = 0; round < 250; round++) {
      const blockSize = [1, 2, 4][rand.int(0, 3)], blocks = rand.int(2, 7);
      const batch = new FakeBatch(blocks, blockSize), calm = rand.uniform() < 0.5;
      batch.later = () => rand.uniform() < 0.2 ? after(0) : Promise.resolve();
      const scheduler = new Scheduler(batch, {
        maxSequences: rand.int(1, 7),
        blocks,
        blockSize,
        prefillChunk: [1, 3, 64][rand.int(0, 3)],
        steps: rand.int(1, 5),
        stop: new Set([0]),
        prefillCost: [1, 8, 256][rand.int(0, 3)],
        lookahead: rand.uniform() < 0.5,
      });
      const changes = rand.uniform() < 0.3;
      const all = Promise.all(
        scriptsFor(rand, blocks * blockSize).map(async (script) => {
          if (rand.uniform() < 0.4) await after(rand.int(0, 2));
          if (changes) batch.version++;
          await play(rand, { scheduler, batch, script, calm });
        }),
      );
      const clock = new AbortController();
      const late = new Promise((_, reject) => {
        const timer = setTimeout(() => reject(new Error(`round ${round} does not end`)), 10_000);
        clock.signal.addEventListener("abort", () => clearTimeout(timer));
      });
      await Promise.race([all, late]);
      clock.abort();
      await scheduler.rest();
      assertEquals([scheduler.freeBlocks, scheduler.waiting], [blocks, 0]);
      preempted += scheduler.counts.preempted;
    }
    assert(preempted > 50, `${preempted} preempted`);
  }));

Deno.test("scheduler: whoever waits for room hears of it when all are called off", async () => {
  const batch = new FakeBatch(8, 4, () => 1);
  batch.later = () => after(0);
  const options = { maxSequences: 1, blocks: 8, blockSize: 4, prefillChunk: 64, steps: 2 };
  const rest = { stop: new Set([0]), prefillCost: 1, lookahead: true };
  const scheduler = new Scheduler(batch, { ...options, ...rest });
  const request = (id: bigint) => ({
    prompt: [1, 2],
    budget: 20,
    maxTokens: 22,
    sequences: [{ id, onTurn: () => null }],
  });
  const all = [0n, 1n, 2n].map((id) => scheduler.submit(request(id), plain));
  const ends = Promise.allSettled(all.map(({ done }) => done));
  await after(3);
  const room = (async () => {
    while (scheduler.waiting >= 1) await scheduler.news;
  })();
  for (const each of all) scheduler.fail(each, off);
  await room;
  assertEquals((await ends).map(({ status }) => status), Array(3).fill("rejected"));
});

Deno.test("scheduler: a device that is lost for good fails every request, and so does a closed one", async () => {
  const batch = new FakeBatch(8, 4, () => 1), lost = new Error("the device is lost");
  batch.decode = () => Promise.reject(lost);
  batch.reset = () => {
    throw lost;
  };
  const options = { maxSequences: 2, blocks: 8, blockSize: 4, prefillChunk: 64, steps: 2 };
  const rest = { stop: new Set([0]), prefillCost: 1, lookahead: false };
  const scheduler = new Scheduler(batch, { ...options, ...rest });
  const sequences = [{ id: 0n, onTurn: () => null }];
  const request = { prompt: [1, 2], budget: 20, maxTokens: 22, sequences };
  for (let i = 0; i < 2; i++) {
    const error = await scheduler.submit(request, plain).done.catch((error) => error);
    assertEquals(error, lost);
  }
  const under = scheduler.submit(request, plain).done.catch((error) => error);
  scheduler.close();
  assertEquals((await under).message, "the engine was disposed of");
});

Deno.test("scheduler: owners that wait for each other's turns get them, though both hold all of the cache", async () => {
  const batch = new FakeBatch(4, 4, () => 1);
  const options = { maxSequences: 2, blocks: 4, blockSize: 4, prefillChunk: 64, steps: 2 };
  const rest = { stop: new Set([0]), prefillCost: 1, lookahead: true };
  const scheduler = new Scheduler(batch, { ...options, ...rest });
  const both = Promise.withResolvers<null>();
  let turns = 0;
  const sequences = [0n, 1n].map((id) => ({
    id,
    onTurn() {
      if (++turns === 2) both.resolve(null);
      return both.promise;
    },
  }));
  const prompt = [1, 2, 3, 4, 5, 6, 7];
  await scheduler.submit({ prompt, budget: 9, maxTokens: 16, sequences }, plain).done;
  assertEquals([turns, scheduler.freeBlocks], [2, 4]);
  assert(scheduler.counts.preempted > 0);
});
