import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { layConfig } from "../../cli/settings.ts";
import { UserError } from "../../src/base/errors.ts";
import { presets } from "../../src/setup/presets.ts";

Deno.test("a config is laid from file, options and assignments; another task has other settings", () => {
  const { tiny } = presets;
  const lay = (...assignments: string[]) => layConfig(tiny, undefined, {}, assignments);
  assertEquals(lay("taskSettings.summaryCoefficient=0.5").taskSettings, {
    summaryCoefficient: 0.5,
    summaryReduce: "sum",
  });
  assertEquals(lay("task=baseline").taskSettings, {});
  assertEquals(layConfig(tiny, undefined, { task: "baseline" }, ["steps=3"]).taskSettings, {});
  assertEquals(lay("task=thinker-fast", "taskSettings.summaryReduce=mean").taskSettings, {
    summaryCoefficient: 1e-3,
    summaryReduce: "mean",
  });
  const refuses = (assignments: string[], message: string, hint: string) => {
    const error = assertThrows(() => lay(...assignments), UserError, message);
    assertStringIncludes(error.hint!, hint);
  };
  refuses(
    ["task=baseline", "taskSettings.x=1"],
    '--set: taskSettings: unknown key "x"',
    "here: none",
  );
  refuses(["taskSettings.summaryCoef=1"], "--set", '"summaryCoefficient"');
  refuses(["task=foo"], '--set: there is no task "foo"', "thinker");
});

Deno.test("numbers that no list or layout can hold are refused before anything is made of them", () => {
  const huge = [
    ...["shape.layers=1000000000", "evalProblems=1000000000000", "warmstart.batch=1000000000000"],
    ...["engine.maxSequences=1000000000", "ppo.criticMiniBatches=1000000000", "seed=1e16"],
  ];
  for (const assignment of huge) {
    const [key] = assignment.split("=");
    assertThrows(
      () => layConfig(presets.tiny, undefined, {}, [assignment]),
      UserError,
      `--set: ${key}: Too big`,
    );
  }
  // Never to stop is a fair wish, and what takes memory is counted against the device's.
  assertEquals(layConfig(presets.tiny, undefined, {}, ["steps=1e15"]).steps, 1e15);
});
