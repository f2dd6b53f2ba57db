/** Formats of data files, and that no digit is lost on the way. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "npm:fast-check@^4";
import { parquetWriteBuffer } from "npm:hyparquet-writer@^0.17";
import { UserError } from "../../src/base/mod.ts";
import { readArrow } from "../../src/data/arrow.ts";
import { csvRows } from "../../src/data/csv.ts";
import { loadProblems, readProblems } from "../../src/data/mod.ts";
import { strayIn, wholeText } from "../../src/data/text.ts";
import { exactJson, plainValue } from "../../src/data/values.ts";
import { fixture, jsonl, withFile } from "./files.ts";

/** Question and answer of every problem of a file. */
async function pairs(path: string): Promise<string[][]> {
  return (await loadProblems(path)).problems.map(({ question, answer }) => [question, answer]);
}

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

Deno.test("formats: text that is not UTF-8 is told, never read as another letter", async () => {
  const latin1 = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const error = await assertRejects(() => loadProblems(fixture("latin1.jsonl")), UserError);
  assert(
    error.message.endsWith("line 1: its text is not UTF-8 (byte 0xE9, which is é in Latin-1)"),
  );
  assert(error.hint?.includes("iconv -f latin1 -t utf-8"), error.hint);
  const rows = jsonl({ question: "ok", answer: 1 }, { question: "café", answer: 2 });
  await withFile("x.jsonl", latin1(rows), async (path) => {
    const { problems, skipped } = await loadProblems(path);
    assertEquals(problems.map(({ question }) => question), ["ok"]);
    assertEquals(skipped.map(({ where }) => where), [`${path}: line 2`]);
  });
  // One byte costs one row, in every format of text, also where it stands in a cell of no use.
  const ok = { question: "ok", answer: 1 }, utf8 = new TextEncoder().encode("€,4,\n");
  const documents: Record<string, Uint8Array> = {
    "x.csv": Uint8Array.from([...latin1("question,answer,note\nok,1,\nq,2,café\n"), ...utf8]),
    "x.json": latin1(JSON.stringify([ok, { question: "q", answer: [{ a: "é" }] }])),
    "rows.json": latin1(JSON.stringify({ data: [ok, { question: "é" }] }, null, 2)),
  };
  for (const [name, bytes] of Object.entries(documents)) {
    await withFile(name, bytes, async (path) => {
      const { problems, skipped } = await loadProblems(path);
      const questions = problems.map(({ question }) => question);
      assertEquals(questions, name === "x.csv" ? ["ok", "€"] : ["ok"]);
      const [{ where, reason, detail }, ...more] = skipped;
      assertEquals([more.length, reason], [0, "its text is not UTF-8"]);
      assertEquals(where, `${path}: ${name === "x.csv" ? "line 3" : "item 1"}`);
      assertEquals(detail, "byte 0xE9, which is é in Latin-1");
    });
  }
  const most = "question,answer\nok,1\ncafé,2\nthé,3\n";
  for (
    const text of [most, jsonl({ question: "ok", answer: 1 }, { question: "é" }, { question: "è" })]
  ) {
    await withFile("x.txt", latin1(text), async (path) => {
      const found = await assertRejects(
        () => loadProblems(path),
        UserError,
        "it is in 2 of 3 rows",
      );
      assert(found.hint?.includes("iconv -f latin1"));
    });
  }
  const wide = new Uint8Array(Uint16Array.from(`\ufeff${rows}`, (c) => c.charCodeAt(0)).buffer);
  await withFile("x.jsonl", wide, async (path) => {
    assertEquals(await pairs(path), [["ok", "1"], ["café", "2"]]);
  });
});

Deno.test("wholeText: the strays are those bytes that a decoder refuses, whatever is around them", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 3 }).map((text) => [...new TextEncoder().encode(text)]),
    fc.constantFrom(
      [0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xc1, 0xbf],
      [0xe2],
    ),
    fc.array(fc.nat(255), { maxLength: 3 }),
  );
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    const bytes = Uint8Array.from([...pieces.flat()]);
    const { text, strays } = wholeText("x", bytes);
    let right: string | undefined;
    try {
      right = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch { /* some are strays */ }
    assertEquals(strays, right === undefined);
    assertEquals(strayIn([{ a: text }]) !== undefined, strays);
    if (right !== undefined) assertEquals(text, right);
  }));
});

