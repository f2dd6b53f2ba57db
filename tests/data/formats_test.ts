/** Formats of data files, and that no digit is lost on the way. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { UserError } from "../../src/base/mod.ts";
import { csvRows } from "../../src/data/csv.ts";
import { loadProblems, readProblems } from "../../src/data/mod.ts";
import { exactJson, plainValue } from "../../src/data/values.ts";
import { fixture, pairs, withFile } from "./files.ts";

Deno.test("exactJson: numbers keep the digits of the source", () => {
  const cases: Record<string, unknown> = {
    "15511210043330985984000000": "15511210043330985984000000",
    "1152921504606846977": "1152921504606846977",
    "9007199254740992": 9007199254740992,
    "0.1000000000000000055511": "0.1000000000000000055511",
    "2.50": "2.50",
    "27.0": 27,
    "-3": -3,
    "1e3": 1000,
    "1.5e-7": "0.00000015",
    "1.55e25": "15500000000000000000000000",
    NaN: null,
    "-Infinity": null,
  };
  for (const [source, value] of Object.entries(cases)) {
    assertEquals(exactJson(`{"a": [${source}]}`), { a: [value] }, source);
  }
  assertEquals(exactJson('{"a": NaN, "b": "x: NaN, -Infinity \\" NaN"}'), {
    a: null,
    b: 'x: NaN, -Infinity " NaN',
  });
});

Deno.test("exactJson: any integer comes back as it stands, in whatever row", () => {
  fc.assert(fc.property(fc.bigInt(), fc.string(), (number, text) => {
    const row = exactJson(`{"t": ${JSON.stringify(text)}, "n": ${number}}`) as { n: unknown };
    assertEquals([String(row.n), (row as unknown as { t: string }).t], [String(number), text]);
  }));
});

Deno.test("plainValue: every float32 has its shortest digits and is the same float32", () => {
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
    const plain = plainValue(value, { single: true });
    assertEquals(Math.fround(Number(plain)), value + 0);
    const digits = String(plain).replace(/^-?[0.]*/, "").replace(".", "").replace(/0+$/, "");
    assert(digits.length <= 9, String(plain));
  }));
  assertEquals(plainValue(Math.fround(0.1), { single: true }), 0.1);
  assertEquals(plainValue(Math.fround(0.1)), 0.10000000149011612);
  assertEquals(plainValue(NaN), null);
});

Deno.test("formats: parquet and Arrow give the same rows, with int64 and float32 as they stand", async () => {
  const names = [
    "numbers.parquet",
    "numbers.lz4.arrow",
    "numbers.zstd.arrow",
    "numbers.uncompressed.arrow",
  ];
  for (const name of names) {
    const { problems } = await loadProblems(fixture(name), { stem: "n" });
    assertEquals(problems, [
      { id: "n/1152921504606846977", question: "q0", answer: "0.1" },
      { id: "n/5", question: "q1", answer: "2.5" },
    ], name);
  }
  for (const name of names) {
    const { problems } = await loadProblems(fixture(name), { columns: { question: "prompt" } });
    assertEquals(problems.map(({ question }) => question), ["u", "v"], name);
  }
  assertEquals(await pairs(fixture("int64.parquet")), [
    ["2^60+1=", "1152921504606846977"],
    ["x", "7"],
  ]);
});

Deno.test("formats: Arrow as datasets writes it, and frames of many LZ4 blocks", async () => {
  assertEquals(
    await pairs(fixture("datasets.arrow")),
    [0n, 1n, 2n].map((i) => [`${i}+1=`, `${2n ** 60n + i}`]),
  );
  assertEquals(await pairs(fixture("x.arrow")), [["q", "1"]]);
  const many = await pairs(fixture("blocks.lz4.arrow"));
  assertEquals(many.length, 2500);
  for (const [i, [question, answer]] of many.entries()) {
    const text = "what is the sum of all numbers from one to this one? ".repeat(3);
    assertEquals([question, answer], [`Row ${i} of many: ${text}`, `${i}`]);
  }
  const whole = await Deno.readFile(fixture("datasets.arrow"));
  await withFile("x.arrow", whole.subarray(0, 700), async (path) => {
    await assertRejects(() => loadProblems(path), UserError, "cannot be read as Arrow");
  });
});

Deno.test("formats: cells of parquet that hold JSON", async () => {
  assertEquals(await pairs(fixture("verl-json-rm.parquet")), [["p", "5"]]);
  const columnData = [
    { name: "prompt", data: ['[{"role":"user","content":"u"}]'], type: "STRING" as const },
    {
      name: "reward_model",
      data: ['{"ground_truth":1152921504606846977}'],
      type: "STRING" as const,
    },
  ];
  const bytes = new Uint8Array(parquetWriteBuffer({ columnData }));
  await withFile("x.parquet", bytes, async (path) => {
    assertEquals(await pairs(path), [["u", "1152921504606846977"]]);
  });
});

Deno.test("formats: gzip, whatever is in it", async () => {
  assertEquals((await pairs(fixture("gz.jsonl.gz")))[4], ["What is 4+1?", "5"]);
  const zip = async (bytes: Uint8Array<ArrayBuffer>) => {
    const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
    return new Uint8Array(await new Response(packed).arrayBuffer());
  };
  const packed = await zip(await Deno.readFile(fixture("numbers.parquet")));
  await withFile("set.parquet.gz", packed, async (path) => {
    assertEquals((await loadProblems(path)).problems[1].id, "set/5");
  });
  await withFile("x.gz", packed.subarray(0, 300), async (path) => {
    await assertRejects(() => loadProblems(path), UserError, "cannot be unpacked as gzip");
  });
});

