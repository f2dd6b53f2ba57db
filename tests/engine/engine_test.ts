import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { lmHeadLogprobs, type Precision } from "../../ffi/mod.ts";
import {
  Engine,
  type EngineOptions,
  type PromptRequest,
  type RunOptions,
} from "../../src/engine/mod.ts";
import { type Decoder, type ModelConfig, packBatch } from "../../src/model/mod.ts";
import { families } from "../model/models.ts";
import { assertSameBits, backends, Lab, type Rand, seeded } from "../native.ts";
import {
  fromSeed,
  makeRequests,
  type Outcome,
  type Plan,
  play,
  roomy,
  sampled,
  stop,
  transcript,
  type Way,
} from "./scenario.ts";

/** A device with the model and the workload of a fresh seed. */
function withScenario(
  body: (lab: Lab, decoder: Decoder, plans: Plan[], rand: Rand) => Promise<void>,
  changes: Partial<ModelConfig> = {},
  weights: Precision = "f32",
): Promise<void> {
  return seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const { decoder, plans } = fromSeed(lab, rand.seed, changes, weights);
    const before = lab.device.allocatedBytes;
    using _ = decoder;
    await body(lab, decoder, plans, rand);
    assertEquals(lab.device.allocatedBytes, before, "bytes left on the device");
  });
}

function shuffled(rand: Rand) {
  return (requests: PromptRequest[]) =>
    requests.map((request) => ({ request, key: rand.uniform() }))
      .sort((a, b) => a.key - b.key).map(({ request }) => request);
}

Deno.test("engine: threads that each take a part of many rows change no bit", () =>
  seeded(async (rand) => {
    const runs: string[] = [];
    for (const threads of [1, 2, 3]) {
      using lab = await Lab.open({ threads });
      const { decoder, plans } = fromSeed(lab, rand.seed);
      using _ = decoder;
      const many = [0n, 1n, 2n, 3n, 4n, 5n].flatMap((copy) =>
        plans.map((plan) => ({ ...plan, id: plan.id + copy * 1000n }))
      );
      const { outcomes, stats } = await play(lab, decoder, many, { engine: { maxSequences: 120 } });
      assert(stats.widest > 96, "too few rows at once for three threads to take parts");
      runs.push(transcript(outcomes));
    }
    assertEquals(runs[1], runs[0]);
    assertEquals(runs[2], runs[0]);
  }));

Deno.test("engine: nothing about scheduling changes a token or a bit of a log-prob", () =>
  withScenario(async (lab, decoder, plans, rand) => {
    const expected = transcript((await play(lab, decoder, plans)).outcomes);
    const sometimes = () => rand.uniform() < 0.5 ? rand.int(0, 4) : undefined;
    const engines: Partial<EngineOptions>[] = [
      ...[1, 3, 8, 20].map((maxSequences) => ({ maxSequences })),
      ...[16, 32].map((block) => ({ blockSize: block })),
      ...[1, 5, 1024].map((prefillChunk) => ({ prefillChunk })),
      ...[1, 3, 8].map((stepsPerSync) => ({ stepsPerSync })),
      ...[true, false].map((lookahead) => ({ lookahead })),
    ];
    const ways: Way[] = [{}, { grouped: false }, { order: shuffled(rand) }, { delay: sometimes }];
    const variants: { engine: Partial<EngineOptions>; way: Way }[] = [
      ...engines.map((engine) => ({ engine, way: {} })),
      ...ways.map((way) => ({ engine: {}, way })),
    ];
    const pick = <T>(items: readonly T[]) => items[rand.int(0, items.length)];
    for (let i = 0; i < 12; i++) {
      const engine = Object.assign({}, pick(engines), pick(engines), pick(engines));
      variants.push({ engine, way: Object.assign({}, pick(ways), pick(ways)) });
    }
    for (const { engine, way } of variants) {
      const { outcomes } = await play(lab, decoder, plans, { engine, way });
      assertEquals(transcript(outcomes), expected, `${JSON.stringify(engine)} ${Object.keys(way)}`);
    }
  }));

