/** `thinker data`, with the permissions of `deno task data` and of `deno task thinker`. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { TempDir } from "../e2e/small.ts";
import { TestHub } from "../hub/server.ts";
import { ended, startData, thinker } from "./thinker.ts";

const rows = (count: number) =>
  new TextEncoder().encode(
    Array.from({ length: count }, (_, i) => JSON.stringify({ problem: `${i}?`, answer: i }) + "\n")
      .join(""),
  );

Deno.test("cli: data downloads from the hub that HF_ENDPOINT names, and from nowhere else", async () => {
  await using dir = await TempDir.make();
  await using hub = await TestHub.start({
    files: { "test.jsonl": rows(30) },
    faults: { "test.jsonl": [{ dropAfter: 100 }] },
  });
  const run = async (args: string[], env: Record<string, string>) => {
    const own = ["--sets", "aime25", "--out", `${dir.path}/data`];
    return await ended(await startData([...own, ...args], { env }));
  };
  const env = { HF_ENDPOINT: `${hub.endpoint}/`, HF_TOKEN: "secret" };
  const first = await run([], env);
  assertEquals(first.code, 0, first.stderr);
  assertMatch(first.stdout, /^aime25 +30 rows +\S+\/eval\/aime25\.jsonl +\(checksum recorded/);
  assertEquals(hub.seen.map(({ range }) => range), [undefined, "bytes=100-"]);
  assertEquals(hub.seen[0].authorization, "Bearer secret");
  const again = await run(["--json"], env);
  assertEquals(JSON.parse(again.stdout).sets[0].proof, "lock");
  assertEquals(hub.seen.length, 2, "nothing is downloaded twice");

  await Deno.remove(`${dir.path}/data/raw`, { recursive: true });
  const bad = await run([], { HF_ENDPOINT: "nonsense" });
  assertEquals(bad.code, 1);
  assertMatch(
    bad.stderr,
    /^error: the hub's address "nonsense" is no http\(s\) address\nhint: correct HF_ENDPOINT/,
  );
  const unknown = await ended(await startData(["--sets", "aime"], { env }));
  assertEquals(unknown.code, 1);
  assertMatch(unknown.stderr, /^error: --sets: there is no set "aime"\nhint: sets: math500, /);
});

Deno.test("cli: data without the network converts, and says how to get it otherwise", async () => {
  await using dir = await TempDir.make();
  const from = `${dir.path}/from`, out = `${dir.path}/data`;
  await Deno.mkdir(from);
  await Deno.writeFile(`${from}/aime25.jsonl`, rows(30));
  const done = await thinker(["data", "--from", from, "--out", out]);
  assertEquals(done.code, 0, done.stderr);
  assertMatch(done.stdout, /^aime25 +30 rows/);
  assertMatch(done.stdout, /\nnot in .*from: math500, aime24, /);
  assert((await Deno.readTextFile(`${out}/eval/aime25.jsonl`)).startsWith('{"id":"aime25/0"'));

  const lacking = await thinker(["data", "--from", from, "--sets", "amc23", "--out", out]);
  assertEquals(lacking.code, 1);
  assertMatch(lacking.stderr, /^error: .*from has no file of amc23\n/);
  const offline = await thinker(["data", "--out", out]);
  assertEquals(offline.code, 1);
  assertMatch(
    offline.stderr,
    /^error: thinker data may not connect to the hub\nhint: .*deno task data/,
  );
});

Deno.test("cli: data check tells what is read of a file, and writes it as rows", async () => {
  await using dir = await TempDir.make();
  const file = `${dir.path}/mixed.jsonl`, out = `${dir.path}/eval/mine.jsonl`;
  const ask = (question: string) => `${question} Let's think step by step.`;
  const lines = [
    ...Array.from({ length: 12 }, (_, i) => ({ problem: ask(`${i}+1=`), answer: `${i + 1}` })),
    { problem: "Prove it.", answer: "proof" },
    { problem: "Prove it.", solution: "QED" },
    { problem: "Which?", options: ["x", "y"], answer: "B" },
  ];
  await Deno.writeTextFile(file, lines.map((each) => JSON.stringify(each) + "\n").join(""));
  const plain = await thinker(["data", "check", file, "--prompts", "tiny", "--write", out]);
  assertEquals([plain.code, plain.stderr], [0, ""]);
  const [head, ...cards] = plain.stdout.split("\nmixed/");
  assertEquals(
    head.split("\n\nasked as")[0],
    `${file}: 13 problems of 15 rows
questions from problem (13)
answers from answer (13)
keys found: problem, answer, solution, options

left out:
      1  the answer is "proof" (first: line 13)
      1  the solution has no final answer: no \\boxed, no #### (first: line 14)

to know of the questions:
     12  asks to think step by step (first: line 1, "0+1= Let's think step by step.")`,
  );
  assertMatch(head, /\nasked as \(thinker, its first stage\):\n {2}\| .*\{question\}/);
  assertEquals(cards.length, 10);
  assertEquals(cards[0].trim(), "0\n  | 0+1= Let's think step by step.\n  gold: 1");
  const written = (await Deno.readTextFile(out)).trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(written.length, 13);
  assertEquals(written[12], {
    id: "mixed/14",
    question: "Which?\n\nA. x\nB. y",
    answer: "B",
    choices: { A: "x", B: "y" },
  });

  const stripped = await thinker(["data", "check", file, "--strip-instructions", "--json"]);
  const report = JSON.parse(stripped.stdout);
  assertEquals([report.problems, report.leftOut, report.rows.length], [13, 2, 10]);
  assertEquals(report.rows[0].question, "0+1=");
  assert(report.rows[0].asked.endsWith("0+1="), report.rows[0].asked);
  assertEquals(report.remarks[0].what, "instructions cut out of the question");
});

Deno.test("cli: data check fails where nothing is usable, and still says why for every kind", async () => {
  await using dir = await TempDir.make();
  const file = `${dir.path}/x.csv`;
  await Deno.writeTextFile(file, "q,gold\n1+1=,2\n2+2=,proof\n");
  const bad = await thinker(["data", "check", file]);
  assertEquals(bad.code, 1);
  assertMatch(
    bad.stdout,
    /0 problems of 2 rows\n(.*\n)+ +2 {2}the question is missing \(first: line 2\)/,
  );
  assertMatch(
    bad.stderr,
    /^error: .*x.csv: line 2: the question is missing; keys found: q, gold; none of the 2 rows can be used\nhint: .*--question and --answer/,
  );
  const named = await thinker(["data", "check", file, "--question", "q", "--answer", "gold"]);
  assertEquals(named.code, 0, named.stderr);
  assertMatch(named.stdout, /\nx\/0\n {2}\| 1\+1=\n {2}gold: 2\n/);
  assertMatch(named.stdout, /1 {2}the answer is "proof" \(first: line 3\)/);
  const missing = await thinker(["data", "check", `${dir.path}/no.jsonl`]);
  assertMatch(missing.stderr, /^error: .*no\.jsonl: cannot be read/);
});

Deno.test("cli: data check writes over no file, least of all over the one that it reads", async () => {
  await using dir = await TempDir.make();
  const file = `${dir.path}/x.csv`, other = `${dir.path}/y.jsonl`, link = `${dir.path}/z.jsonl`;
  const text = "question,answer\n1+1=,2\n";
  await Deno.writeTextFile(file, text);
  await Deno.writeTextFile(other, "mine");
  await Deno.symlink(file, link);
  for (const write of [file, `${dir.path}/./x.csv`, other, link]) {
    const { code, stdout, stderr } = await thinker(["data", "check", file, "--write", write]);
    assertEquals([code, stdout], [1, ""]);
    assertEquals(
      stderr,
      `error: --write: ${write} exists already\nhint: name a new file, or move that one away\n`,
    );
  }
  assertEquals([await Deno.readTextFile(file), await Deno.readTextFile(other)], [text, "mine"]);
});

Deno.test("cli: data check and train name the columns of a file by the same options", async () => {
  await using dir = await TempDir.make();
  const file = `${dir.path}/x.csv`;
  await Deno.writeTextFile(file, "q,gold,key\n1+1=,2,7\n");
  const named = ["--question", "q", "--answer", "gold", "--strip-instructions", "--id"];
  const checked = await thinker(["data", "check", file, ...named, "key"]);
  assertMatch(checked.stdout, /\nx\/7\n/);
  for (const start of [["data", "check", file], ["train", "--data", file]]) {
    const { code, stderr } = await thinker([...start, ...named, "nokey"]);
    assertEquals(code, 1);
    assertMatch(stderr, /^error: .*x.csv: line 2: there is no column "nokey" for the id/m);
  }
});
