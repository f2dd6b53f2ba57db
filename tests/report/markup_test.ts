import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { escapeText, markup } from "../../src/report/mod.ts";
import { linearScale, logScale } from "../../src/report/scale.ts";
import { read } from "./tags.ts";

// deno-lint-ignore no-control-regex -- what no document may hold
const replaced = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/g;

Deno.test("markup: any text stays text, in elements and in attributes", () => {
  const text = fc.string({ unit: "binary", maxLength: 60 });
  const sharp = fc.constantFrom(
    "<script>",
    "</p>",
    '" onload="',
    "'",
    "&lt;",
    "&",
    "<!--",
    "]]>",
    "\0",
  );
  fc.assert(fc.property(fc.array(fc.oneof(text, sharp)), (parts) => {
    const value = parts.join("");
    const { tags, text } = read(`${markup`<p title="${value}">${value}</p>`}`);
    const shown = value.toWellFormed().replace(replaced, "\ufffd");
    assertEquals(tags, [{ name: "p", attributes: { title: shown } }]);
    assertEquals(text, shown);
  }));
});

Deno.test("markup: nests, and leaves nothing out but undefined", () => {
  const inner = markup`<b>${1}</b>`;
  assertEquals(
    `${markup`<p>${[inner, " & ", undefined, [inner]]}</p>`}`,
    "<p><b>1</b> &amp; <b>1</b></p>",
  );
  assertEquals(escapeText("a\u0000b\ud800"), "a\ufffdb\ufffd");
});

Deno.test("scales: ends, order and round ticks", () => {
  const number = fc.double({ min: -1e3, max: 1e3, noNaN: true });
  fc.assert(fc.property(number, fc.double({ min: 1e-3, max: 1e6, noNaN: true }), (low, width) => {
    const scale = linearScale([low, low + width], [0, 100]);
    const [first, last] = scale.domain;
    assert(first <= low + 1e-6 * width && last >= low + width * (1 - 1e-6), `${first} ${last}`);
    assert(Math.abs(scale.at(first)) < 1e-6 && Math.abs(scale.at(last) - 100) < 1e-6);
    assert(scale.ticks.length >= 3 && scale.ticks.length <= 12, `${scale.ticks}`);
    assert(scale.ticks.every((tick, i) => i === 0 || tick > scale.ticks[i - 1]));
  }));
  assertEquals(
    linearScale([0, 1], [0, 1]).ticks,
    [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1].map((tick) => Number(tick.toFixed(1))),
  );
  assertEquals(linearScale([0, 3], [0, 1], { integers: true }).ticks, [0, 1, 2, 3]);
  assertEquals(linearScale([0, 97], [0, 97], { exact: true }).domain, [0, 97]);
  assertEquals(
    linearScale([5, 5], [0, 1]).ticks.length > 1,
    true,
    "a single value has an axis too",
  );
});

Deno.test("logScale: equal ratios are equally far apart", () => {
  const scale = logScale([10, 5000], [0, 600]);
  assertEquals(scale.ticks, [10, 20, 50, 100, 200, 500, 1000, 2000, 5000]);
  const step = scale.at(100) - scale.at(10);
  assert(Math.abs(scale.at(1000) - scale.at(100) - step) < 1e-9);
  assert(scale.at(10) > 0 && scale.at(5000) < 600, "no mark lies on the edge");
});

Deno.test("tags: the reader of these tests finds what is wrong", () => {
  for (
    const bad of [
      "<p>",
      "</p>",
      "<p><b></p></b>",
      "a & b",
      "a > b",
      "<p onclick=x></p>",
      "<p",
      "<1>",
    ]
  ) {
    assertThrows(() => read(bad), Error, undefined, bad);
  }
});
