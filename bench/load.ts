/**
 * `deno task bench:load`: how fast weights reach native memory, beside plain reading of the same file.
 *
 * Files come from the page cache; a model of SmolLM2-135M's shape is loaded into a decoder that exists
 * already. GB/s count bytes of the file; packing for the kernels is timed apart.
 *
 * @module
 */
import { Decoder, loadParameters, openWeights, saveDecoder } from "../src/model/mod.ts";
import { median } from "./harness.ts";
import { smol135m } from "./models.ts";
import { benchProgram, selected } from "./program.ts";
import { formatTable } from "./report.ts";
import { fillRandom } from "./workbench.ts";

/** Reads a file through a buffer of 4 MiB, as the loader does. */
function readWhole(path: string): void {
  using file = Deno.openSync(path);
  const buffer = new Uint8Array(4 * 2 ** 20);
  while (file.readSync(buffer) !== null);
}

/** Seconds of the middle one of `rounds` runs, after one that does not count. */
async function seconds(rounds: number, body: () => void | Promise<void>): Promise<number> {
  await body();
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await body();
    times.push((performance.now() - start) / 1000);
  }
  return median(times);
}

if (import.meta.main) {
  const description = "Loading of weights, against reading the file alone.";
  await benchProgram({ name: "load", description, rounds: 5 }, async (bench, _peak, options) => {
    const { stream } = bench, { rounds } = options;
    const results: Record<string, number | string>[] = [], table: string[][] = [];
    for (const dtype of ["float32", "bfloat16", "float16"] as const) {
      if (!selected(options, dtype)) continue;
      const dir = Deno.makeTempDirSync();
      try {
        const config = { ...smol135m, dtype };
        using decoder = new Decoder(stream, config, { head: "lm", train: false });
        fillRandom(stream, decoder.params.master.flat);
        await saveDecoder(stream, decoder, dir, { tokenizer: {} });
        const path = `${dir}/model.safetensors`, bytes = Deno.statSync(path).size;
        const read = await seconds(rounds, () => readWhole(path));
        const load = await seconds(rounds, async () => {
          using weights = openWeights(dir, decoder.config, "lm");
          loadParameters(stream, decoder, weights);
          await stream.sync();
        });
        const pack = await seconds(rounds, async () => {
          decoder.params.refresh(stream);
          await stream.sync();
        });
        results.push({ dtype, bytes, read: bytes / read, load: bytes / load, pack });
        const rate = (time: number) => (bytes / time / 1e9).toFixed(2);
        const size = (bytes / 1e6).toFixed(0), share = (read / load).toFixed(2);
        table.push([dtype, size, rate(read), rate(load), share, pack.toFixed(2)]);
      } finally {
        Deno.removeSync(dir, { recursive: true });
      }
    }
    const header = ["weights", "MB", "read, GB/s", "load, GB/s", "load / read", "pack, s"];
    console.log(formatTable(header, table, 1));
    return { results };
  });
}
