import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { grade, GradePool } from "../../src/grade/mod.ts";

/** Pairs that only the symbolic stage can decide, with the answer. */
const SYMBOLIC: [string, string, boolean][] = [
  ["\\int_0^\\infty e^{-x^2}dx", "\\frac{\\sqrt\\pi}{2}", true],
  ["\\int_0^\\infty e^{-x^2}dx", "0", false],
  ["\\int_1^2 \\frac1x dx", "\\ln 2", true],
  ["\\frac{d}{dx}x^2", "2x", true],
  ["\\frac{d}{dx}x^2", "x^2", false],
  ["\\frac{d}{dx}\\sin x", "\\cos x", true],
  ["\\int_0^a x dx", "\\frac{a^2}{2}", true],
  ["\\int_0^a x dx", "a^2", false],
];
/** Right, and takes some tenths of a second. */
const HARD = ["\\lim_{h\\to 0}\\frac{\\sin(x+h)-\\sin x}{h}", "\\cos x"] as const;
/** Takes as long, and is a question of its own for every number. */
const hard = (n: number) => `${HARD[0]} + ${n} - ${n}`;

Deno.test("pool: what the cheap stages decide is the same and starts no worker", async () => {
  await using pool = new GradePool();
  const pairs = [["0.5", "\\frac12"], ["2,3", "23"], ["", "5"], ["\\text{east}", "\\text{west}"]];
  for (const [answer, gold] of pairs) {
    const verdict = pool.decide(answer, gold);
    assert(!(verdict instanceof Promise));
    assertEquals(verdict, grade(answer, gold));
    assertEquals(await pool.grade(answer, gold), verdict);
  }
  assertEquals(await pool.grade(undefined, "5"), { equal: false, reason: "no-answer" });
  assertEquals(pool.running, 0);
  // Only the words stay undecided; asked twice.
  assertEquals(pool.counts, { undecided: 2, symbolic: 0, time: 0, memory: 0, queue: 0 });
});

Deno.test("pool: the symbolic stage, in any order and with what came before forgotten", async () => {
  await using pool = new GradePool({ workers: 1 });
  const forth = await Promise.all(SYMBOLIC.map(([a, b]) => pool.grade(a, b)));
  assertEquals(forth.map(({ equal }) => equal), SYMBOLIC.map(([, , equal]) => equal));
  assertEquals(new Set(forth.filter(({ equal }) => equal).map(({ reason }) => reason)).size, 1);
  assertEquals(forth[0].reason, "symbolic");
  const turned = await Promise.all(SYMBOLIC.toReversed().map(([a, b]) => pool.grade(b, a)));
  assertEquals(turned.toReversed(), forth);
  assertEquals([pool.running, pool.counts.symbolic], [1, 2 * SYMBOLIC.length]);
});

Deno.test("pool: a question that takes forever costs the time limit, once, and the next one is answered", async () => {
  await using pool = new GradePool({ workers: 1, timeLimit: 100 });
  await pool.ready();
  const [endless, again, next] = await Promise.all([
    pool.grade(...HARD),
    pool.grade(...HARD),
    pool.grade("\\int_0^2 x dx", "2"),
  ]);
  assertEquals(endless, { equal: false, reason: "time" });
  assertEquals(again, endless);
  assertEquals(await pool.grade(...HARD), endless);
  assertEquals(next, { equal: true, reason: "symbolic" });
  assertEquals(pool.counts, { undecided: 3, symbolic: 4, time: 3, memory: 0, queue: 0 });
});

Deno.test("pool: a question asked many times is worked on once, in flight and later", async () => {
  await using pool = new GradePool({ workers: 2 });
  await pool.ready();
  const timed = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };
  const once = await timed(() => pool.grade(...HARD));
  const many = await timed(async () => {
    const verdicts = await Promise.all(
      Array.from(
        { length: 64 },
        (_, i) => pool.grade(hard(1), i % 2 === 0 ? "\\cos x" : "\\sin x"),
      ),
    );
    assertEquals(new Set(verdicts.map(({ reason }) => reason)), new Set(["symbolic", "different"]));
  });
  // Two questions, not 64.
  assert(many < 16 * once + 500, `${many} ms for 64, ${once} ms for one`);
  assert(await timed(() => pool.grade(...HARD)) < 20);
  assertEquals(pool.counts.symbolic, 66);
});

