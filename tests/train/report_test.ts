import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import {
  type EpisodeSample,
  renderChart,
  type ReportOptions,
  RunFolder,
  writeReport,
} from "../../src/train/mod.ts";
import { JsonlWriter } from "../../src/base/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import { thinkerMetrics } from "./synthetic.ts";

const OPTIONS: ReportOptions = {
  title: "tiny, Thinker, seed 1",
  rows: [
    { name: "Pretrained", set: "sums", accuracy: 0.31, standardError: 0.0146, tokens: 88 },
    {
      name: "Thinker",
      set: "sums",
      accuracy: 0.7,
      standardError: 0.0145,
      greedy: { accuracy: 0.75, standardError: 0.0137 },
      passAt: { k: 4, share: 0.9 },
      tokens: 80,
    },
    { name: "Thinker-Fast", set: "sums", accuracy: 0.6, standardError: 0.0155, tokens: 20.25 },
  ],
  notes: ["The model is small: accuracy near zero is expected on competition problems."],
};

async function withRun(
  steps: number,
  test: (folder: RunFolder) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    using folder = await RunFolder.create(join(dir, "run"));
    await folder.writeJson(folder.config, { seed: 1, model: { layers: 2, name: "a|b" } });
    using writer = new JsonlWriter(folder.metrics);
    for (const row of thinkerMetrics(steps)) writer.write(row);
    await test(folder);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function episode(step: number, id: string, responses: string[]): EpisodeSample {
  return {
    step,
    id,
    question: `What is ${id}?`,
    answer: "4",
    turns: responses.map((response, i) => ({
      stage: ["fast", "verify", "slow"][i],
      prompt: "…",
      response,
      reward: i % 2,
      tokens: response.length,
      truncated: i === 2,
    })),
  };
}

Deno.test("the report holds results, stage accuracies, samples and configuration", () =>
  withRun(50, async (folder) => {
    {
      using writer = new JsonlWriter(folder.episodes);
      writer.write(episode(40, "old", ["gone"]));
      writer.write(episode(50, "2+2", ["first"]));
      writer.write(episode(50, "1+3", ["fast ```js\nx\n``` end", "No", "y".repeat(4000)]));
    }
    await writeReport(folder, OPTIONS);
    const text = await Deno.readTextFile(folder.report);

    const rows = text.split("\n").filter((line) => /^\| (Pre|Base|Think)/.test(line));
    assertEquals(rows, [
      "| Pretrained | 31.00 ± 1.46 |  |  | 88.0 |",
      "| Thinker | 70.00 ± 1.45 | 75.00 ± 1.37 | 90.00 | 80.0 |",
      "| Thinker-Fast | 60.00 ± 1.55 |  |  | 20.3 |",
    ]);
    assertStringIncludes(text, "| accuracy on sums, % | sampled | greedy | pass@4 | mean tokens |");
    assertStringIncludes(text, "50 PPO steps, 50,000 action tokens trained");
    assertStringIncludes(text, "| step | fast, % | final, % | slow after wrong, % | tokens |");
    assertStringIncludes(text, "| 0 | 25.0 | 30.0 | 20.0 | 90.0 |");
    assertStringIncludes(text, "| 50 | 60.0 | 70.0 | 20.0 | 80.0 |");
    assertStringIncludes(text, "### The same, greedy");
    assertStringIncludes(text, "| 50 | 65.0 | 75.0 |");
    // No final beside that of held-out problems: in training it is a lower bound.
    assertStringIncludes(text, "| step | fast, % | verify, % | slow, % |\n");
    assertStringIncludes(text, OPTIONS.notes[0]);
    assertStringIncludes(text, '| model.name | "a\\|b" |');

    assert(!text.includes("gone"), "only the last step's dialogues are shown");
    assert(text.indexOf("Problem 1+3") < text.indexOf("Problem 2+2"), "longest dialogue first");
    assertStringIncludes(text, "````text\nfast ```js");
    assertStringIncludes(text, "2500 characters left out");
    assertStringIncludes(text, "(budget spent)");

    const svg = await Deno.readTextFile(folder.chart);
    assert(svg.startsWith("<svg"));
    assertStringIncludes(svg, OPTIONS.title);

    const page = await Deno.readTextFile(folder.page);
    assertStringIncludes(page, "<td>70.00 ± 1.45</td>");
    assertStringIncludes(page, 'aria-label="Accuracy on held-out problems"');
    assertStringIncludes(page, "1+3");
    assert(!page.includes("gone"), "only the last step's dialogues are shown");
    assertStringIncludes(page, "y".repeat(4000), "the page has room for whole responses");
  }));

Deno.test("report: what it returns is its beginning, notes included, with results or without", () =>
  withRun(20, async (folder) => {
    const summary = await writeReport(folder, OPTIONS);
    const text = await Deno.readTextFile(folder.report);
    assertEquals(summary.trim(), text.slice(0, text.indexOf("## Curves")).trim());
    for (
      const part of ["# tiny, ", "20 PPO steps, ", "| Thinker-Fast | 60.00", OPTIONS.notes[0]]
    ) assertStringIncludes(summary, part);
    const bare = await writeReport(folder, { ...OPTIONS, rows: [] });
    assertStringIncludes(bare, "20 PPO steps, ");
    assert(bare.trim().endsWith(OPTIONS.notes[0]), bare);
  }));

Deno.test("tables over steps stay short and keep both ends", () =>
  withRun(1000, async (folder) => {
    await writeReport(folder, OPTIONS);
    const text = await Deno.readTextFile(folder.report);
    const section = text.slice(
      text.indexOf("Accuracy on held-out"),
      text.indexOf("### The same, greedy"),
    );
    const steps = [...section.matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]));
    assertEquals(steps.length, 12);
    assertEquals([steps[0], steps[11]], [0, 1000]);
    assert(!text.includes("Sampled dialogues"), "no episodes, no samples");
  }));