if (backends.includes("emu")) {
  Deno.test("engine: nor on an emulated GPU, with preemption and rounds ahead of the host", () =>
    seeded(async (rand) => {
      using lab = await Lab.open({ backend: "emu" });
      const shape = { hidden: 64, ffn: 64, layers: 1, heads: 2, kvHeads: 1, headDim: 64 };
      const { decoder, plans: all } = fromSeed(lab, rand.seed, shape, "bf16");
      using _ = decoder;
      const plans = [...all.slice(8, 12), ...all.slice(-3)]; // short prompts and long ones
      const expected = transcript((await play(lab, decoder, plans)).outcomes);
      const variants: Partial<EngineOptions>[] = [
        { maxSequences: 3, stepsPerSync: 1, prefillChunk: 5 },
        { cacheTokens: 3 * 64, lookahead: false },
      ];
      for (const engine of variants) {
        const way = { order: shuffled(rand), delay: () => rand.uniform() < 0.3 ? 0 : undefined };
        const { outcomes } = await play(lab, decoder, plans, { engine, way });
        assertEquals(transcript(outcomes), expected, JSON.stringify(engine));
      }
    }));
}

Deno.test("engine: requests that come one by one, each with its own seed and sampling, give what each gives alone", () =>
  withScenario(async (lab, decoder, plans, rand) => {
    using engine = new Engine(lab.stream, decoder, roomy(plans, { maxSequences: 5 }));
    const ways: RunOptions[] = [
      sampled,
      { seed: 7n, sampling: { temperature: 0.8, topP: 0.9, topK: 12 } },
      { seed: 9n, sampling: { temperature: 0, topP: 1, topK: 0 } },
    ];
    const pick = plans.map(() => ways[rand.int(0, ways.length)]);
    const alone: string[] = [], online: string[] = [];
    for (const [i, plan] of plans.entries()) {
      const { outcomes, requests } = makeRequests([plan]);
      await engine.run(requests, pick[i]);
      alone[i] = transcript(outcomes);
    }
    const soon = () => new Promise((resolve) => setTimeout(resolve, 0));
    await Promise.all(plans.map(async (plan, i) => {
      for (let n = rand.int(0, 6); n > 0; n--) await soon();
      await engine.room();
      const { outcomes, requests: [request] } = makeRequests([plan]);
      await engine.submit(request, { ...pick[i], priority: rand.int(0, 2) });
      online[i] = transcript(outcomes);
    }));
    assertEquals(online, alone);
    assertEquals(engine.waiting, 0);
  }));

Deno.test("engine: top-p, top-k and temperature do not depend on scheduling either", () =>
  withScenario(async (lab, decoder, plans) => {
    const sampling = { temperature: 0.8, topP: 0.9, topK: 12 };
    const run = { seed: 7n, sampling };
    const expected = transcript((await play(lab, decoder, plans, { run })).outcomes);
    for (const engine of [{ maxSequences: 1 }, { maxSequences: 20, stepsPerSync: 1 }]) {
      const { outcomes } = await play(lab, decoder, plans, {
        run,
        engine,
        way: { grouped: false },
      });
      assertEquals(transcript(outcomes), expected);
    }
  }));

Deno.test("engine: the number of threads changes nothing", () =>
  seeded(async (rand) => {
    const texts: string[] = [];
    for (const threads of [1, 2, 3]) {
      using lab = await Lab.open({ threads });
      const { decoder, plans } = fromSeed(lab, rand.seed);
      using _ = decoder;
      texts.push(transcript((await play(lab, decoder, plans)).outcomes));
    }
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("./scenario.ts", import.meta.url).pathname, `${rand.seed}`],
      env: { OMP_NUM_THREADS: "3" },
      stderr: "inherit",
    });
    const child = JSON.parse(new TextDecoder().decode((await command.output()).stdout));
    assertEquals(child.threads, 3);
    texts.push(child.text);
    for (const text of texts) assertEquals(text, texts[0]);
  }));

/** A sequence as one list of tokens, and where the sampled ones stand in it. */
function flatten({ plan, turns }: Outcome) {
  const ids = [...plan.prompt];
  const actions: { index: number; logprob: number }[] = [];
  turns.forEach((turn, n) => {
    if (n > 0) ids.push(...plan.then[n - 1].append);
    turn.ids.forEach((id, i) => {
      actions.push({ index: ids.length, logprob: turn.logprobs[i] });
      ids.push(id);
    });
  });
  return { ids, actions };
}

