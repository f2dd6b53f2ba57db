import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  evaluate,
  playEpisodes,
  type PlayOptions,
  solve,
  untilAborted,
} from "../../src/rollout/mod.ts";
import { grade, GradePool, type Grader } from "../../src/grade/mod.ts";
import { Model, Tokenizer } from "../../src/model/mod.ts";
import { tinyPrompts, tinyTokenizerJson, tinyVocabSize } from "../../src/tiny/mod.ts";
import { type Episode, Task, type TaskSpec } from "../../src/task/mod.ts";
import { randomDecoder, tinyConfig } from "../model/models.ts";
import { Lab, Rand, seeded } from "../native.ts";
import {
  baseline,
  groups,
  playing,
  problems,
  taskOptions,
  thinker,
  toyDecoder,
  toyEngine,
} from "../ppo/toy.ts";

/** What an episode is, without the machine behind it. */
function facts({ id, ids, segments, done, mode }: Episode) {
  return { id, ids, segments, done, mode };
}

/** Plays eight questions four times on a fresh engine. */
async function play(lab: Lab, changes: Partial<PlayOptions> = {}) {
  using actor = toyDecoder(lab, "lm");
  using engine = toyEngine(lab, actor);
  return await playEpisodes(engine, groups(8, 4), { ...playing, ...changes });
}

Deno.test("rollout: episodes come back in order, over and graded, with all stages among them", async () => {
  using lab = await Lab.open({ threads: 1 });
  const { episodes, stats } = await play(lab);
  assertEquals(episodes.map(({ id }) => id), Array.from({ length: 32 }, (_, i) => BigInt(i)));
  assertEquals(episodes.map(({ problem }) => problem.id).slice(2, 6), ["p0", "p0", "p1", "p1"]);
  assert(episodes.every(({ done }) => done));
  const seen = new Set(episodes.flatMap(({ segments }) => segments.map(({ stage }) => stage)));
  assertEquals(seen, new Set(["fast", "verify", "slow", "summary"]));
  for (const { segments } of episodes) {
    for (const { stage, answer, correct } of segments) {
      if (stage !== "verify") assertEquals(correct, answer === "7");
    }
  }
  const lengths = episodes.flatMap(({ segments }) => segments.map(({ length }) => length));
  assertEquals(stats.sampled, lengths.reduce((a, b) => a + b, 0));
});

Deno.test("rollout: graders that answer at once, soon or late give identical episodes", () =>
  seeded(async (rand) => {
    using lab = await Lab.open({ threads: 1 });
    for (const mode of ["train", "inference"] as const) {
      const equal = (answer: string, gold: string) => answer === gold;
      const expected = (await play(lab, { mode, grade: equal })).episodes.map(facts);
      const late = (answer: string, gold: string) =>
        new Promise<boolean>((resolve) =>
          setTimeout(() => resolve(equal(answer, gold)), rand.int(0, 15))
        );
      const graders: Grader[] = [
        (answer, gold) => Promise.resolve(equal(answer, gold)),
        late,
        (answer, gold) => rand.uniform() < 0.5 ? equal(answer, gold) : late(answer, gold),
      ];
      for (const grade of graders) {
        assertEquals((await play(lab, { mode, grade })).episodes.map(facts), expected);
      }
    }
  }));

Deno.test("rollout: verdicts of the symbolic stage arrive late and give the same episodes", async () => {
  using lab = await Lab.open({ threads: 1 });
  await using pool = new GradePool();
  const exact = (answer: string, gold: string) => grade(answer, gold).equal;
  const expected = (await play(lab, { grade: exact })).episodes.map(facts);
  const symbolic: Grader = async (answer, gold) =>
    (await pool.grade(answer, `\\int_0^1 (${gold}) dt`)).equal;
  assertEquals((await play(lab, { grade: symbolic })).episodes.map(facts), expected);
  assert(pool.counts.symbolic > 0 && pool.counts.time === 0);
  assert(expected.some(({ segments }) => segments.some(({ correct }) => correct === true)));
});

