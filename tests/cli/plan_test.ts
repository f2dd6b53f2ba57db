import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { formatBytes } from "../../src/base/bytes.ts";
import { smallConfig, TempDir } from "../e2e/small.ts";
import { thinker } from "./thinker.ts";

async function plan(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await thinker(["plan", ...args]);
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

Deno.test("cli: plan prints the table, the verdict and what to change", async () => {
  const roomy = await plan("--memory", "16GB");
  assertMatch(roomy, /^a model made here: \d+ parameters\n\n {2}actor: weights +\d/);
  assertMatch(
    roomy,
    /\n {2}total +\d+ MB\n\nfits into 14\.4 GB, nine tenths of 16\.0 GB\non disk: up to .*\n$/,
  );
  const tight = await plan("--memory", "140MB");
  assertMatch(
    tight,
    /\ndoes not fit into 126 MB, nine tenths of 140 MB\nthe smallest change .*\non disk: up to .*\n$/,
  );
});

Deno.test("cli: plan of a config file, as JSON; its change makes the next plan fit", async () => {
  await using dir = await TempDir.make();
  const file = `${dir.path}/config.json`;
  const small = smallConfig();
  await Deno.writeTextFile(file, JSON.stringify(small));
  const ask = async (memory: string) =>
    JSON.parse(await plan("--config", file, "--memory", memory, "--json"));
  const roomy = await ask("1GiB");
  assertEquals([roomy.deviceBytes, roomy.fits], [2 ** 30, true]);
  const tight = `${roomy.total}`; // a tenth of it cannot be used
  const first = await ask(tight);
  assertEquals([first.total, first.fits], [roomy.total, false]);
  const rows: { bytes: number }[] = first.rows;
  assertEquals(rows.reduce((total, row) => total + row.bytes, 0), first.total);
  const [{ settings: [{ setting, to }], total }] = first.changes;
  assertEquals(setting, "ppo.packTokens");
  await Deno.writeTextFile(
    file,
    JSON.stringify({ ...small, ppo: { ...small.ppo, packTokens: to } }),
  );
  const second = await ask(tight);
  assert(second.fits && second.total <= second.usable);
  assertEquals([second.total, second.changes], [total, []]);
  // Of the three checkpoints, at steps 0, 2 and 3, one is written before any moments are.
  const { checkpoint, first: bare } = roomy.disk;
  assertEquals([roomy.disk.saves, roomy.disk.total], [3, bare + 2 * checkpoint]);
  await Deno.writeTextFile(file, JSON.stringify({ ...small, keep: 1 }));
  assertEquals((await ask("1GiB")).disk.total, 2 * checkpoint);
});

Deno.test("cli: plan refuses an amount of memory that it cannot read", async () => {
  const { code, stdout, stderr } = await thinker(["plan", "--memory", "much"]);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^error: "much" is not an amount of memory\nhint: .*16GB.*\n$/);
});

Deno.test("cli: plan takes this machine's memory where it may ask, and else asks for it", async () => {
  const run = async (...permissions: string[]) => {
    const args = ["run", "--no-prompt", "-ER", ...permissions, "cli/main.ts", "plan"];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    return { code, text: new TextDecoder().decode(code === 0 ? stdout : stderr) };
  };
  const asked = await run("--allow-sys=systemMemoryInfo");
  assertEquals(asked.code, 0);
  assertStringIncludes(asked.text, `nine tenths of ${formatBytes(Deno.systemMemoryInfo().total)}`);
  const unknown = await run();
  assertEquals(unknown.code, 1);
  assertMatch(unknown.text, /^error: how much memory .*\nhint: .*--memory 16GB\n$/);
});

Deno.test("cli: plan knows the presets' models before they are downloaded", async () => {
  const large = await plan("--preset", "r7b", "--device", "cuda", "--memory", "141GB");
  assertMatch(
    large,
    /^deepseek-ai\/DeepSeek-R1-Distill-Qwen-7B: 7615616512 parameters, on a GPU\n/,
  );
  assertMatch(
    large,
    /\ndoes not fit into 127 GB, nine tenths of 141 GB\nthe smallest change that fits: /,
  );
  assertStringIncludes(large, 'parallel.offload to "optimizer"');
  assertMatch(
    large,
    /\nor: set parallel\.ranks to 4 .* on each of 4 GPUs\)\n.* do not run yet\non disk: /,
  );
  const qwen = ["--preset", "q1.5b", "--device", "cuda", "--memory", "141GB"];
  const small = await plan(...qwen);
  assertMatch(
    small,
    /\nfits into 127 GB, nine tenths of 141 GB\non disk: up to 753 GB at a time, of 21 checkpoints of 37\.0 GB /,
  );
  const few = await plan(...qwen, "--keep", "2", "--set", "saveEvery=100");
  assertMatch(few, /\non disk: up to 111 GB at a time, of 11 checkpoints of 37\.0 GB /);
});
