import { assert, assertEquals, assertRejects } from "@std/assert";
import { published } from "../published.ts";
import { withFile } from "./files.ts";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { UserError } from "../../src/base/errors.ts";
import { loadProblems, problemSchema, readProblems } from "../../src/data/mod.ts";

function assertRefused(name: string, text: string, message: string): Promise<void> {
  return withFile(name, text, async (path) => {
    const error = await assertRejects(() => loadProblems(path), UserError, message);
    assert(error.message.startsWith(path), error.message);
    assert(!error.message.includes("\n"), error.message);
    assert(error.hint !== undefined);
  });
}

const row = (id: string | number, answer: unknown = "2") =>
  JSON.stringify({ id, question: "1+1=", answer });
const turn = (question: string, answer: unknown) => [
  { from: "human", value: question },
  { from: "assistant", ground_truth: { value: answer } },
];

Deno.test("loadProblems: JSONL, with blank lines, other keys, numbers, CRLF and a BOM", async () => {
  const lines = [
    "\ufeff" + row("a"),
    "",
    row(7, 2.5),
    '{"id":"c","question":"q","answer":"B","choices":{"A":"1","B":"2"}}',
    '{"id":"d","question":"q","answer":"1","choices":["1","2"],"level":3}',
  ];
  const choices = { A: "1", B: "2" }, asked = "q\n\nA. 1\nB. 2";
  await withFile("x.jsonl", lines.join("\r\n"), async (path) => {
    const { problems, skipped, columns, keys } = await loadProblems(path);
    assertEquals(problems, [
      { id: "a", question: "1+1=", answer: "2" },
      { id: "7", question: "1+1=", answer: "2.5" },
      { id: "c", question: asked, answer: "B", choices },
      { id: "d", question: asked, answer: "B", choices },
    ]);
    assertEquals(skipped, []);
    assertEquals(columns, { question: { question: 4 }, answer: { answer: 4 } });
    assertEquals(keys, ["id", "question", "answer", "choices", "level"]);
  });
});

/** Why rows of a file are left out, by their place in it. */
async function leftOut(name: string, text: string): Promise<Record<string, string>> {
  let reasons: Record<string, string> = {};
  await withFile(name, text, async (path) => {
    const { skipped } = await readProblems(path);
    reasons = Object.fromEntries(
      skipped.map(({ where, reason }) => [where.slice(path.length + 2), reason]),
    );
  });
  return reasons;
}

Deno.test("loadProblems: bad rows of JSONL are left out, each with its line and why", async () => {
  const lines = [
    row("a"),
    "",
    '{"id":"b","question":"q"}',
    row("b", " "),
    row("b", null),
    row("b", true),
    row("b", { x: 1 }),
    row("b", "proof"),
    "{oops",
    "5",
    '{"answer":"1"}',
    '{"id":"z","question":" ","answer":"1"}',
  ];
  assertEquals(await leftOut("x.jsonl", lines.join("\n")), {
    "line 3": "the answer is missing",
    "line 4": "the answer is blank",
    "line 5": "the answer is missing",
    "line 6": "no column has an answer, a text or a number (answer is true or false)",
    "line 7": "no column has an answer, a text or a number (answer is an object)",
    "line 8": 'the answer is "proof"',
    "line 9": "it is not valid JSON",
    "line 10": "it is no object with keys",
    "line 11": "the question is missing",
    "line 12": "the question is blank",
  });
  for (const first of ["{oops", "# made by hand", "one, two"]) {
    assertEquals(await leftOut("x.jsonl", `${first}\n${row("a")}\n${row("b")}`), {
      "line 1": "it is not valid JSON",
    });
  }
  await assertRefused("x.jsonl", "What is 1 + 1?\n", "line 1: it is not valid JSON");
});

Deno.test("loadProblems: a file without a usable row is refused, with what was found in it", async () => {
  await assertRefused("x.jsonl", " \n", "contains no problem");
  await assertRefused("x.jsonl", "", "contains no problem");
  await assertRefused("x.jsonl", "{oops", "not valid JSON");
  await assertRefused(
    "x.jsonl",
    '{"q":"a","a":"1"}\n{"q":"b","a":"2"}',
    "line 1: the question is missing; keys found: q, a; none of the 2 rows can be used",
  );
  await assertRefused("x.jsonl", row("a", "proof"), 'line 1: the answer is "proof"');
});

