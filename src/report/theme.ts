/**
 * Colours and type of charts and pages, for light and dark surroundings.
 *
 * @module
 */

/**
 * Colours that colour-blind readers can tell apart (after Okabe and Ito), light and dark. Stages of a
 * dialogue and rows of a table of results have one each; other series take the last ones in turn.
 */
const series: Record<string, readonly [light: string, dark: string]> = {
  fast: ["#d98e00", "#f2b544"],
  verify: ["#009e73", "#3fcf9f"],
  slow: ["#0072b2", "#5cb0ee"],
  summary: ["#c0629a", "#e79ac8"],
  answer: ["#d55e00", "#ff8a3d"],
  final: ["#222222", "#f2f2f2"],
  pretrained: ["#767676", "#a3a3a3"],
  baseline: ["#d55e00", "#ff8a3d"],
  thinker: ["#0072b2", "#5cb0ee"],
  "thinker-fast": ["#d98e00", "#f2b544"],
  right: ["#009e73", "#3fcf9f"],
  wrong: ["#b9bec4", "#5b636d"],
  "other-0": ["#7a5ab5", "#b39ae0"],
  "other-1": ["#8c564b", "#c99a8f"],
  "other-2": ["#6b7d2a", "#b3c765"],
  "other-3": ["#3a87b7", "#7cc4ea"],
};

const surfaces = {
  light: { ink: "#1c1e21", soft: "#5d646c", line: "#d7dbdf", grid: "#eceff1", page: "#ffffff" },
  dark: { ink: "#e9ebee", soft: "#a2a9b1", line: "#3d444c", grid: "#272c32", page: "#14171a" },
};

/** The class that colours a series: its own, or one of four for names without a colour. */
export function colorClass(name: string, others: readonly string[] = []): string {
  const key = name.toLowerCase();
  if (Object.hasOwn(series, key)) return `c-${key}`;
  return `c-other-${Math.max(0, others.indexOf(name)) % 4}`;
}

/** The series of a chart that have no colour of their own, for {@linkcode colorClass}. */
export function withoutColor(names: readonly string[]): string[] {
  return [...new Set(names)].filter((name) => !Object.hasOwn(series, name.toLowerCase()));
}

function colors(theme: "light" | "dark"): string {
  const { ink, soft, line, grid, page } = surfaces[theme];
  const index = theme === "light" ? 0 : 1;
  return [
    ...Object.entries(series).map(([name, pair]) => `.c-${name}{color:${pair[index]}}`),
    `.chart text{fill:${soft}}.chart .strong{fill:${ink}}.chart .line{stroke:${line}}`,
    `.chart .grid{stroke:${grid}}.chart .surface{fill:${page}}`,
  ].join("");
}

/** The style sheet of charts: concrete colours, so that every viewer of SVG understands it. */
export const chartStyle: string = [
  ".chart text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;",
  "font-size:11px}.chart .title{font-size:13px;font-weight:600}",
  ".chart .headline{font-size:18px;font-weight:600}.chart .label{font-size:10px}",
  colors("light"),
  `@media(prefers-color-scheme:dark){${colors("dark")}}`,
].join("");

function variables(theme: "light" | "dark"): string {
  const { ink, soft, line, grid, page } = surfaces[theme];
  return `--ink:${ink};--soft:${soft};--line:${line};--tint:${grid};--page:${page}`;
}

/** The style sheet of pages, charts included. */
export const pageStyle: string = `
:root{color-scheme:light dark;${variables("light")}}
@media(prefers-color-scheme:dark){:root{${variables("dark")}}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:86rem;background:var(--page);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 1rem}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.5rem 0 .5rem}
p,ul{margin:.5rem 0 1rem;max-width:46rem}
.scroll{overflow-x:auto;margin:.75rem 0 1.25rem}
table{border-collapse:collapse;font-size:.83rem;font-variant-numeric:tabular-nums}
th,td{padding:.32rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--soft)}
th:first-child,td:first-child{text-align:left;padding-left:0;position:sticky;left:0;background:var(--page)}
tr.muted td{color:var(--soft)}
td.wide{white-space:normal;overflow-wrap:anywhere;text-align:left}
.charts{display:flex;flex-wrap:wrap;gap:1.5rem;margin:1rem 0}
.chart{max-width:100%;height:auto;overflow:visible}
.filters{display:flex;flex-wrap:wrap;gap:.75rem;margin:.75rem 0;color:var(--soft)}
select{font:inherit;color:var(--ink);background:var(--page);border:1px solid var(--line);
border-radius:6px;padding:.15rem .4rem}
details.dialogue{border:1px solid var(--line);border-radius:8px;margin:.6rem 0;padding:0 .9rem}
details.dialogue[hidden]{display:none}
details.dialogue summary{cursor:pointer;padding:.55rem 0;overflow-wrap:anywhere}
details.dialogue[open] summary{border-bottom:1px solid var(--line);margin-bottom:.75rem}
.turn{border-left:3px solid currentColor;padding-left:.8rem;margin:.9rem 0}
.turn>*{color:var(--ink)}
.turn .stage{font-weight:600}
.facts{color:var(--soft);font-size:.87rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;margin:.35rem 0;padding:.6rem .75rem;
background:var(--tint);border-radius:6px;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
max-height:28rem;overflow-y:auto}
.mark{display:inline-block;min-width:3.6rem;font-weight:600}.mark.c-wrong{color:var(--soft)}
@media(max-width:44rem){th:first-child,td:first-child{white-space:normal;max-width:9rem}}
@media print{body{max-width:none}pre{max-height:none}}
${chartStyle}`.replaceAll("\n", "");