Deno.test("csv: quotes, separators, line ends, blank lines and a BOM", async () => {
  assertEquals(await pairs(fixture("table.csv")), [["What is 1+1?", "2"], ["a, b", "3"]]);
  const windows = '\ufeffID;Question;Correct Answer\r\n7;"a;\r\nb";"say ""hi"""\r\n\r\n8;c;2\r\n';
  await withFile("x.csv", windows, async (path) => {
    assertEquals((await loadProblems(path)).problems, [
      { id: "x/7", question: "a;\r\nb", answer: 'say "hi"' },
      { id: "x/8", question: "c", answer: "2" },
    ]);
  });
  await withFile("x.tsv", "question\tanswer\na, b\t(1,2)", async (path) => {
    assertEquals(await pairs(path), [["a, b", "(1,2)"]]);
  });
  const bad = 'question,answer\na,1,2\nb,\n,3\nc,4\n"d\n,5\n';
  await withFile("x.csv", bad, async (path) => {
    const { problems, skipped } = await readProblems(path);
    assertEquals(problems, [{ id: "x/3", question: "c", answer: "4" }]);
    assertEquals(skipped.map(({ where, reason }) => [where.slice(path.length + 2), reason]), [
      ["line 2", "more cells than the header has"],
      ["line 3", "the answer is missing"],
      ["line 4", "the question is missing"],
      ["line 6", "a quote is not closed"],
    ]);
  });
});

Deno.test("csv: whatever cells are written come back", () => {
  const cell = fc.string({ unit: fc.constantFrom("a", " ", '"', ",", "\n", "\r", "é", ";") });
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const cells = fc.array(fc.tuple(cell, cell), { minLength: 1 });
  fc.assert(fc.property(cells, fc.constantFrom("\n", "\r\n"), (rows, end) => {
    const text = ["a,b", ...rows.map((row) => row.map(quoted).join(","))].join(end);
    const read = [...csvRows(text)].map(({ value }) => [value.a ?? "", value.b ?? ""]);
    const kept = rows.map((row) => row.map((each) => each.trim() === "" ? "" : each));
    assertEquals(read, kept);
  }));
});

Deno.test("formats: JSON documents around a list of rows", async () => {
  const documents: Record<string, unknown> = {
    wrapper: { data: [{ id: 1, question: "q", answer: "1" }, { question: "p", answer: 2 }] },
    named: {
      version: "1",
      problems: [{ question: "q", answer: "1" }, { question: "p", answer: 2 }],
    },
    viewer: {
      features: [{ name: "question" }],
      rows: [
        { row_idx: 0, row: { question: "q", answer: "1" }, truncated_cells: [] },
        { row_idx: 1, row: { question: "p", answer: "2" }, truncated_cells: [] },
      ],
    },
    byId: { x: { question: "q", answer: "1" }, y: { question: "p", answer: "2" } },
    columns: { question: ["q", "p"], answer: [1, 2] },
    pandas: { question: { 0: "q", 1: "p" }, answer: { 0: 1, 1: 2 } },
    split: { columns: ["question", "answer"], index: [0, 1], data: [["q", 1], ["p", 2]] },
    list: [{ question: "q", answer: "1" }, { question: "p", answer: 2 }],
  };
  for (const [name, document] of Object.entries(documents)) {
    for (const text of [JSON.stringify(document), JSON.stringify(document, null, 2)]) {
      await withFile("x.json", text, async (path) => {
        assertEquals(await pairs(path), [["q", "1"], ["p", "2"]], name);
      });
    }
  }
  await withFile("x.json", '{\n "question": "q",\n "answer": "1"\n}', async (path) => {
    assertEquals(await pairs(path), [["q", "1"]]);
  });
  await withFile("x.json", '[\n{"question": "q", "answer": "1"}\n]', async (path) => {
    assertEquals(await pairs(path), [["q", "1"]]);
  });
  const cut = [{ row: { question: "q…", answer: "1" }, truncated_cells: ["question"] }];
  await withFile("x.json", JSON.stringify({ rows: cut }), async (path) => {
    await assertRejects(() => loadProblems(path), UserError, "the question is missing");
  });
  const two = { train: [{ question: "q" }], test: [{ question: "q" }] };
  await withFile("x.json", JSON.stringify(two), async (path) => {
    await assertRejects(() => loadProblems(path), UserError, "several lists of rows: train, test");
  });
});

Deno.test("formats: a file of one row is that row, also where its columns are named", async () => {
  const row = { q: "1+1?", gold: "2", steps: [{ text: "x" }] };
  const columns = { question: "q", answer: "gold" };
  for (const document of [row, [row], { steps: 1, data: [row] }, { a: row }]) {
    for (const text of [JSON.stringify(document), JSON.stringify(document, null, 2)]) {
      await withFile("x.json", text, async (path) => {
        const { problems } = await loadProblems(path, { columns });
        assertEquals(problems.map(({ question, answer }) => [question, answer]), [["1+1?", "2"]]);
      });
    }
  }
  await withFile("x.json", JSON.stringify({ q: ["a", "b"], gold: [1, 2] }), async (path) => {
    const { problems } = await loadProblems(path, { columns });
    assertEquals(problems.map(({ question }) => question), ["a", "b"]);
  });
  assertEquals(await pairs(fixture("data-wrapper.json")), [["q", "1"]]);
});