Deno.test("pool: the event loop goes on while a worker works", async () => {
  await using pool = new GradePool({ workers: 1 });
  await pool.ready();
  let beats = 0;
  const pulse = setInterval(() => beats++, 10);
  const asked = [1, 2, 3, 4].map((n) => pool.grade(hard(n), "\\cos x"));
  assertEquals((await Promise.all(asked)).map(({ reason }) => reason), Array(4).fill("symbolic"));
  clearInterval(pulse);
  // One beat a question would be that of its answer.
  assert(beats > 8, `the event loop ran ${beats} times`);
});

Deno.test({
  name: "pool: a process that was suspended grades on where it stopped",
  ignore: Deno.build.os === "windows",
  async fn() {
    const module = new URL("../../src/grade/mod.ts", import.meta.url);
    const source = `import { GradePool } from "${module}";
      const pool = new GradePool({ timeLimit: 3000 });
      await pool.ready();
      const verdict = pool.grade(...${JSON.stringify(HARD)});
      await new Promise((resolve) => setTimeout(resolve, 5));
      console.log("asked");
      console.log((await verdict).reason, JSON.stringify(pool.counts.time));`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-qA", "data:text/javascript," + encodeURIComponent(source)],
      stdout: "piped",
    }).spawn();
    let said = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (said !== "asked\n") continue;
      child.kill("SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, 4500));
      child.kill("SIGCONT");
    }
    assert((await child.status).success);
    assertEquals(said, "asked\nsymbolic 0\n");
  },
});

Deno.test("pool: one that is ready has a worker, and no more than one", async () => {
  await using pool = new GradePool();
  await pool.ready();
  await pool.ready();
  assertEquals(pool.running, 1);
  assertEquals((await pool.grade("\\int_0^2 x dx", "2")).reason, "symbolic");
  assertEquals(pool.running, 1);
});

Deno.test("pool: disposing of one that is still loading does not wait for an answer", async () => {
  const pool = new GradePool();
  const asked = [pool.grade("\\int_0^2 x dx", "2"), pool.grade("\\int_0^2 x dx", "2")];
  await pool[Symbol.asyncDispose]();
  assertEquals(await Promise.all(asked), Array(2).fill({ equal: false, reason: "undecided" }));
});

Deno.test("pool: a worker that fills its memory ends alone", async () => {
  await using pool = new GradePool({ workers: 1, memoryLimit: 16 });
  // 16 MiB do not even hold compute-engine: every worker dies.
  for (const ask of [() => pool.ready(), () => pool.grade("\\int_0^2 x dx", "2")]) {
    await assertRejects(ask, UserError, "the grading worker did not start");
  }
  assertEquals(pool.running, 0);
});

Deno.test("pool: a full queue leaves undecided, a closed pool refuses", async () => {
  const pool = new GradePool({ workers: 1, queueLimit: 1 });
  const first = pool.grade("\\int_0^2 x dx", "2");
  const second = pool.grade("\\int_0^1 6x dx", "3");
  assertEquals(await pool.grade("\\int_0^1 8x dx", "4"), { equal: false, reason: "queue" });
  assertEquals(pool.counts.queue, 1);
  assertEquals((await Promise.all([first, second])).map(({ equal }) => equal), [true, true]);
  await pool[Symbol.asyncDispose]();
  assertThrows(() => pool.decide("1", "1"), Error, "closed");
});

Deno.test("pool: disposing ends workers at work; what they were asked is undecided", async () => {
  const pool = new GradePool({ workers: 1 });
  await pool.grade("\\int_0^2 x dx", "2");
  const asked = [pool.grade(hard(1), "5"), pool.grade(hard(2), "6")];
  await pool[Symbol.asyncDispose]();
  assertEquals(await Promise.all(asked), Array(2).fill({ equal: false, reason: "undecided" }));
  assertEquals(pool.running, 0);
});

Deno.test("pool: a program that forgets to dispose of it ends, and needs only to read this module", async () => {
  const module = new URL("../../src/grade/mod.ts", import.meta.url);
  const source = `import { GradePool } from "${module}";
    console.log((await new GradePool().grade("\\\\int_0^2 x dx", "2")).reason);`;
  const run = async (...flags: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-q",
        "--no-prompt",
        ...flags,
        "data:text/javascript," + encodeURIComponent(source),
      ],
      env: { NO_COLOR: "1" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  };
  const folder = new URL("../../", import.meta.url).pathname;
  const allowed = await run(`--allow-read=${folder}`);
  assertEquals([allowed.code, allowed.stdout], [0, "symbolic\n"], allowed.stderr);
});
