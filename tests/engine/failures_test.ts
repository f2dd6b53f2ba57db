import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { NativeError } from "../../ffi/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import { Engine, type PromptRequest, type SequenceRequest } from "../../src/engine/mod.ts";
import { Lab, seeded } from "../native.ts";
import { config, fromSeed, makeRequests, roomy, sampled, stop, transcript } from "./scenario.ts";

/** An engine that is checked to work as before after the body has made it fail. */
async function withEngine(body: (engine: Engine, good: PromptRequest[]) => Promise<void>) {
  await seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const { decoder, plans } = fromSeed(lab, rand.seed);
    using _ = decoder;
    using engine = new Engine(lab.stream, decoder, roomy(plans));
    const run = async () => {
      const { outcomes, requests } = makeRequests(plans);
      await engine.run(requests, sampled);
      return transcript(outcomes);
    };
    const expected = await run();
    await body(engine, makeRequests(plans).requests);
    assertEquals(await run(), expected, "after the failure");
  });
}

/** A request for one sequence that ends with its first turn. */
function request(changes: Partial<PromptRequest & SequenceRequest> = {}): PromptRequest {
  const { id = 0n, onTurn = () => null, ...rest } = changes;
  return { prompt: [5, 6, 7], budget: 4, maxTokens: 20, sequences: [{ id, onTurn }], ...rest };
}

Deno.test("engine: requests that cannot work are refused with one clear line before anything runs", () =>
  withEngine(async (engine, good) => {
    const cases: [PromptRequest, string][] = [
      [request({ prompt: [] }), "a prompt is empty"],
      [request({ budget: 0 }), "a token budget is 0"],
      [request({ budget: NaN }), "a token budget is NaN"],
      [request({ maxTokens: 6 }), "a prompt of 3 tokens and a budget of 4 exceed the 6 tokens"],
      [request({ maxTokens: 1000 }), "may grow to 1000 tokens, the engine was set up for"],
    ];
    for (const [bad, message] of cases) {
      let turns = 0;
      const counted = request({ onTurn: () => (turns++, null) });
      const run = engine.run([counted, ...good, bad], sampled);
      const error = await assertRejects(() => run, UserError, message);
      assert(!error.message.includes("\n"));
      assertEquals(turns, 0);
    }
  }));

Deno.test("engine: a sequence that the cache can never hold is refused", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const { decoder } = fromSeed(lab, rand.seed);
    using _ = decoder;
    const options = { maxSequences: 2, maxTokens: 100, cacheTokens: 64, block: 16, stop };
    using engine = new Engine(lab.stream, decoder, options);
    const long = request({ prompt: Array<number>(50).fill(4), maxTokens: 65 });
    const message = "a sequence of 65 tokens does not fit into a KV cache of 64 tokens";
    await assertRejects(() => engine.run([long], sampled), UserError, message);
    // Two samples hold it one after the other.
    const one = { id: 0n, onTurn: () => null };
    const pair = { ...long, maxTokens: 64, sequences: [one, { ...one, id: 1n }] };
    const { sampled: count } = await engine.run([pair], sampled);
    assert(count >= 2);
  }));

Deno.test("engine: sequences longer than the model's positions are refused", async () => {
  using lab = await Lab.open({ threads: 1 });
  const { decoder } = fromSeed(lab, 1);
  using _ = decoder;
  await lab.stream.sync();
  const before = lab.device.allocatedBytes;
  const maxTokens = config.maxPositions + 1;
  const options = { maxSequences: 1, maxTokens, cacheTokens: 1000, stop };
  const open = () => new Engine(lab.stream, decoder, options);
  assertThrows(open, UserError, "sequences of 257 tokens exceed the model's 256 positions");
  assertEquals(lab.device.allocatedBytes, before);
});

