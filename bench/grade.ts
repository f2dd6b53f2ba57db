/**
 * `deno task bench:grade`: verdicts per second of each stage of grading, and for how long the event loop
 * stood still meanwhile. Needs no native code.
 *
 * @module
 */
import { grade, GradePool } from "../src/grade/mod.ts";
import { median } from "./harness.ts";
import { describeMachine } from "./machine.ts";
import { formatTable, saveResults } from "./report.ts";

/**
 * Pairs by the stage that decides them, half of them equal. A number that is new every time stands for
 * `#`, since the pool remembers what it was asked.
 */
const STAGES: Record<string, readonly (readonly [string, string])[]> = {
  "text and numbers": [
    ["$\\dfrac12$.", "\\frac{1}{2}"],
    ["0.5", "\\frac12"],
    ["4.5e33", "4.5 \\times 10^{33}"],
    ["12,345 \\text{ cm}", "12345"],
    ["17", "18"],
    ["\\frac{3}{7}", "0.43"],
    ["A", "(B)"],
    ["3\\frac12", "\\frac{9}{2}"],
  ],
  "expressions and structures": [
    ["\\frac{x^2-1}{x-1}", "x+1"],
    ["(a+5)(b+2)", "ab+2a+5b+10"],
    ["1 \\pm \\sqrt{19}", "1-\\sqrt{19}, 1+\\sqrt{19}"],
    ["(-\\infty,2) \\cup (3,\\infty)", "x<2 \\text{ or } x>3"],
    ["\\sin^2 x - \\cos^2 x", "1"],
    ["y=2x+3", "2x+y+3=0"],
    ["(1,2,3)", "(3,2,1)"],
    [
      "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
      "\\begin{pmatrix} 1 & 3 \\\\ 2 & 4 \\end{pmatrix}",
    ],
  ],
  "symbolic, in two workers": [
    ["\\lim_{x\\to 0}\\frac{\\sin #x}{x}", "#"],
    ["\\lim_{n\\to\\infty}(1+\\frac{#}{n})^n", "e^{#}"],
    ["\\int_1^2 \\frac{#}{x} dx", "#\\ln 2"],
    ["\\frac{d}{dx}x^3+#", "3x^2+#"],
    ["\\int_0^\\infty e^{-#x} dx", "#"],
    ["\\max(#,1)", "#+2"],
    ["\\gcd(#n,#m)", "#n"],
    ["\\int_0^1 x^2+# dx", "\\frac13+#"],
  ],
};
const ROUNDS = 7;
/** A round repeats the pairs until it has so many verdicts. */
const VERDICTS = { cheap: 4000, symbolic: 160 };
let fresh = 2;

await using pool = new GradePool({ workers: 2 });
const rows: { stage: string; perSecond: number; stillMs: number }[] = [];
for (const [stage, pairs] of Object.entries(STAGES)) {
  const symbolic = stage.startsWith("symbolic");
  const repeats = Math.ceil((symbolic ? VERDICTS.symbolic : VERDICTS.cheap) / pairs.length);
  const rates: number[] = [], still: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    let last = performance.now(), longest = 0;
    const pulse = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    const began = performance.now();
    const verdicts = Array.from(
      { length: repeats },
      () => {
        const number = String(fresh++);
        return pairs.map((pair) => {
          const [answer, gold] = pair.map((text) => text.replaceAll("#", number));
          return symbolic ? pool.grade(answer, gold) : grade(answer, gold);
        });
      },
    );
    await Promise.all(verdicts.flat());
    const seconds = (performance.now() - began) / 1000;
    clearInterval(pulse);
    if (round === 0) continue; // loads workers and compiles
    rates.push(repeats * pairs.length / seconds);
    still.push(longest);
  }
  rows.push({ stage, perSecond: median(rates), stillMs: median(still) });
}
console.log(formatTable(
  ["stage", "verdicts/s", "event loop still, ms"],
  rows.map(({ stage, perSecond, stillMs }) => [
    stage,
    perSecond.toFixed(0),
    stage.startsWith("symbolic") ? stillMs.toFixed(1) : "-",
  ]),
  1,
));
if (Deno.args.includes("--save")) {
  const memoryBytes = Deno.systemMemoryInfo().total;
  const machine = await describeMachine({ isa: "not used", memoryBytes });
  console.log(await saveResults("grade", machine, { rounds: ROUNDS, rows }));
}