Deno.test("rollout: a grader that throws or rejects, at once or late, rejects the rollout", async () => {
  using lab = await Lab.open({ threads: 1 });
  using actor = toyDecoder(lab, "lm");
  using engine = toyEngine(lab, actor);
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const failures: Record<string, Grader> = {
    throws: () => {
      throw new Error("the grader broke");
    },
    rejects: () => Promise.reject(new Error("the grader broke")),
    "rejects late": () => wait(30).then(() => Promise.reject(new Error("the grader broke"))),
  };
  for (const mode of ["train", "inference"] as const) {
    for (const [name, fail] of Object.entries(failures)) {
      for (const from of [1, 8]) {
        let calls = 0;
        const grade: Grader = (...asked) => ++calls < from ? false : fail(...asked);
        const run = playEpisodes(engine, groups(8, 4), { ...playing, mode, grade });
        await assertRejects(() => run, Error, "the grader broke", `${name} ${mode} ${from}`);
        await wait(40); // verdicts still on their way must not surface anywhere else
      }
    }
  }
  assertEquals((await playEpisodes(engine, groups(8, 4), playing)).episodes.length, 32);
});

Deno.test("rollout: onTokens hears every action in the order of the stages, onEpisode each episode once", async () => {
  using lab = await Lab.open({ threads: 1 });
  for (const grade of [playing.grade, (a: string, b: string) => Promise.resolve(a === b)]) {
    const heard = new Map<bigint, { stage: string; ids: number[] }[]>();
    const over: Episode[] = [];
    const { episodes } = await play(lab, {
      grade,
      onTokens: ({ id }, stage, ids) => {
        const turns = heard.get(id) ?? [];
        heard.set(id, turns);
        if (turns.at(-1)?.stage !== stage) turns.push({ stage, ids: [] });
        turns.at(-1)!.ids.push(...ids);
      },
      onEpisode: (episode) => {
        assert(episode.done);
        over.push(episode);
      },
    });
    for (const { id, ids, segments } of episodes) {
      const expected = segments.map(({ stage, start, length }) => ({
        stage,
        ids: ids.slice(start, start + length),
      }));
      assertEquals(heard.get(id), expected);
    }
    assertEquals(new Set(over), new Set(episodes));
    assertEquals(over.length, episodes.length);
    assert(over.some((episode, i) => episode !== episodes[i]), "as they end, not in order");
  }
});

Deno.test("rollout: an aborted signal stops it with the signal's reason", async () => {
  using lab = await Lab.open({ threads: 1 });
  const controller = new AbortController();
  const onTokens = () => controller.abort(new Error("enough"));
  await assertRejects(() => play(lab, { onTokens, signal: controller.signal }), Error, "enough");
});

/** Asks a tool after every right answer, which it counts; `next` decides otherwise. */
function asking(next?: TaskSpec["next"]): { task: Task; calls: () => number } {
  let calls = 0;
  const stage = { budget: 4, reward: () => 0 };
  const call = () => `${++calls}`;
  const task = new Task({
    name: "asking",
    title: "Asking",
    stages: [
      { ...stage, name: "ask", title: "Ask", prompt: "{question}" },
      { ...stage, name: "tell", title: "Tell", prompt: "{result}", tool: { tokens: 3, call } },
    ],
    next: next ?? (([{ correct }, second]) => {
      if (correct === undefined) return "await grade";
      return correct && !second ? { stage: "tell" } : "end";
    }),
    final: ([first]) => first,
  }, taskOptions);
  return { task, calls: () => calls };
}

Deno.test("rollout: once it is over, late grades call no tool", async () => {
  using lab = await Lab.open({ threads: 1 });
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const { task, calls } = asking();
  for (const failing of [false, true]) {
    const controller = new AbortController(), late: ((equal: boolean) => void)[] = [];
    const grade = () => {
      if (failing && late.length === 3) throw new Error("enough");
      return new Promise<boolean>((resolve) => late.push(resolve));
    };
    let over = 0;
    const onEpisode = () => over++;
    const playing = play(lab, { task, grade, onEpisode, signal: controller.signal });
    const timer = setTimeout(() => controller.abort(new Error("enough")), failing ? 5000 : 100);
    await assertRejects(() => playing, Error, "enough");
    clearTimeout(timer);
    assert(late.length > 2);
    const before = over;
    late.forEach((resolve, i) => resolve(i % 2 === 0));
    await wait(5);
    assertEquals([calls(), over], [0, before], "nor is an episode ended");
  }
  await play(lab, { task });
  assert(calls() > 0, "else it would prove nothing");
});

Deno.test("rollout: an aborted signal ends the wait for the last grades", async () => {
  using lab = await Lab.open({ threads: 1 });
  const controller = new AbortController(), late: ((error: Error) => void)[] = [];
  const grade = () => new Promise<boolean>((_, reject) => late.push(reject));
  const run = play(lab, { ...asking(() => "end"), grade, signal: controller.signal });
  const timer = setTimeout(() => controller.abort(new Error("enough")), 300);
  await assertRejects(() => run, Error, "enough");
  clearTimeout(timer);
  assert(late.length > 0);
  for (const reject of late) reject(new Error("too late to matter"));
  await new Promise((resolve) => setTimeout(resolve, 5));
});

