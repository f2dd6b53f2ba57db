import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type Block,
  type Dialogue,
  heading,
  lineChart,
  toHtml,
  toMarkdown,
} from "../../src/report/mod.ts";
import { read } from "./tags.ts";

const evil =
  "</pre></details><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\u0000\u202e";

function dialogue(text: string, right?: boolean): Dialogue {
  const turn = {
    stage: text,
    response: text,
    reward: 0.25,
    tokens: 7,
    truncated: true,
    outcome: text,
  };
  return { id: text, set: text, question: text, answer: text, right, turns: [turn] };
}

/** A report with `text` wherever a text can be. */
function blocks(text: string): Block[] {
  const chart = lineChart({ title: text, xTitle: text, yTitle: text, domain: [0, 1] }, [
    { name: text, points: [[0, 1]] },
  ])!;
  return [
    heading(text),
    { kind: "text", text },
    { kind: "notes", items: [text] },
    {
      kind: "table",
      header: [text, text],
      rows: [[text, text], ["a", "b"]],
      muted: [1],
      wide: true,
    },
    { kind: "charts", charts: [chart] },
    { kind: "dialogues", dialogues: [dialogue(text, true), dialogue("other", false)] },
  ];
}

Deno.test("toHtml: no text becomes markup, wherever it stands", () => {
  const page = toHtml(evil, blocks(evil));
  const { tags, text } = read(page);
  const allowed = new Set(
    ("html head meta title style body h1 h2 p ul li div table thead tbody tr th td svg text line circle " +
      "polyline g label select option span details summary pre script").split(" "),
  );
  for (const { name, attributes } of tags) {
    assert(allowed.has(name), `<${name}> is in the page`);
    for (const key of Object.keys(attributes)) {
      assert(!/^(on|src|href)/.test(key), `${name} ${key}`);
    }
  }
  assertEquals(tags.filter(({ name }) => name === "script").length, 1);
  assertEquals(tags.filter(({ name }) => name === "details").length, 2);
  const shown = evil.replace("\u0000", "\ufffd");
  assertEquals(text.split(shown).length - 1, 22, "every text is there as it is");
});

Deno.test("toHtml: the same blocks as Markdown, and the filters that the viewer needs", () => {
  const page = read(toHtml("A report", blocks("plain")));
  const markdown = toMarkdown("A report", blocks("plain"));
  for (const part of ["A report", "plain", "budget spent", "reward 0.25", "True answer"]) {
    assertStringIncludes(page.text, part);
    assertStringIncludes(markdown, part);
  }
  const filters = page.tags.filter(({ name }) => name === "select")
    .map(({ attributes }) => attributes["data-filter"]);
  assertEquals(filters, ["set", "outcome"]);
  const shown = page.tags.filter(({ name }) => name === "details")
    .map(({ attributes }) => [attributes["data-set"], attributes["data-outcome"]]);
  assertEquals(shown, [["plain", "right"], ["other", "wrong"]]);
  assertEquals(page.tags.filter(({ attributes }) => attributes.class === "muted").length, 1);
});

Deno.test("toHtml: bold and code as in Markdown, and nothing else of it", () => {
  const { tags, text } = read(
    toHtml("t", [{ kind: "text", text: "**bold** and `code` and [no](link) <b>no</b>" }]),
  );
  assertStringIncludes(text, "bold and code and [no](link) <b>no</b>");
  assertEquals(tags.filter(({ name }) => name === "b" || name === "code").length, 2);
});

Deno.test("toHtml: long responses are cut in the middle", () => {
  const long = "x".repeat(50_000);
  const { turns: [turn], ...rest } = dialogue("short");
  const dialogues = [{ ...rest, turns: [{ ...turn, response: long }] }];
  const page = toHtml("t", [{ kind: "dialogues", dialogues }]);
  assertStringIncludes(page, "30000 characters left out");
  assert(page.length < 50_000);
});
