import { assert, assertEquals } from "@std/assert";
import { existsSync } from "node:fs";
import { layConfig } from "../cli/settings.ts";
import { generatePages } from "../docs/generate.ts";
import { presets } from "../src/setup/mod.ts";

const root = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, root));
const essays = [...Deno.readDirSync(new URL("docs", root))].map(({ name }) => `docs/${name}`);
const pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", ...essays]
  .filter((path) => path.endsWith(".md")).sort();

/** The TypeScript examples of a file that are marked `ignore`. */
function ignored(path: string): string[] {
  const text = read(path).replaceAll(/^ \* ?/gm, "");
  return [...text.matchAll(/^```ts ignore\n(.*?)^```/gms)].map(([, code]) => code);
}

Deno.test("examples that need a trained model, and so are not run, type-check", async () => {
  const blocks = ["mod.ts", ...pages].flatMap(ignored);
  assert(blocks.length > 0);
  const dir = await Deno.makeTempDir();
  try {
    for (const [i, code] of blocks.entries()) {
      await Deno.writeTextFile(
        `${dir}/${i}.ts`,
        code.replaceAll(/\.\.?\/mod\.ts/g, `${root}mod.ts`),
      );
    }
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--no-lock", "--quiet", ...blocks.keys().map((i) => `${i}.ts`)],
      cwd: dir,
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("generated pages say what the code says now", async () => {
  for (const [path, text] of Object.entries(await generatePages())) {
    assert(read(path) === text, `${path} is stale: run \`deno task docs:generate\``);
  }
});

Deno.test("pages link to files that are there, and name no file that is gone", () => {
  const missing = pages.flatMap((page) => {
    const text = read(page);
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => new URL(target, new URL(page, root)));
    const named = [...text.matchAll(/`((?:src|ffi|cli|kernels|tests|bench|docs)\/[\w./-]+\.\w+)`/g)]
      .map(([, path]) => new URL(path, root));
    return [...links, ...named].filter((url) => !existsSync(url)).map((url) =>
      `${page}: ${url.href.slice(root.href.length)}`
    );
  });
  assertEquals(missing, []);
});

Deno.test("every test that docs/faults.md names is there, by that name", () => {
  const named = [...read("docs/faults.md").matchAll(/`(tests\/[\w./-]+)`, "([^"]+)"/g)];
  assert(named.length > 40);
  const missing = named.filter(([, path, name]) =>
    existsSync(new URL(path, root)) && !read(path).includes(name)
  );
  assertEquals(missing.map(([text]) => text), []);
});

Deno.test("tables are whole: a | inside of a cell does not end it", () => {
  const torn = pages.flatMap((page) => {
    const rows = [...read(page).matchAll(/^\|(.*)\|$/gm)].map(([, row]) => row.split(/(?<!\\)\|/));
    const isTorn = (cell: string) => (cell.match(/`/g)?.length ?? 0) % 2 === 1;
    return rows.flat().filter(isTorn).map((cell) => `${page}: ${cell.trim()}`);
  });
  assertEquals(torn, []);
});

Deno.test("ARCHITECTURE.md is a map: one can read it at a sitting", () => {
  assert(read("ARCHITECTURE.md").split("\n").length <= 150);
  assert(
    /## An episode in ten lines\n(?:.*\n)*?```ts ignore\n(?:.*\n){10}```/.test(
      read("ARCHITECTURE.md"),
    ),
  );
});

Deno.test("configs that pages and benchmarks show fit", async () => {
  const shown = [...read("README.md").matchAll(/^```json\n(.*?)^```/gms)].map(([, text]) => text);
  const dir = await Deno.makeTempDir();
  try {
    for (const text of [...shown, read("bench/smollm2_gsm8k.json")]) {
      await Deno.writeTextFile(`${dir}/config.json`, text);
      layConfig(presets.tiny, `${dir}/config.json`, {});
    }
    assert(shown.length > 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