Deno.test("untilAborted: the promise or the signal's reason, whichever is first", async () => {
  const never = new Promise<number>(() => {});
  const controller = new AbortController(), { signal } = controller;
  assertEquals(await untilAborted(Promise.resolve(1)), 1);
  assertEquals(await untilAborted(Promise.resolve(1), signal), 1);
  await assertRejects(() => untilAborted(Promise.reject(new Error("no")), signal), Error, "no");
  const waiting = untilAborted(never, signal);
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(
    () => untilAborted(never, signal),
    Error,
    "enough",
    "and once it has aborted",
  );
});

Deno.test("evaluate: accuracies are shares of the episodes, under the model's own verdicts", async () => {
  using lab = await Lab.open({ threads: 1 });
  using actor = toyDecoder(lab, "lm");
  using engine = toyEngine(lab, actor);
  const options = { problems: problems(20), grade: playing.grade, seed: 3n, samples: 3 };
  const { episodes, accuracy, tokens, firstTokens } = await evaluate(engine, {
    ...options,
    task: thinker,
  });
  assertEquals(episodes.length, 60);
  assertEquals(new Set(episodes.map(({ id }) => id)).size, 60);
  const share = (hits: readonly boolean[]) => hits.filter(Boolean).length / hits.length;
  const turns = (stage: string) =>
    episodes.flatMap((e) => e.segments.filter((s) => s.stage === stage));
  assertEquals(accuracy.fast, share(turns("fast").map(({ correct }) => correct!)));
  assertEquals(accuracy.slow, share(turns("slow").map(({ correct }) => correct!)));
  const final = episodes.map(({ segments: [fast, verify, slow] }) =>
    verify.verdict === "yes" ? fast.correct! : slow.correct!
  );
  assertEquals(accuracy.final, share(final));
  const sizes = episodes.map(({ segments }) => segments.reduce((sum, s) => sum + s.length, 0));
  assertEquals(tokens, sizes.reduce((a, b) => a + b, 0) / 60);
  assertEquals(firstTokens, turns("fast").reduce((sum, s) => sum + s.length, 0) / 60);

  const again = await evaluate(engine, { ...options, task: thinker });
  assertEquals(again.episodes.map(facts), episodes.map(facts));
  const other = await evaluate(engine, { ...options, task: thinker, seed: 4n });
  assert(other.episodes.some(({ ids }, i) => ids.join() !== episodes[i].ids.join()));

  const plain = await evaluate(engine, { ...options, task: baseline });
  assertEquals(plain.accuracy.final, plain.accuracy.answer);
  assertEquals(Object.keys(plain.accuracy).sort(), ["answer", "final"]);
});

Deno.test("solve: any model gets through to a final segment, and onText tells its text", async () => {
  using lab = await Lab.open({ threads: 1 });
  const tokenizer = Tokenizer.fromJson(tinyTokenizerJson(), "the tiny tokenizer");
  const config = tinyConfig({ hidden: 32, vocab: tinyVocabSize, maxPositions: 512, eos: [] });
  using decoder = randomDecoder(lab, config, { head: "lm", train: false }, new Rand(2));
  const model = new Model(lab.stream, decoder, tokenizer);
  const budgets = { fast: 6, verify: 5, slow: 7, summary: 4 };
  const run = async (seed: bigint) => {
    const said: [string, string][] = [];
    const { episode, final } = await solve(model, "1+1=", {
      prompts: tinyPrompts,
      budgets,
      seed,
      onText: (stage, text) => {
        if (said.at(-1)?.[0] === stage) said.at(-1)![1] += text;
        else said.push([stage, text]);
      },
    });
    assert(episode.done && final);
    assertEquals(final.stage, episode.segments[1].verdict === "yes" ? "fast" : "slow");
    const spoken = episode.segments.map(({ stage, start, length }): [string, string] => {
      return [
        stage,
        tokenizer.decode(episode.ids.slice(start, start + length), { skipSpecial: true }),
      ];
    });
    assertEquals(said, spoken.filter(([, text]) => text !== ""));
    return episode.ids;
  };
  const first = await run(1n);
  assertEquals(await run(1n), first);
  assert((await run(2n)).join() !== first.join());
});
