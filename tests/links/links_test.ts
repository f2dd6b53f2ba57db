import { assertEquals, assertThrows } from "@std/assert";
import { Command } from "@cliffy/command";
import { dirname, join, normalize } from "node:path";

const root = join(import.meta.dirname!, "..", "..");

/** The sources under the folders, by their paths from the root. */
function sources(...folders: string[]): Map<string, string> {
  const files = (dir: string): string[] =>
    [...Deno.readDirSync(join(root, dir))].flatMap(({ name, isDirectory }) =>
      isDirectory ? files(`${dir}/${name}`) : name.endsWith(".ts") ? [`${dir}/${name}`] : []
    );
  return new Map(
    folders.flatMap(files).map((path) => [path, Deno.readTextFileSync(join(root, path))]),
  );
}

Deno.test("links: no file imports in a circle", () => {
  let left = Array.from(sources("links"), ([path, text]) => ({
    path,
    imports: Array.from(
      text.matchAll(/(?:from|import\(?) *"(\.[^"]+)"/g),
      ([, to]) => normalize(join(dirname(path), to)),
    ),
  }));
  for (let before = Infinity; left.length < before;) {
    before = left.length;
    const paths = left.map(({ path }) => path);
    left = left.filter(({ imports }) => imports.some((path) => paths.includes(path)));
  }
  assertEquals(left, []);
});

Deno.test("links: cliffy's stand-in holds the calls that programs make, no others", () => {
  const calls = [...sources("cli", "bench").values()].join("\n");
  const standIn = sources("links").get("links/cliffy_command/mod.ts")!;
  const methods = Array.from(
    standIn.matchAll(/^ {2}(?:async )?([a-z]\w*)\(/gm),
    ([, name]) => name,
  );
  assertEquals(methods.includes("option"), true);
  assertEquals(methods.filter((name) => !calls.includes(`.${name}(`)), []);
});

Deno.test("links: the stand-in for @std/assert holds what tests import, nothing else", () => {
  const used = [...sources("tests")].filter(([path]) => !path.startsWith("tests/links/"))
    .flatMap(([, text]) => [...text.matchAll(/import \{([^}]*)\} from "@std\/assert"/g)])
    .flatMap(([, names]) => names.split(",").map((name) => name.trim()).filter(Boolean));
  const types = Deno.readTextFileSync(join(root, "links/std_assert/mod.d.ts"));
  const held = Array.from(types.matchAll(/^export declare \w+ (\w+)/gm), ([, name]) => name);
  assertEquals([...new Set(held)].sort(), [...new Set(used)].sort());
});

Deno.test("links: what the stand-in does not know is refused, not read differently", () => {
  for (const spec of ["-s, --steps <n:integer>", "--plot [file:string]", "--keep <k:boolean>"]) {
    assertThrows(() => new Command().option(spec, ""), Error, spec);
  }
  assertThrows(() => new Command().arguments("<n:integer>"), Error, "<n:integer>");
});

/** Every npm package that a source names, with what follows its name. */
function npmImports(): { readonly name: string; readonly version: string }[] {
  const text = [...sources("src", "ffi", "cli", "bench", "tests", "links", "docs").values()];
  const named = /(?:from|import\()\s*"npm:(@?[^@"/]+(?:\/[^@"/]+)?)@?([^"/]*)/g;
  return [...text.join("\n").matchAll(named)].map(([, name, version]) => ({ name, version }));
}

Deno.test("npm packages are imported by one exact version each, which travels with a URL import", () => {
  const imports = npmImports();
  assertEquals(imports.length > 80, true);
  assertEquals(imports.filter(({ version }) => !/^\d+\.\d+\.\d+$/.test(version)), []);
  const versions = new Set(imports.map(({ name, version }) => `${name}@${version}`));
  assertEquals(versions.size, new Set(imports.map(({ name }) => name)).size);
});

Deno.test("deno.lock holds what the sources import and what that needs, nothing else", () => {
  const lock: {
    specifiers: Record<string, string>;
    npm: Record<string, { dependencies?: string[] }>;
  } = JSON.parse(Deno.readTextFileSync(join(root, "deno.lock")));
  const imported = npmImports().map(({ name }) => name);
  const named = Object.keys(lock.specifiers).map((key) => key.replace(/^npm:(.+)@.*$/, "$1"));
  assertEquals(named.sort(), [...new Set(imported)].sort());

  const needed = new Set<string>();
  const need = (key: string) => {
    if (needed.has(key)) return;
    needed.add(key);
    // The lock leaves the version out where there is one only.
    for (const name of lock.npm[key].dependencies ?? []) {
      need(name in lock.npm ? name : Object.keys(lock.npm).find((k) => k.startsWith(`${name}@`))!);
    }
  };
  for (const [key, version] of Object.entries(lock.specifiers)) {
    need(`${key.slice("npm:".length, key.lastIndexOf("@"))}@${version}`);
  }
  assertEquals(Object.keys(lock.npm).sort(), [...needed].sort());
});
