/**
 * `deno task oracle`: makes the fixtures anew with PyTorch and transformers and compares them with the
 * committed ones, lets transformers load what this project saves, sweeps over model folders of every kind,
 * and checks a real pretrained model.
 * Where Python or its package index is missing it says so and passes. The last line is
 * `N passed, N failed`.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { kernelCache } from "../../ffi/mod.ts";
import { Decoder, loadDecoder, saveDecoder } from "../../src/model/mod.ts";
import { fixtures, models, readArrays } from "../model/oracle.ts";
import { assertClose, Lab } from "../native.ts";
import { checkCheckpoint, checkConverter } from "./checkpoint.ts";
import { NoOracle, Python } from "./python.ts";
import { checkSmollm2 } from "./smollm2.ts";
import { checkSweep } from "./sweep.ts";

/** Names of all files below a folder. */
function files(dir: string, prefix = ""): string[] {
  return [...Deno.readDirSync(join(dir, prefix))].flatMap(({ name, isDirectory }) =>
    isDirectory ? files(dir, `${prefix}${name}/`) : [`${prefix}${name}`]
  ).sort();
}

function compareJson(actual: unknown, expected: unknown, where: string): void {
  if (typeof expected === "number" && typeof actual === "number") {
    assert(
      Math.abs(actual - expected) <= 1e-6 * Math.abs(expected),
      `${where}: ${actual}, ${expected}`,
    );
  } else if (typeof expected === "object" && expected !== null) {
    assertEquals(Object.keys(actual as object).sort(), Object.keys(expected).sort(), where);
    for (const [key, value] of Object.entries(expected)) {
      compareJson((actual as Record<string, unknown>)[key], value, `${where}: ${key}`);
    }
  } else assertEquals(actual, expected, where);
}

/** The generator still writes what is committed, up to the last digits of float32. */
async function checkFixtures(python: Python): Promise<void> {
  const dir = Deno.makeTempDirSync();
  try {
    await python.script("models_fixture.py", dir);
    assertEquals(files(dir), files(fixtures));
    for (const name of files(dir)) {
      const [made, committed] = [join(dir, name), join(fixtures, name)];
      if (name.endsWith(".json")) {
        const [a, b] = [made, committed].map((path) => JSON.parse(Deno.readTextFileSync(path)));
        compareJson(a, b, name);
      } else if (name.includes("model")) {
        assertEquals(Deno.readFileSync(made), Deno.readFileSync(committed), name);
      } else {
        const [a, b] = [readArrays(made), readArrays(committed)];
        assertEquals(Object.keys(a), Object.keys(b), name);
        for (const key of Object.keys(b)) assertClose(a[key], b[key], 1e-5, `${name}: ${key}`);
      }
    }
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** transformers loads what `saveDecoder` writes, in float32 and in bfloat16. */
async function checkSaved(python: Python): Promise<void> {
  using lab = await Lab.open();
  for (const name of models) {
    const from = `${fixtures}/${name}`;
    using loaded = loadDecoder(lab.stream, from, { head: "lm", train: false });
    for (const dtype of ["float32", "bfloat16"] as const) {
      const dir = Deno.makeTempDirSync();
      try {
        const config = { ...loaded.config, dtype };
        using copy = new Decoder(lab.stream, config, { head: "lm", train: false });
        lab.stream.copy(copy.params.master.flat, loaded.params.master.flat);
        await saveDecoder(lab.stream, copy, dir, { tokenizer: {} });
        await python.script("saved.py", dir, `${from}/expected.safetensors`, "1e-5");
      } finally {
        Deno.removeSync(dir, { recursive: true });
      }
    }
  }
}

/** By name; what a check returns is shown. */
const checks: Record<string, (python: Python) => Promise<string | void>> = {
  "fixtures are what PyTorch and transformers make": checkFixtures,
  "transformers loads what is saved": checkSaved,
  "model folders compute transformers' logits or are refused in a line": checkSweep,
  "SmolLM2-135M-Instruct continues as in transformers": checkSmollm2,
  "transformers stops where a checkpoint's training stopped": checkCheckpoint,
  "llama.cpp's converter takes a checkpoint": checkConverter,
};

let passed = 0, failed = 0, skipped = 0;
try {
  const python = await Python.prepare(kernelCache());
  for (const [name, check] of Object.entries(checks)) {
    try {
      const told = await check(python);
      passed++;
      console.log(`ok      ${name}${told ? `\n        ${told}` : ""}`);
    } catch (error) {
      if (error instanceof NoOracle) throw error;
      failed++;
      console.log(`FAILED  ${name}\n${error instanceof Error ? error.message : error}`);
    }
  }
} catch (error) {
  if (!(error instanceof NoOracle)) throw error;
  skipped = Object.keys(checks).length - passed - failed;
  console.log(`skipped: ${error.message}`);
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
Deno.exit(failed > 0 ? 1 : 0);
