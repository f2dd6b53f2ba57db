import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { factsOf, problemKey, sequenceId } from "../../src/eval/answers.ts";
import { benchmarks, loadBenchmark } from "../../src/eval/benchmarks.ts";
import { paperResults } from "../../src/eval/paper.ts";
import { countReflections } from "../../src/eval/reflection.ts";
import { UserError } from "../../src/base/errors.ts";

Deno.test("sequenceId: one of its own for every sample, far from those of training", () => {
  const ids = new Set<bigint>();
  for (const { name } of benchmarks) {
    for (let row = 0; row < 300; row++) {
      for (let sample = 0; sample < 16; sample++) {
        ids.add(sequenceId(name, `${name}/${row}`, sample));
      }
    }
  }
  assertEquals(ids.size, benchmarks.length * 300 * 16);
  for (const id of ids) assert(id >= 1n << 62n && id < 1n << 63n);
  assertNotEquals(sequenceId("a", "b", 0), sequenceId("ab", "", 0));
});

Deno.test("problemKey: changes with question, answer and options", () => {
  const problem = { id: "x", question: "q", answer: "A", choices: { A: "1", B: "2" } };
  const keys = [
    problem,
    { ...problem, question: "q " },
    { ...problem, answer: "B" },
    { ...problem, choices: { A: "1", B: "3" } },
  ].map(problemKey);
  assertEquals(new Set(keys).size, 4);
  assertEquals(problemKey({ ...problem, id: "y" }), keys[0]);
  assert(keys.every((key) => /^[0-9a-f]{16}$/.test(key)));
});

Deno.test("countReflections: small letters, and recheck only before a comma or white space", () => {
  const text =
    "wait, wait, Wait, rechecks recheck, recheck\nretrying alternatively, however however,";
  assertEquals(countReflections(text), [2, 2, 1, 1, 1]);
  assertEquals(countReflections(""), [0, 0, 0, 0, 0]);
});

Deno.test("factsOf: forgets texts, keeps what is counted in them", () => {
  const turn = { stage: "answer" as const, tokens: 3, truncated: false, correct: true };
  const answer = { set: "s", id: "i", sample: 0, problem: "k", final: 0 };
  assertEquals(factsOf({ ...answer, turns: [{ ...turn, text: "wait, retry" }] }), {
    ...answer,
    turns: [{ ...turn, reflections: [1, 0, 1, 0, 0] }],
  });
});

Deno.test("paperResults: every average is the mean of its eight columns", () => {
  for (const { accuracy, average, model, name } of paperResults) {
    const values = Object.values(accuracy);
    if (values.length === 0) continue;
    assertEquals(Object.keys(accuracy), benchmarks.slice(0, 8).map((each) => each.name));
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    assert(Math.abs(mean - average) < 0.011, `${name} ${model}: ${mean}, not ${average}`);
  }
});

Deno.test("loadBenchmark: the first rows, and one clear line without the file", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const rows = [0, 1, 2].map((i) => JSON.stringify({ id: `r/${i}`, question: "q", answer: i }));
    await Deno.writeTextFile(`${dir}/mine.jsonl`, rows.join("\n"));
    assertEquals((await loadBenchmark(dir, "mine")).length, 3);
    assertEquals((await loadBenchmark(dir, "mine", 2)).map((row) => row.id), ["r/0", "r/1"]);
    const notes: string[] = [];
    await Deno.writeTextFile(`${dir}/mine.jsonl`, [...rows, '{"question":"q"}'].join("\n"));
    const asked = await loadBenchmark(dir, "mine", Infinity, (note) => notes.push(note));
    assertEquals(asked.length, 3);
    assertEquals(notes, [
      "mine.jsonl: 1 row left out: 1 × the answer is missing (first: line 4)",
    ]);
    const error = await assertRejects(
      () => loadBenchmark(dir, "aime24"),
      UserError,
      "aime24.jsonl",
    );
    assert(error.hint?.includes("deno task data"));
    const other = await assertRejects(() => loadBenchmark(dir, "aime"), UserError, "aime.jsonl");
    assert(other.hint?.includes("aime24"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
