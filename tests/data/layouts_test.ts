/** Layouts of published data sets: which key is the question, which the gold answer. */
import { assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { grade } from "../../src/grade/mod.ts";
import { dataNotes, loadProblems, readProblems } from "../../src/data/mod.ts";
import { goldOf } from "../../src/data/gold.ts";
import { answerKeys, questionKeys } from "../../src/data/layouts.ts";
import { fixture, jsonl, withFile } from "./files.ts";

const user = (content: unknown) => ({ role: "user", content });

Deno.test("layouts: the fixtures, row by row", async () => {
  const expected: Record<string, [id: string, question: string, answer: string][]> = {
    "bigint.jsonl": [
      ["1", "factorial 25", "15511210043330985984000000"],
      ["2", "2^60", "1152921504606846977"],
      ["3", "dec", "0.1000000000000000055511"],
      ["4", "trailing", "2.50"],
    ],
    "boxed-gold.jsonl": [["boxed-gold/0", "a", "5"], ["boxed-gold/1", "b", "\\(5\\)"]],
    "capital.jsonl": [["capital/0", "q", "5"]],
    "gsm8k.jsonl": ["42", "1234", "-5", "$3.50", "7", "8", "9"]
      .map((answer, i) => [`gsm8k/${i}`, `Q${i + 1}`, answer]),
    "hash-answers.jsonl": [["hash-answers/0", "a", "(1,2)"], ["hash-answers/1", "b", "2, 3"]],
    "jsonl-first-array.jsonl": ["0", "1", "2"]
      .map((n) => [`jsonl-first-array/${n}`, `q${n}`, n]),
    "math.jsonl": ["\\frac{1}{2}", "3", "2", "9"]
      .map((answer, i) => [`math/${i}`, i === 0 ? "P" : `P${i + 1}`, answer]),
    "noid.jsonl": [["noid/0", "q", "1"], ["noid/1", "p", "2"]],
    "numina.jsonl": [["numina/0", "Find x", "5"]],
    "numina-proof.jsonl": [],
    "openrlhf.jsonl": [["openrlhf/0", "What is 1+1?", "2"]],
    "skywork.jsonl": [["skywork/1", "q", "5"]],
    "slime.jsonl": [["slime/0", "q", "2"]],
    "trl.jsonl": [
      ["trl/0", "What is 1+1?", "2"],
      ["trl/1", "What is 2+1?", "3"],
      ["trl/2", "p", "$\\frac12$"],
    ],
    "trl-groundtruth.jsonl": [["trl-groundtruth/0", "What is 1+1?", "2"]],
  };
  for (const [name, rows] of Object.entries(expected)) {
    const { problems } = await readProblems(fixture(name));
    assertEquals(problems.map(({ id, question, answer }) => [id, question, answer]), rows, name);
  }
  const left = async (name: string) =>
    (await readProblems(fixture(name))).skipped.map(({ reason }) => reason);
  assertEquals(await left("numina-proof.jsonl"), ['the answer is "proof"']);
  assertEquals(await left("numina.jsonl"), [
    "the solution has no final answer: no \\boxed, no ####",
  ]);
});

Deno.test("layouts: one row of each published set", async () => {
  /** The row, and what is to come of it: question, answer, and what they were taken from. */
  const rows: [object, string, string, string, string][] = [
    [{ ID: "2024-I-1", Problem: "p", Answer: 204 }, "p", "204", "problem", "answer"],
    [{ problem: "p", solution: "s", answer: "3", synthetic: false }, "p", "3", "problem", "answer"],
    [{ problem: "p", answer: null, solution: "\\boxed{4}" }, "p", "4", "problem", "solution"],
    [{ problem: "p", expected_answer: "5" }, "p", "5", "problem", "expected_answer"],
    [
      { messages: [user("q"), { role: "assistant", content: "so \\boxed{7}" }] },
      "q",
      "7",
      "messages",
      "messages, the assistant's turn",
    ],
    [
      { conversations: [{ from: "human", value: "q" }, { from: "gpt", value: "\\boxed{7}" }] },
      "q",
      "7",
      "conversations",
      "conversations, the assistant's turn",
    ],
    [{ messages: [user("q")], ground_truth: "18" }, "q", "18", "messages", "ground_truth"],
    [{ messages: [user("q")], ground_truth: ["18"] }, "q", "18", "messages", "ground_truth"],
    [{ prompt: [user([{ type: "text", text: "q" }])], label: 2 }, "q", "2", "prompt", "label"],
    [{ prompt: ["q"], solutions: ["\\boxed{5}"] }, "q", "5", "prompt", "solutions"],
    [
      { prompt: "q", verification_info: '{"ground_truth": "8"}' },
      "q",
      "8",
      "prompt",
      "verification_info.ground_truth",
    ],
    [
      { instruction: "Add", input: "1+1", output: "\\boxed{2}" },
      "Add\n\n1+1",
      "2",
      "instruction",
      "output",
    ],
    [
      { Body: "There are 3.", Question: "How many?", Answer: "3" },
      "There are 3. How many?",
      "3",
      "question",
      "answer",
    ],
    [
      { query: "q", response: "So 7. The answer is: \\frac{1}{2}" },
      "q",
      "\\frac{1}{2}",
      "query",
      "response",
    ],
    [{ question: "q", final_answer: ["2", "3"] }, "q", "2, 3", "question", "final_answer"],
  ];
  for (const [row, question, answer, ...from] of rows) {
    await withFile("x.jsonl", jsonl(row), async (path) => {
      const { problems, columns } = await loadProblems(path);
      const taken = [...Object.keys(columns.question), ...Object.keys(columns.answer)];
      const [{ question: asked, answer: gold }] = problems;
      assertEquals([asked, gold, ...taken], [question, answer, ...from], JSON.stringify(row));
    });
  }
});

Deno.test("layouts: questions with pictures cannot be asked", async () => {
  const parts = [{ type: "image_url", image_url: { url: "x" } }, { type: "text", text: "Find x." }];
  const rows = [{ problem: "<image>Find x.", answer: "1" }, { prompt: [user(parts)], label: "1" }];
  await withFile("x.jsonl", jsonl(...rows), async (path) => {
    const { skipped } = await readProblems(path);
    assertEquals(
      skipped.map(({ reason }) => reason),
      Array(2).fill("the question needs a picture"),
    );
  });
});

Deno.test("layouts: options of published multiple-choice sets", async () => {
  const rows = [
    { question: "mmlu", choices: ["1", "2", "3"], answer: 2 },
    { question: "lower", options: ["u", "v"], answer: "(b)", "": "x" },
    { question: "pro", options: ["a", "b", "c"], answer: "C", answer_index: 2 },
    { question: "arc", choices: { text: ["a", "b"], label: ["1", "2"] }, answerKey: "2" },
    { question: "aqua", options: ["A)21", "B)21.5"], correct: "B" },
    { question: "values", choices: [10, 20], answer: 20 },
    { id: 0, question: "ceval", A: "x", B: "y", C: null, answer: "B", explanation: "" },
  ];
  await withFile("x.jsonl", jsonl(...rows), async (path) => {
    const { problems } = await loadProblems(path);
    assertEquals(problems.map(({ question, answer }) => [question, answer]), [
      ["mmlu\n\nA. 1\nB. 2\nC. 3", "C"],
      ["lower\n\nA. u\nB. v", "B"],
      ["pro\n\nA. a\nB. b\nC. c", "C"],
      ["arc\n\nA. a\nB. b", "B"],
      ["aqua\n\nA. 21\nB. 21.5", "B"],
      ["values\n\nA. 10\nB. 20", "B"],
      ["ceval\n\nA. x\nB. y", "B"],
    ]);
  });
});

Deno.test("layouts: an answer to options is the same, whatever type the format gives it", async () => {
  const doubt = "the answer may be a place or an option's text: a place, from 0";
  const cases: [choices: unknown[], answer: unknown, letter: string, remarks: string[]][] = [
    [["0", "4", "2", "6"], 1, "B", []],
    [["1", "2"], 1, "B", [doubt]],
    [[1, 2], 1, "B", [doubt]],
    [["0", "1"], 1, "B", []],
    [["x", "y"], 0, "A", []],
    [[10, 20], 20, "B", []],
    [["x", "7"], 7, "B", []],
    [["x", "1/2"], "1/2", "B", []],
  ];
  const cell = (value: unknown) => `"${String(value).replaceAll('"', '""')}"`;
  const python = (list: unknown[]) =>
    `[${list.map((each) => typeof each === "string" ? `'${each}'` : each).join(", ")}]`;
  for (const [choices, answer, letter, remarks] of cases) {
    const table = (list: string) => `question,choices,answer\nq,${cell(list)},${cell(answer)}\n`;
    const files = {
      "number.jsonl": jsonl({ question: "q", choices, answer }),
      "text.jsonl": jsonl({ question: "q", choices, answer: String(answer) }),
      "json.csv": table(JSON.stringify(choices)),
      "python.csv": table(python(choices)),
      "numpy.csv": table(python(choices).replaceAll(",", "")),
    };
    for (const [name, text] of Object.entries(files)) {
      await withFile(name, text, async (path) => {
        const read = await readProblems(path), what = `${name}: ${text}`;
        assertEquals(read.problems.map((each) => each.answer), [letter], what);
        assertEquals(read.remarks.map((each) => each.what), remarks, what);
      });
    }
  }
});

Deno.test("layouts: what cannot be an answer, a question or an id hides none", async () => {
  const rows: [row: object, id: string, answer: string][] = [
    [{ problem: "p", solution: "so \\boxed{4}", correct: true }, "x/0", "4"],
    [{ problem: "p", solution: "so \\boxed{4}", label: false }, "x/0", "4"],
    [{ problem: "p", solution: "so \\boxed{4}", answer: { tests: [] } }, "x/0", "4"],
    [
      { messages: [user("p"), { role: "assistant", content: "\\boxed{4}" }], label: true },
      "x/0",
      "4",
    ],
    [{ problem: { id: 3 }, question: "p", answer: 4, id: { $oid: "a" }, uuid: "u" }, "u", "4"],
    [{ problem: true, question: "p", answer: 4 }, "x/0", "4"],
    [{ question: "p", correct: "False", output: "so \\boxed{4}" }, "x/0", "4"],
    [{ question: "p", label: "True" }, "x/0", "True"],
  ];
  for (const [row, id, answer] of rows) {
    await withFile("x.jsonl", jsonl(row), async (path) => {
      const { problems } = await loadProblems(path);
      assertEquals(problems, [{ id, question: "p", answer }], JSON.stringify(row));
    });
  }
  await withFile("x.csv", "problem,solution,correct\np,so \\boxed{4},True\n", async (path) => {
    assertEquals((await loadProblems(path)).problems[0].answer, "4");
  });
  const none = jsonl({ problem: "p", correct: true, label: {}, answer: " " });
  await withFile("x.jsonl", none, async (path) => {
    const { skipped } = await readProblems(path);
    assertEquals(
      skipped[0].reason,
      "no column has an answer, a text or a number (label is an object, correct is true or false)",
    );
  });
});

Deno.test("layouts: of several turns the last question is asked, and what is left out is told", async () => {
  const prompt = [
    { role: "system", content: "s" },
    user("a"),
    { role: "assistant", content: "b" },
    user("c"),
  ];
  await withFile("x.jsonl", jsonl({ prompt, label: "1" }), async (path) => {
    const loaded = await loadProblems(path);
    assertEquals(loaded.problems[0].question, "c");
    assertEquals(dataNotes(path, loaded), [
      "x.jsonl: 1 × the system turn is not asked (first: line 1); " +
      "1 × earlier turns are not asked (first: line 1)",
    ]);
  });
});

Deno.test("goldOf: what is done to an answer, and what is left to the grader", () => {
  const gold = (text: unknown, kind: "answer" | "truth" | "solution" = "answer") => {
    const found = goldOf(text, kind);
    return "fault" in found ? `fault: ${found.fault}` : found.answer;
  };
  const kept = [
    "5",
    "$5$",
    "\\(5\\)",
    "(1,2)",
    "1,234",
    "[1, 2]",
    "(1, 2)",
    "[[1, 2], [3, 4]]",
    "[a, b]",
    "(0, 1]",
    "none",
    "\\{1,2\\}",
    "n = 4",
    "x^2",
    "0",
  ];
  for (const text of kept) assertEquals(gold(text), text);
  const found: Record<string, string | number> = {
    "\\boxed{5}": "5",
    "$\\boxed{\\frac{1}{2}}$": "\\frac{1}{2}",
    "\\boxed 3": "3",
    "\\boxed3.": "3",
    "#### 1,200": "1200",
    "x\n#### (1,200)": "(1,200)",
    "x\n#### \\boxed{6}": "6",
    "<think>2</think><answer> 3 </answer>": "3",
    '["5"]': "5",
    "['\\\\frac{1}{2}']": "\\frac{1}{2}",
    "['\\frac{1}{2}']": "\\frac{1}{2}",
    '["it\'s"]': "it's",
    "['it\\'s\\xe9']": "it'sé",
    "('5',)": "5",
    "(5,)": 5,
    "[2.50]": "2.50",
  };
  for (const [text, answer] of Object.entries(found)) assertEquals(gold(text), answer, text);
  assertEquals(gold('{"func_name": "x"}'), "fault: the answer is a JSON object, not an answer");
  assertEquals(gold("QED", "solution").toString().slice(0, 6), "fault:");
  assertEquals(gold("first \\boxed{1}, then \\boxed{2}", "solution"), "2");
  assertEquals(gold("#### Step 1\nWe see that it is \\boxed{2}.", "solution"), "2");
  const several = ['["5", "6"]', "['5', '6']", "('5', '6')", "['5' '6']", `["5", '6']`, "['5', 6]"];
  for (const text of several) {
    assertEquals(goldOf(text, "truth"), { answer: "5", alternatives: 1 }, text);
    assertEquals(goldOf(text, "answer"), { answer: "5, 6" }, text);
  }
  const missing = ["['5', None]", "[None]", "['None']", '["5", null]', "['nan']", "None", "<NA>"];
  const unread = ["[['5'], ['6']]", "{'answer': '5'}", "array(['5'], dtype=object)", "['5' or x]"];
  for (const text of [...missing, ...unread, "[]", '[{"a": 1}]', "[True]"]) {
    for (const kind of ["answer", "truth"] as const) {
      assertEquals(gold(text, kind).toString().slice(0, 6), "fault:", text);
    }
  }
  // What is kept is right for the grader, too.
  assertEquals(grade("1234", "1,234").equal, true);
  assertEquals(grade("5", "$5$").equal, true);
});

Deno.test("layouts: whatever stands under a known key, a row is read or left out", async () => {
  const name = fc.constantFrom(...questionKeys, ...answerKeys, "choices", "options", "id");
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom("[]", '["a"]', "{}", "\\boxed{", "####", [[]], [{ role: null }], { text: [] }),
  );
  await withFile("x.jsonl", "", async (path) => {
    const row = fc.dictionary(name, value, { minKeys: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 2 }), async (rows) => {
        await Deno.writeTextFile(path, jsonl(...rows));
        const { problems, skipped } = await readProblems(path, { stripInstructions: true });
        assertEquals(problems.length + skipped.length, rows.length);
        for (const { question, answer } of problems) {
          assertEquals([question.trim() === "", answer.trim() === ""], [false, false]);
        }
      }),
      { numRuns: 300 },
    );
  });
});

Deno.test("layouts: docs/data.md names every key, in the order in which they count", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/data.md", import.meta.url));
  const listed = (what: string) => {
    const list = page.match(new RegExp(`^- ${what}: ((?:.|\\n {2})*)`, "m"))?.[1] ?? "";
    return Array.from(
      list.replaceAll(/\(with [^)]*\)/g, "").matchAll(/`([^`]+)`/g),
      ([, key]) => key,
    );
  };
  assertEquals(listed("questions"), [...questionKeys]);
  assertEquals(listed("answers"), answerKeys.filter((key) => key !== "answerkey"));
});