const gapCases: [string, number, Partial<ModelConfig>, Precision][] = [
  ["Qwen2", 1, {}, "f32"],
  ["Qwen2", 0.7, {}, "f32"],
  ["Qwen2", 1, {}, "bf16"],
  ...Object.entries(families).map(([name, changes]): typeof gapCases[number] => [
    name,
    1,
    changes,
    "f32",
  ]),
];
for (const [name, temperature, changes, weights] of gapCases) {
  Deno.test(`engine: log-probs equal those of the training pass bit by bit, ${name} at temperature ${temperature}, weights ${weights}`, () =>
    withScenario(
      async (lab, decoder, plans) => {
        const run = { seed: 5n, sampling: { temperature, topP: 1, topK: 0 } };
        const { outcomes } = await play(lab, decoder, plans, { run });
        assert(outcomes.some(({ turns }) => turns.length === 3), "no sequence had three turns");
        const sequences = outcomes.map(flatten);
        const T = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
        const workspace = 4 * decoder.config.vocab * 50;
        const extra = 64 * 3 + 8 * T + workspace;
        using arena = lab.device.arena(decoder.activationBytes(T, { train: false }) + extra);
        const batch = packBatch(lab.stream, arena, sequences.map(({ ids }) => ids));
        const { hidden } = decoder.forward(lab.stream, arena, batch, { keep: false });
        const targets = arena.alloc("i32", [T]), logprobs = arena.alloc("f32", [T]);
        lab.stream.upload(
          targets,
          Int32Array.from(sequences.flatMap(({ ids }) => [...ids.slice(1), 0])),
        );
        lmHeadLogprobs(lab.stream, {
          h: hidden,
          w: decoder.params.head,
          workspace: arena.alloc("u8", [workspace]),
          logprobs,
          targets,
          temperature,
        });
        const trained = await lab.f32(logprobs);
        let start = 0;
        const pairs = sequences.flatMap(({ ids, actions }) => {
          const offset = start - 1; // the token before predicts
          start += ids.length;
          return actions.map(({ index, logprob }) => [logprob, trained[offset + index]]);
        });
        const [rolled, scored] = [0, 1].map((i) => Float32Array.from(pairs, (pair) => pair[i]));
        assert(rolled.length > 100);
        assertSameBits(rolled, scored, "log-probs");
      },
      changes,
      weights,
    ));
}

Deno.test("engine: bf16 weights sample something else, and half the bytes are counted", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const run = async (weights: Precision) => {
      const { decoder, plans } = fromSeed(lab, rand.seed, {}, weights);
      using _ = decoder;
      const { outcomes, stats } = await play(lab, decoder, plans, { engine: { maxSequences: 1 } });
      return { text: transcript(outcomes), bytes: stats.decodeBytes / stats.steps, decoder };
    };
    const [wide, narrow] = [await run("f32"), await run("bf16")];
    assertNotEquals(narrow.text, wide.text);
    const { matrices } = wide.decoder.params.layout;
    const saved = wide.bytes - narrow.bytes;
    // Sequences differ, and with them the keys that are read: at most a whole sequence's.
    assert(Math.abs(saved - 2 * matrices) < 0.5 * matrices, `${saved} bytes saved`);
  }));

Deno.test("engine: turns end with a stop token or a spent budget, and are streamed", () =>
  withScenario(async (lab, decoder, plans) => {
    const { outcomes, stats } = await play(lab, decoder, plans, { way: { grouped: false } });
    const budgets = new Set<boolean>();
    for (const { plan, turns, streamed } of outcomes) {
      assertEquals(turns.length, plan.then.length + 1);
      assertEquals(streamed, turns.flatMap((turn) => turn.ids));
      turns.forEach(({ ids, logprobs, truncated }, n) => {
        const most = n > 0 ? plan.then[n - 1].budget : Math.max(...plans.map((p) => p.budget));
        budgets.add(truncated);
        assertEquals(logprobs.length, ids.length);
        assert(logprobs.every((logprob) => logprob <= 0));
        assert(ids.slice(0, -1).every((id) => !stop.includes(id)), "a turn went on after its stop");
        assertEquals(truncated, !stop.includes(ids.at(-1)!));
        assert(truncated ? ids.length === most : ids.length <= most);
      });
    }
    assertEquals(budgets.size, 2, "the scenario has both ends");
    const ids = outcomes.flatMap(({ turns }) => turns.flatMap((turn) => turn.ids));
    assertEquals(stats.sampled, ids.length);
    assert(stats.steps >= Math.ceil(ids.length / 8) && stats.steps <= ids.length);
  }));

