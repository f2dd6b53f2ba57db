import { assert, assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);

/** The TypeScript examples of a file that are marked `ignore`. */
async function ignored(path: string): Promise<string[]> {
  const text = (await Deno.readTextFile(new URL(path, root))).replaceAll(/^ \* ?/gm, "");
  return [...text.matchAll(/^```ts ignore\n(.*?)^```/gms)].map(([, code]) => code);
}

Deno.test("examples that need a trained model, and so are not run, type-check", async () => {
  const blocks = (await Promise.all(["mod.ts", "README.md", "ARCHITECTURE.md"].map(ignored)))
    .flat();
  assert(blocks.length > 0);
  const dir = await Deno.makeTempDir();
  try {
    for (const [i, code] of blocks.entries()) {
      await Deno.writeTextFile(`${dir}/${i}.ts`, code.replaceAll("./mod.ts", `${root}mod.ts`));
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