Deno.test("loadProblems: columns by other names, and dotted ones", async () => {
  const rows = [{ q: "1+1=", meta: { gold: "\\boxed{2}" }, key: 7, answer: "wrong" }, { q: "?" }];
  await withFile("x.jsonl", rows.map((each) => JSON.stringify(each)).join("\n"), async (path) => {
    const columns = { question: "q", answer: "meta.gold", id: "key" };
    const { problems, skipped } = await loadProblems(path, { columns });
    assertEquals(problems, [{ id: "x/7", question: "1+1=", answer: "2" }]);
    assertEquals(skipped[0].reason, 'there is no column "meta.gold" for the answer');
    const error = await assertRejects(
      () => loadProblems(path, { columns: { question: "Q2" } }),
      UserError,
      'there is no column "Q2" for the question; keys found: q, meta, key, answer',
    );
    assert(error.hint?.includes("--question"));
  });
});

Deno.test("loadProblems: ids are unique, also where rows share one or have none", async () => {
  const shared = [row("a"), row("a", "3"), row("a#2", "4"), '{"question":"q","answer":"1"}'];
  await withFile("x.jsonl.txt", shared.join("\n"), async (path) => {
    const ids = async () => (await loadProblems(path)).problems.map(({ id }) => id);
    assertEquals(await ids(), ["a", "a#2", "a#2#2", "x.jsonl/3"]);
    assertEquals(await ids(), await ids());
  });
});

Deno.test("loadProblems: the training layout of Open-Reasoner-Zero", async () => {
  const forked = turn("3+3=", 6);
  (forked[0] as { from: string }).from = "Human";
  const rows = [turn("1+1=", "2"), turn("?", " "), turn("", "2"), forked];
  await withFile("orz.json", JSON.stringify(rows), async (path) => {
    const { problems, skipped } = await loadProblems(path);
    assertEquals(problems, [
      { id: "orz/0", question: "1+1=", answer: "2" },
      { id: "orz/3", question: "3+3=", answer: "6" },
    ]);
    assertEquals(skipped, [
      { where: `${path}: item 1`, reason: "the answer is blank" },
      { where: `${path}: item 2`, reason: "the question is blank" },
    ]);
  });
});

Deno.test("loadProblems: the evaluation layout of Open-Reasoner-Zero", async () => {
  const rows = [
    { prompt: [{ from: "user", value: "1+1=" }], final_answer: "2" },
    { prompt: [{ from: "user", value: "A. 1\nB. 2" }], final_answer: "B", choices: { A: "1" } },
  ];
  await withFile("gpqa.diamond.json", JSON.stringify(rows, null, 1), async (path) => {
    assertEquals((await loadProblems(path)).problems, [
      { id: "gpqa.diamond/0", question: "1+1=", answer: "2" },
      { id: "gpqa.diamond/1", question: "A. 1\nB. 2", answer: "B" },
    ]);
  });
});

Deno.test("loadProblems: options of a multiple-choice question become part of it, in order", async () => {
  const choices = { B: "x ", A: "y" };
  const rows = [
    { id: "a", question: "q?\n", answer: "B", choices },
    { id: "b", question: "q?\n\nA. y\nB. x", answer: "x", choices },
    { id: "c", question: "q?", answer: "A", choices: ["y", "x"] },
  ];
  await withFile("x.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"), async (path) => {
    const { problems } = await loadProblems(path);
    assertEquals(problems.map((row) => row.question), Array(3).fill("q?\n\nA. y\nB. x"));
    assertEquals(problems.map((row) => row.answer), ["B", "B", "A"]);
    assertEquals(problems[2].choices, { A: "y", B: "x" });
  });
  const wrong = (change: object) =>
    JSON.stringify({ id: "a", question: "q", answer: "B", choices, ...change });
  await assertRefused("x.jsonl", wrong({ answer: "C" }), "line 1: the answer is none of A, B");
  await assertRefused(
    "x.jsonl",
    wrong({ choices: "A) 1 B) 2" }),
    "line 1: the choices are no list",
  );
  await assertRefused(
    "x.jsonl",
    wrong({ choices: { A: 1, one: 2 } }),
    "line 1: the choices must have the letters",
  );
});

