import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import { grade, GradePool } from "../../src/grade/mod.ts";

/** Pairs that only the symbolic stage can decide, with the answer. */
const SYMBOLIC: [string, string, boolean][] = [
  ["\\sum_{k=1}^{n} k", "\\frac{n(n+1)}{2}", true],
  ["\\sum_{k=1}^{n} k", "\\frac{n(n-1)}{2}", false],
  ["\\sum_{k=1}^{10} k^2", "385", true],
  ["\\prod_{i=1}^n i", "n!", true],
  ["\\prod_{i=1}^n i", "i^n", false],
  ["\\int_0^\\infty e^{-x^2}dx", "\\frac{\\sqrt\\pi}{2}", true],
  ["\\int_0^\\infty e^{-x^2}dx", "0", false],
  ["\\int_1^2 \\frac1x dx", "\\ln 2", true],
  ["\\frac{d}{dx}x^2", "2x", true],
  ["\\frac{d}{dx}x^2", "x^2", false],
  ["\\max(1,2)", "2", true],
  ["\\gcd(4,6)", "3", false],
  ["{n \\choose 2}", "\\frac{n(n-1)}2", true],
];
/** Takes compute-engine far longer than any limit here. */
const ENDLESS = "\\sum_{a=1}^{1999}\\sum_{b=1}^{1999} \\sin(a^{b})";

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

Deno.test("pool: a question that takes forever costs the time limit, and the next one is answered", async () => {
  await using pool = new GradePool({ workers: 1, timeLimit: 5000 });
  await pool.grade(SYMBOLIC[0][0], SYMBOLIC[0][1]); // loads the worker
  const began = performance.now();
  let beats = 0;
  const pulse = setInterval(() => beats++, 50);
  const [endless, next] = await Promise.all([
    pool.grade(ENDLESS, "5"),
    pool.grade(SYMBOLIC[0][0], SYMBOLIC[0][1]),
  ]);
  clearInterval(pulse);
  assertEquals(endless, { equal: false, reason: "time" });
  assertEquals(next, { equal: true, reason: "symbolic" });
  assert(performance.now() - began > 4900);
  assert(beats > 10, `the event loop ran ${beats} times`);
  assertEquals(pool.counts, { undecided: 1, symbolic: 3, time: 1, memory: 0, queue: 0 });
});

Deno.test("pool: one that is ready has a worker, and no more than one", async () => {
  await using pool = new GradePool();
  await pool.ready();
  await pool.ready();
  assertEquals(pool.running, 1);
  assertEquals((await pool.grade("\\max(1,2)", "2")).reason, "symbolic");
  assertEquals(pool.running, 1);
});

Deno.test("pool: disposing of one that is still loading does not wait for an answer", async () => {
  const pool = new GradePool();
  const asked = [pool.grade("\\max(1,2)", "2"), pool.grade("\\max(1,2)", "2")];
  await pool[Symbol.asyncDispose]();
  assertEquals(await Promise.all(asked), Array(2).fill({ equal: false, reason: "undecided" }));
});

Deno.test("pool: a worker that fills its memory ends alone", async () => {
  await using pool = new GradePool({ workers: 1, memoryLimit: 16 });
  // 16 MiB do not even hold compute-engine: every worker dies.
  for (const ask of [() => pool.ready(), () => pool.grade("\\max(1,2)", "2")]) {
    await assertRejects(ask, UserError, "the grading worker did not start");
  }
  assertEquals(pool.running, 0);
});

Deno.test("pool: a full queue leaves undecided, a closed pool refuses", async () => {
  const pool = new GradePool({ workers: 1, queueLimit: 1 });
  const first = pool.grade("\\max(1,2)", "2");
  const second = pool.grade("\\max(1,3)", "3");
  assertEquals(await pool.grade("\\max(1,4)", "4"), { equal: false, reason: "queue" });
  assertEquals(pool.counts.queue, 1);
  assertEquals((await Promise.all([first, second])).map(({ equal }) => equal), [true, true]);
  await pool[Symbol.asyncDispose]();
  assertThrows(() => pool.decide("1", "1"), Error, "closed");
});

Deno.test("pool: disposing ends workers at work; what they were asked is undecided", async () => {
  const pool = new GradePool({ workers: 1 });
  await pool.grade("\\max(1,2)", "2");
  const asked = [pool.grade(ENDLESS, "5"), pool.grade(ENDLESS, "6")];
  await pool[Symbol.asyncDispose]();
  assertEquals(await Promise.all(asked), Array(2).fill({ equal: false, reason: "undecided" }));
  assertEquals(pool.running, 0);
});

Deno.test("pool: a program that forgets to dispose of it ends, and needs only to read this module", async () => {
  const module = new URL("../../src/grade/mod.ts", import.meta.url);
  const source = `import { GradePool } from "${module}";
    console.log((await new GradePool().grade("\\\\max(1,2)", "2")).reason);`;
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