Deno.test("several sets give a column each, and an average only over all of them", () =>
  withRun(0, async (folder) => {
    const row = (name: string, set: string, accuracy: number) => (
      { name, set, accuracy, standardError: 0.01, tokens: 100 }
    );
    await writeReport(folder, {
      title: "t",
      rows: [row("Thinker", "A", 0.5), row("Thinker", "B", 0.25), row("Baseline", "A", 0.4)],
      notes: [],
    });
    const text = await Deno.readTextFile(folder.report);
    assertStringIncludes(text, "| accuracy, % | A | B | average | mean tokens |");
    assertStringIncludes(text, "| Thinker | 50.00 ± 1.00 | 25.00 ± 1.00 | 37.50 | 100.0 |");
    assertStringIncludes(text, "| Baseline | 40.00 ± 1.00 |  |  | 100.0 |");
  }));

Deno.test("a run without steps has nothing to report", () =>
  withRun(0, async (folder) => {
    await Deno.remove(folder.metrics);
    await assertRejects(() => writeReport(folder, OPTIONS), UserError, "metrics.jsonl");
  }));

Deno.test("the chart has one panel per kind of curve and one colour per stage", () => {
  const svg = renderChart("a title", thinkerMetrics(60));
  assert(svg !== null);
  for (
    const text of [
      "a title",
      "60 PPO steps, 60,000 tokens trained",
      "Accuracy on held-out problems",
      "Accuracy on training rollouts",
      "Mean reward",
      "Mean response length",
    ]
  ) assertStringIncludes(svg, text);
  const series = (title: string) => {
    const chart = svg.slice(svg.indexOf(`aria-label="${title}"`));
    return [
      ...chart.slice(0, chart.indexOf("</svg>")).matchAll(/class="c-(\w+)" data-series="(\w+)"/g),
    ]
      .map(([, color, name]) => {
        assertEquals(color, name, "every stage has its own colour");
        return name;
      });
  };
  assertEquals(series("Accuracy on held-out problems"), ["fast", "final"]);
  assertEquals(series("Greedy accuracy on held-out problems"), ["fast", "final"]);
  assertEquals(series("Accuracy on training rollouts"), ["fast", "verify", "slow"]);
  assertEquals(series("Mean reward"), ["fast", "verify"]);
  assertStringIncludes(svg, "prefers-color-scheme:dark");
  assert(!svg.includes("NaN") && !svg.includes("undefined"));
});

Deno.test("the chart is the same for the same metrics, and empty panels are left out", () => {
  const rows = thinkerMetrics(0);
  const svg = renderChart("t", rows);
  assertEquals(renderChart("t", rows), svg);
  assertStringIncludes(svg ?? "", "Accuracy on held-out problems");
  assert(!svg?.includes("Mean reward"));
  assertEquals(renderChart("t", [{ step: 0 }]), null);
});

Deno.test("reporting needs the run folder and nothing else: no environment, no network", () =>
  withRun(20, async (folder) => {
    folder[Symbol.dispose](); // another process takes it
    const script = `
      import { RunFolder, writeReport } from "${import.meta.resolve("../../src/train/mod.ts")}";
      using folder = await RunFolder.create("${folder.path}", { resume: true });
      await writeReport(folder, ${JSON.stringify(OPTIONS)});`;
    const path = join(folder.path, "..", "script.ts");
    await Deno.writeTextFile(path, script);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-config",
        "--no-lock",
        `--allow-read=${folder.path}`,
        `--allow-write=${folder.path}`,
        path,
      ],
      stdin: "null",
      stderr: "piped",
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    assert((await Deno.stat(folder.chart)).size > 10_000);
  }));