Deno.test("loadProblems: published layouts, line by line", async () => {
  const rows = [
    { problem: "p", solution: "so \\boxed{1} or \\boxed{\\frac{1}{2}}", unique_id: "m/7.json" },
    { problem: "p", answer: 27 },
    { id: 1606, question: "q", final_answer: ["2", "3"] },
    { question: "q", answer: "two times 600\n#### 1,200" },
    {
      prompt: [{ role: "system", content: "s" }, { role: "user", content: "u" }],
      reward_model: { ground_truth: "g" },
    },
  ];
  await withFile("set.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"), async (path) => {
    assertEquals((await loadProblems(path)).problems, [
      { id: "set/m/7.json", question: "p", answer: "\\frac{1}{2}" },
      { id: "set/1", question: "p", answer: "27" },
      { id: "set/1606", question: "q", answer: "2, 3" },
      { id: "set/3", question: "q", answer: "1200" },
      { id: "set/4", question: "u", answer: "g" },
    ]);
    assertEquals((await loadProblems(path, { stem: "mine" })).problems[1].id, "mine/1");
  });
  await withFile("set.jsonl", '{"question":"q","answer":"1"}', async (path) => {
    const { problems } = await loadProblems(path, { published: true });
    assertEquals(problems, [{ id: "set/0", question: "q", answer: "1" }]);
  });
});

Deno.test("loadProblems: parquet, whatever its compression", async () => {
  const write = (codec: "SNAPPY" | "UNCOMPRESSED") =>
    new Uint8Array(parquetWriteBuffer({
      codec,
      columnData: [
        { name: "question", data: ["1+1=", " ", "q?"], type: "STRING" },
        { name: "answer", data: ["2", "3", "A"], type: "STRING" },
        { name: "id", data: [10n, 11n, 12n], type: "INT64" },
        { name: "choices", data: [null, null, { A: "x", B: "y" }], type: "JSON" },
      ],
    }));
  for (const codec of ["SNAPPY", "UNCOMPRESSED"] as const) {
    await withFile("set.parquet", write(codec), async (path) => {
      const { problems, skipped } = await loadProblems(path);
      assertEquals(problems, [
        { id: "set/10", question: "1+1=", answer: "2" },
        { id: "set/12", question: "q?\n\nA. x\nB. y", answer: "A", choices: { A: "x", B: "y" } },
      ]);
      assertEquals(skipped, [{ where: `${path}: item 1`, reason: "the question is blank" }]);
    });
  }
  const damaged = write("SNAPPY").subarray(0, 60);
  await withFile("x.parquet", damaged, async (path) => {
    await assertRejects(() => loadProblems(path), UserError, "cannot be read as parquet");
  });
});

Deno.test("loadProblems: bad rows of a list are left out, each with its place and why", async () => {
  const good = turn("1+1=", "2");
  const rows = [
    good,
    [good[0], { from: "assistant" }],
    [good[0]],
    { prompt: [{ value: "q" }] },
    { prompt: [], final_answer: "1" },
    5,
    { prompt: [{ role: "assistant", content: "q" }], final_answer: "1" },
  ];
  assertEquals(await leftOut("x.json", JSON.stringify(rows)), {
    "item 1": "the answer is missing",
    "item 2": "the answer is missing",
    "item 3": "the question is not a text",
    "item 4": "the question is blank",
    "item 5": "it is no object with keys",
    "item 6": "the dialogue has no user turn",
  });
  await assertRefused("x.json", "[]", "contains no problem");
  await assertRefused("x.json", "[1,", "not valid JSON");
});

Deno.test("loadProblems: a file that is not there", async () => {
  await assertRejects(() => loadProblems("no/such/file.jsonl"), UserError, "cannot be read");
});

Deno.test("problemSchema: refuses what is no problem", () => {
  assert(problemSchema.safeParse({ id: "a", question: "q", answer: "1" }).success);
  for (
    const bad of [null, [], "x", { id: "a", question: "q" }, {
      id: "a",
      question: "q",
      answer: true,
    }]
  ) {
    assertEquals(problemSchema.safeParse(bad).success, false);
  }
});

const sets = published("eval/math500.jsonl");

Deno.test({
  name: "loadProblems: the published data sets",
  ignore: sets.ignore,
  fn: async () => {
    const sizes: Record<string, number> = {
      "eval/math500.jsonl": 500,
      "eval/gpqa_diamond.jsonl": 198,
      "eval/college_math.jsonl": 2818,
      "eval/olympiadbench.jsonl": 675,
      "train/gsm8k_train.jsonl": 7473,
      "train/orz_57k_sample.json": 1785,
    };
    for (const [name, size] of Object.entries(sizes)) {
      const { problems, skipped } = await loadProblems(published(name).path);
      assertEquals([problems.length, skipped.length], [size, 0], name);
      assertEquals(new Set(problems.map(({ id }) => id)).size, size, name);
    }
    const { problems } = await loadProblems(published("train/orz_57k_sample.json").path);
    assertEquals([problems[0].id, problems[0].answer], ["orz_57k_sample/0", "n = 4"]);
  },
});