Deno.test("engine: a shared prompt is read once, appended tokens once a sequence", () =>
  withScenario(async (lab, decoder, plans) => {
    const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
    const appended = sum(plans.flatMap(({ then }) => then.map(({ append }) => append.length)));
    const prompts = [...new Set(plans.map(({ prompt }) => prompt))];
    const shared = await play(lab, decoder, plans);
    assertEquals(shared.stats.prefilled, appended + sum(prompts.map((p) => p.length - 1)));
    const separate = await play(lab, decoder, plans, { way: { grouped: false } });
    const each = appended + sum(plans.map((p) => p.prompt.length - 1));
    const { prefilled } = separate.stats;
    assert(prefilled >= shared.stats.prefilled && prefilled <= each, `${prefilled} of ${each}`);
  }));

Deno.test("engine: a cache with room for few sequences at a time gives the same tokens", () =>
  withScenario(async (lab, decoder, plans) => {
    const expected = transcript((await play(lab, decoder, plans)).outcomes);
    const delay = () => 0;
    for (const way of [{}, { grouped: false }, { delay }]) {
      const { requests } = makeRequests(plans, way);
      // A request with several samples holds its prompt's blocks beside those of each sequence.
      const least = Math.max(
        ...requests.map(({ prompt, maxTokens, sequences }) =>
          Math.ceil(maxTokens / 16) + (sequences.length > 1 && (prompt.length - 1) % 16 ? 1 : 0)
        ),
      );
      for (const blocks of [least, least + 1, 2 * least]) {
        // Were a single block lost, the later ones of 21 sequences would find none.
        const lookahead = blocks > least;
        const engine = { cacheTokens: 16 * blocks, blockSize: 16, lookahead };
        const { outcomes } = await play(lab, decoder, plans, { engine, way });
        assertEquals(transcript(outcomes), expected, `${blocks} blocks`);
      }
    }
  }));

Deno.test("engine: seeds matter, ids matter, and runs repeat", () =>
  withScenario(async (lab, decoder, plans) => {
    using engine = new Engine(lab.stream, decoder, roomy(plans));
    const run = async (seed: bigint, from: readonly Plan[] = plans) => {
      const { outcomes, requests } = makeRequests(from);
      await engine.run(requests, { ...sampled, seed });
      return transcript(outcomes.map((o, i) => ({ ...o, plan: plans[i] })));
    };
    const first = await run(42n);
    assertNotEquals(await run(43n), first);
    assertNotEquals(await run(42n, plans.map((plan) => ({ ...plan, id: plan.id + 1n }))), first);
    assertNotEquals(await run(42n + 2n ** 40n), first);
    assertEquals(await run(42n), first);
  }));

Deno.test("engine: temperature 0 and top-k 1 take the most likely token", () =>
  withScenario(async (lab, decoder, plans) => {
    const run = async (seed: bigint, temperature: number, topK: number) =>
      (await play(lab, decoder, plans, { run: { seed, sampling: { temperature, topP: 1, topK } } }))
        .outcomes.flatMap(({ turns }) => turns);
    const ids = (turns: { ids: number[] }[]) => turns.map((turn) => turn.ids);
    const greedy = await run(1n, 0, 0);
    assertEquals(ids(await run(2n, 0, 0)), ids(greedy));
    const one = await run(3n, 1, 1);
    assertEquals(ids(one), ids(greedy));
    assert(one.every(({ logprobs }) => logprobs.every((logprob) => logprob === 0)));
    assert(greedy.every(({ logprobs }) => logprobs.every((logprob) => logprob < 0)));
  }));

Deno.test("engine: changed weights are used by the next run", () =>
  withScenario(async (lab, decoder, plans) => {
    using engine = new Engine(lab.stream, decoder, roomy(plans));
    const run = async () => {
      const { outcomes, requests } = makeRequests(plans);
      await engine.run(requests, sampled);
      return transcript(outcomes);
    };
    const before = await run();
    const { flat } = decoder.params.master;
    const weights = await lab.f32(flat);
    lab.stream.upload(flat, weights.map((w, i) => i % 3 ? w : 1.1 * w));
    decoder.params.refresh(lab.stream);
    const after = await run();
    assertNotEquals(after, before);
    assertEquals(after, transcript((await play(lab, decoder, plans)).outcomes));
    lab.stream.upload(flat, weights);
    decoder.params.refresh(lab.stream);
    assertEquals(await run(), before);
  }));