Deno.test("jsonl: broken lines cost themselves, wherever they stand and however the file is named", async () => {
  const good = jsonl({ question: "q", answer: "1" }, { question: "p", answer: "2" });
  const notes = [
    "{oops\n[also",
    '{"question": "cut of\n{"question',
    "# one, two\n# three, four",
    "[\n]x",
  ];
  for (const bad of notes) {
    for (const name of ["x.jsonl", "x.txt", "x"]) {
      for (const text of [`${bad}\n${good}`, `${bad}\n${bad}\n${good}`]) {
        // Only the name tells what mostly looks like something else.
        if (name !== "x.jsonl" && text.startsWith(`${bad}\n${bad}`)) continue;
        await withFile(name, text, async (path) => {
          const { problems, skipped } = await loadProblems(path);
          assertEquals(problems.map(({ question }) => question), ["q", "p"], text);
          assertEquals(skipped.length, text.split("\n").length - 2);
        });
      }
    }
  }
  // A damaged document stays one: its last row is no line of JSONL.
  const list =
    '[\n{"question": "a", "answer": 1},\n{"question": "b" "answer": 1},\n{"question": "c"}\n]';
  await withFile("x.json", list, async (path) => {
    await assertRejects(() => loadProblems(path), UserError, "x.json is not valid JSON");
  });
});

Deno.test("formats: two columns by one name are refused by it", async () => {
  const split = { columns: ["question", "answer", "answer"], data: [["q", 1, 2]] };
  const files = {
    "x.csv": "question, question ,answer\na,b,1\n",
    "x.tsv": "question\tanswer\tanswer\na\tb\tc\n",
    "x.json": JSON.stringify(split),
  };
  for (const [name, text] of Object.entries(files)) {
    await withFile(name, text, async (path) => {
      const twice = name === "x.csv" ? "question" : "answer";
      const message = `${name}: two columns have the name "${twice}"`;
      const error = await assertRejects(() => loadProblems(path), UserError, message);
      assert(error.hint !== undefined);
    });
  }
  await withFile("x.csv", ",,question,answer\n0,1,q,2\n", async (path) => {
    assertEquals(await pairs(path), [["q", "2"]]); // columns without a name are nobody's
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

Deno.test("formats: what holds no rows is called by its name", async () => {
  const files: Record<string, string> = {
    "a zip archive": "PK\x03\x04…",
    "a web page": "<!DOCTYPE html><html>",
    "compressed with bzip2": "BZh91AY",
  };
  for (const [what, content] of Object.entries(files)) {
    await withFile("x.jsonl", content, async (path) => {
      const error = await assertRejects(() => loadProblems(path), UserError, what);
      assert(error.hint !== undefined);
    });
  }
  await withFile("x.jsonl", "", async (path) => {
    const folder = path.slice(0, path.lastIndexOf("/"));
    const error = await assertRejects(() => loadProblems(folder), UserError, "is a folder");
    assertEquals(error.hint, "name one file of it: x.jsonl");
  });
});

Deno.test("formats: no flipped bit of an Arrow file makes it fill the memory", async () => {
  // Without the check of lengths the first of them kills the process: it cannot be caught.
  let beyond = 0;
  for (const name of ["x.arrow", "datasets.arrow"]) {
    const whole = await Deno.readFile(fixture(name));
    for (let at = 0; at < whole.length; at++) {
      const bytes = whole.slice();
      bytes[at] ^= 0x80;
      try {
        await readArrow(bytes, name);
      } catch (error) {
        assert(error instanceof UserError, `${name}, byte ${at}: ${error}`);
        if (/reaches beyond the file|fewer values than rows/.test(error.message)) beyond++;
      }
    }
  }
  assert(beyond > 50, `${beyond}`);
});

Deno.test("formats: a damaged file is read in part or refused in one line, never more", async () => {
  const read = (names: string[]) => names.map((name) => Deno.readFileSync(fixture(name)));
  const texts = read(["dapo.jsonl", "table.csv", "bigint.jsonl", "gz.jsonl.gz", "latin1.jsonl"]);
  const tables = read([
    "numbers.parquet",
    "numbers.lz4.arrow",
    "numbers.zstd.arrow",
    "datasets.arrow",
  ]);
  const changes = fc.array(fc.tuple(fc.nat(3000), fc.nat(255)), { minLength: 1, maxLength: 4 });
  const changed = fc.tuple(fc.constantFrom(...texts), changes).map(([whole, bytes]) => {
    const damaged = whole.slice();
    for (const [at, byte] of bytes) damaged[at % whole.length] = byte;
    return damaged;
  });
  const cut = fc.tuple(
    fc.constantFrom(...texts, ...tables),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
    .map(([whole, share]) => whole.slice(0, Math.floor(share * whole.length)));
  await withFile("x", "", async (path) => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(changed, cut), async (bytes) => {
        await Deno.writeFile(path, bytes);
        try {
          await readProblems(path);
        } catch (error) {
          if (!(error instanceof UserError) || error.message.includes("\n")) throw error;
        }
      }),
      { numRuns: 400 },
    );
  });
});
