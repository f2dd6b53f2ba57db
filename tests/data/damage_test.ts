/** Damaged files, and files of other kinds: rows are left out or the file is refused, in one line. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { UserError } from "../../src/base/mod.ts";
import { readArrow } from "../../src/data/arrow.ts";
import { loadProblems, readProblems } from "../../src/data/mod.ts";
import { strayIn, wholeText } from "../../src/data/text.ts";
import { fixture, jsonl, pairs, withFile } from "./files.ts";

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

Deno.test("formats: what holds no rows is called by its name", async () => {
  const files: Record<string, string> = {
    "a zip archive": "PK\x03\x04…",
    "a web page": "<!DOCTYPE html><html>",
    "a git-lfs pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
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