Deno.test("engine: a next turn that outgrows its promise or has no budget fails the run", () =>
  withEngine(async (engine, good) => {
    const append = [5, 6];
    for (const later of [false, true]) {
      const answer = (budget: number) => () => {
        const next = { append, budget };
        return later ? Promise.resolve(next) : next;
      };
      const long = request({ onTurn: answer(16), id: 99n });
      await assertRejects(() => engine.run([...good, long], sampled), UserError, "sequence 99");
      const empty = request({ onTurn: answer(0) });
      await assertRejects(() => engine.run([empty, ...good], sampled), UserError, "budget is 0");
    }
    let turns = 0; // 3 + 4 + 2 + 11 = 20 tokens at most: allowed
    const exact = request({ onTurn: () => ++turns === 1 ? { append, budget: 11 } : null });
    await engine.run([exact], sampled);
    assertEquals(turns, 2);
  }));

Deno.test("engine: what an owner throws rejects the run, at once or later", () =>
  withEngine(async (engine, good) => {
    const sync = request({
      onTurn: () => {
        throw new Error("thrown by an owner");
      },
    });
    await assertRejects(() => engine.run([...good, sync], sampled), Error, "thrown by an owner");
    const rejecting = request({ onTurn: () => Promise.reject(new Error("rejected by an owner")) });
    await assertRejects(() => engine.run([rejecting], sampled), Error, "rejected by an owner");
    const all = [rejecting, ...good, rejecting];
    await assertRejects(() => engine.run(all, sampled), Error, "rejected by an owner");
  }));

Deno.test("engine: an aborted signal rejects the run with its reason", () =>
  withEngine(async (engine, good) => {
    const reason = new Error("the user has gone");
    const early = AbortSignal.abort(reason);
    const run = (requests: PromptRequest[], signal: AbortSignal) =>
      assertRejects(() => engine.run(requests, { ...sampled, signal }), Error, "the user has gone");
    await run(good, early);

    const during = new AbortController();
    let turns = 0;
    const abort = () => (turns++, during.abort(reason), null);
    const last = request({ prompt: Array<number>(30).fill(9), maxTokens: 34 });
    await run([...good, request({ onTurn: abort }), last], during.signal);
    assertEquals(turns, 1);

    const waiting = new AbortController();
    const silent = request({
      onTurn: () => {
        setTimeout(() => waiting.abort(reason), 5);
        return new Promise(() => {});
      },
    });
    await run([silent], waiting.signal);
  }));

Deno.test("engine: a token that is not in the vocabulary fails the run, not the process", () =>
  withEngine(async (engine, good) => {
    const bad = request({ prompt: [5, config.vocab, 6] });
    await assertRejects(() => engine.run([...good, bad], sampled), NativeError, "embedding");
  }));

Deno.test("engine: two runs at once give what each gives alone, and one may fail without the other", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const { decoder, plans } = fromSeed(lab, rand.seed);
    using _ = decoder;
    using engine = new Engine(lab.stream, decoder, roomy(plans));
    const make = () => makeRequests(plans);
    const alone = make(), one = make(), two = make();
    await engine.run(alone.requests, sampled);
    const failing = request({
      onTurn: () => {
        throw new Error("thrown by an owner");
      },
    });
    const bad = assertRejects(
      () => engine.run([...make().requests, failing], sampled),
      Error,
      "thrown by an owner",
    );
    await Promise.all([engine.run(one.requests, sampled), engine.run(two.requests, sampled), bad]);
    assertEquals(transcript(one.outcomes), transcript(alone.outcomes));
    assertEquals(transcript(two.outcomes), transcript(alone.outcomes));
  }));

Deno.test("engine: no requests, requests without sequences, and no stop tokens", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    const { decoder } = fromSeed(lab, rand.seed);
    using _ = decoder;
    const options = { maxSequences: 2, maxTokens: 64, cacheTokens: 200, stop: [] };
    using engine = new Engine(lab.stream, decoder, options);
    for (const requests of [[], [{ ...request(), sequences: [] }]]) {
      const { sampled: count, prefilled, steps } = await engine.run(requests, sampled);
      assertEquals([count, prefilled, steps], [0, 0, 0]);
    }
    const lengths: number[] = [];
    const long = request({
      budget: 60,
      maxTokens: 63,
      onTurn: ({ ids, truncated }) => (lengths.push(ids.length), assert(truncated), null),
    });
    await engine.run([long], sampled);
    assertEquals(lengths, [60]);
  }));
