import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { histogram, lineChart, scatterChart, svgDocument } from "../../src/report/mod.ts";
import { read, type Tag } from "./tags.ts";

const titles = { title: "t", xTitle: "x", yTitle: "y" };
const numbers = ({ attributes }: Tag, ...names: string[]) =>
  names.map((name) => Number(attributes[name]));
const named = (svg: string, name: string) => read(svg).tags.filter((tag) => tag.name === name);

/** The part of a chart that belongs to one series. */
function series(svg: string, name: string): string {
  const start = svg.indexOf(`data-series="${name}"`);
  assert(start >= 0, `no series ${name}`);
  return svg.slice(svg.lastIndexOf("<g", start), svg.indexOf("</g>", start) + 4);
}

Deno.test("histogram: bars have the area of what they count, kinds on top of each other", () => {
  const right = [1, 1, 1, 5, 9.5], wrong = [1, 5, 5, 20];
  const svg = `${
    histogram(titles, [{ name: "right", values: right }, { name: "wrong", values: wrong }])
  }`;
  const bars = (name: string) =>
    named(series(svg, name), "rect").map((tag) => numbers(tag, "x", "y", "width", "height"));
  const total = (name: string) => bars(name).reduce((sum, [, , , height]) => sum + height, 0);
  assertAlmostEquals(total("right") / total("wrong"), 5 / 4, 0.02);
  assertEquals([bars("right").length, bars("wrong").length], [3, 3]);
  const [first] = bars("right"), [above] = bars("wrong");
  assertEquals(first[0], above[0], "both count ones");
  assertAlmostEquals(above[1] + above[3], first[1], 0.2, "the second kind stands on the first");
  assertAlmostEquals(first[3] / above[3], 3, 0.05);
  assertEquals(histogram(titles, [{ name: "right", values: [] }]), null);
});

Deno.test("histogram: the largest value and thousands of values have a bin", () => {
  const values = Array.from({ length: 5000 }, (_, i) => i % 1000);
  const svg = `${histogram(titles, [{ name: "right", values: [...values, 1000] }])}`;
  const bars = named(series(svg, "right"), "rect");
  assert(bars.length > 10 && bars.length <= 28);
  for (const bar of bars) {
    const [x, y, width, height] = numbers(bar, "x", "y", "width", "height");
    assert(x >= 51 && x + width <= 310 && y >= 50 && height > 0, JSON.stringify(bar));
  }
});

Deno.test("lineChart: points where they belong, in percent up to one where shares are high", () => {
  const line = { name: "fast", points: [[0, 0], [5, 0.5], [10, 1]] as const };
  const svg = `${lineChart({ ...titles, domain: [0, 10], share: true }, [line])}`;
  const dots = named(series(svg, "fast"), "circle").map((tag) => numbers(tag, "cx", "cy"));
  const [[x0, y0], [x1, y1], [x2, y2]] = dots;
  assertAlmostEquals(x1 - x0, x2 - x1, 0.11);
  assertAlmostEquals(y0 - y1, y1 - y2, 0.11);
  assertStringIncludes(read(svg).text, "100%");
  const low = `${
    lineChart({ ...titles, domain: [0, 1], share: true }, [{ name: "a", points: [[0, 0.012]] }])
  }`;
  assertStringIncludes(read(low).text, "1.5%");
  assert(!read(low).text.includes("100%"), "a model near zero is not drawn as a flat line");
  assertEquals(lineChart({ ...titles, domain: [0, 1] }, []), null);
});

Deno.test("lineChart: many points have no dots, a trend is drawn over faint measurements", () => {
  const points = Array.from({ length: 100 }, (_, i): [number, number] => [i, i % 7]);
  const trend = points.map(([x]): [number, number] => [x, 3]);
  const svg = `${lineChart({ ...titles, domain: [0, 99] }, [{ name: "slow", points, trend }])}`;
  const own = series(svg, "slow");
  assertEquals(named(own, "circle").length, 0);
  const [faint, strong] = named(own, "polyline");
  assert(Number(faint.attributes.opacity) < 0.5 && !("opacity" in strong.attributes));
});

Deno.test("scatterChart: ours filled, the paper's hollow, no label over another one or a mark", () => {
  const points = Array.from({ length: 40 }, (_, i) => ({
    name: i % 2 ? "Thinker" : "Baseline",
    label: `Set number ${i}`,
    x: 100 + 10 * (i % 5),
    y: 0.3 + 0.01 * Math.floor(i / 5),
    hollow: i % 4 === 3,
  }));
  const svg = `${scatterChart(titles, points)}`;
  const marks = named(svg, "circle").filter(({ attributes }) =>
    ["4.8", "4.2"].includes(attributes.r)
  );
  assertEquals(marks.length, 40);
  assertEquals(marks.filter((mark) => mark.attributes.fill === "none").length, 10);
  assertEquals(svg.split("<title>").length, 41, "every mark says what it is");
  const boxes = named(svg, "text").filter((tag) => tag.attributes.class === "label")
    .map((tag) => numbers(tag, "x", "y"));
  assert(boxes.length > 2 && boxes.length < 40, `${boxes.length} labels`);
  for (const [i, [x, y]] of boxes.entries()) {
    for (const [u, v] of boxes.slice(0, i)) assert(Math.abs(x - u) > 60 || Math.abs(y - v) >= 10);
  }
  assertEquals(
    scatterChart(titles, [{ name: "a", label: "b", x: 0, y: 1 }]),
    null,
    "no tokens, no place",
  );
});

Deno.test("scatterChart: nothing right at all is a chart, too", () => {
  const svg = `${
    scatterChart(titles, [{ name: "Thinker", label: "AIME24", x: 10, y: 0, error: 0 }])
  }`;
  assert(!/NaN|Infinity|undefined/.test(svg));
  assertStringIncludes(svg, "AIME24, Thinker: 0.0%, 10 tokens");
});

Deno.test("svgDocument: well-formed, with styles of both themes, whatever the titles are", () => {
  const evil = `</style><script>alert("1")</script> & 'more'`;
  const chart = lineChart({ ...titles, title: evil, domain: [0, 1] }, [{
    name: evil,
    points: [[0, 1]],
  }]);
  const svg = svgDocument(evil, evil, [chart!, chart!, chart!]);
  const { tags, text } = read(svg);
  assertEquals(tags.filter((tag) => tag.name === "script").length, 0);
  assertEquals(tags.filter((tag) => tag.name === "svg").length, 4);
  assertStringIncludes(text, evil);
  assertStringIncludes(svg, "prefers-color-scheme:dark");
  // Three charts of 500 x 300 in two columns.
  const [width, height] = numbers(tags[0], "width", "height");
  assert(width > 1000 && width < 1120 && height > 600 && height < 760, `${width} x ${height}`);
});
