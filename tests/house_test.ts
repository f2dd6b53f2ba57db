import { assertEquals } from "@std/assert";
import { dirname, join, normalize } from "node:path";

const root = join(import.meta.dirname!, "..");

/** Who may import whom, floor by floor: the rooms of ARCHITECTURE.md, each with those that it enters. */
const table: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from(
    Deno.readTextFileSync(join(root, "ARCHITECTURE.md"))
      .matchAll(/^\| `(\w+)` *\|[^|]*\| ([\w –]*?) *\|$/gm),
    ([, room, enters]) => [room, enters === "–" ? "" : enters],
  ),
);

/** Doors beside `mod.ts`: programs that `deno task` runs for every start must not load a whole room. */
const sideDoors = ["ffi/cache.ts"];

const roomOf = (path: string) => {
  const [first, second, ...rest] = path.split("/");
  return first === "src" && rest.length > 0 ? second : first;
};

/** Every relative import of the sources, as paths from the root. */
function imports(): { from: string; to: string }[] {
  const files = (dir: string): string[] =>
    [...Deno.readDirSync(join(root, dir))].flatMap(({ name, isDirectory }) =>
      isDirectory ? files(`${dir}/${name}`) : name.endsWith(".ts") ? [`${dir}/${name}`] : []
    );
  const pattern = /^(?:import|export)\b[^;"]*?from "(\.[^"]+)"|import\("(\.[^"]+)"\)/gm;
  return ["src", "ffi", "cli"].flatMap(files).concat("mod.ts").flatMap((from) =>
    Array.from(Deno.readTextFileSync(join(root, from)).matchAll(pattern), ([, plain, dynamic]) => ({
      from,
      to: normalize(join(dirname(from), plain ?? dynamic)),
    }))
  );
}

Deno.test("house: rooms enter the rooms below them only, and by their door", () => {
  const wrong = imports().filter(({ from, to }) => {
    const [here, there] = [roomOf(from), roomOf(to)];
    if (here === there || there === "kernels") return false;
    if (!(there in table)) return true;
    const door = to.endsWith("/mod.ts") || sideDoors.includes(to);
    return !door || (here in table && !table[here].split(" ").includes(there));
  });
  assertEquals(wrong, []);
});

Deno.test("house: the table names every room once, below those that enter it", () => {
  const rooms = [...Deno.readDirSync(join(root, "src"))].map(({ name }) => name);
  assertEquals(Object.keys(table).sort(), [...rooms, "ffi"].sort());
  const order = Object.keys(table);
  for (const [room, below] of Object.entries(table)) {
    for (const each of below.split(" ").filter(Boolean)) {
      assertEquals(order.indexOf(each) < order.indexOf(room), true, `${room} above ${each}`);
    }
  }
});

Deno.test("house: no room is allowed to enter one that it does not enter", () => {
  const used: Record<string, Set<string>> = {};
  for (const { from, to } of imports()) {
    const [here, there] = [roomOf(from), roomOf(to)];
    if (here !== there && there !== "kernels") (used[here] ??= new Set()).add(there);
  }
  const actual = Object.fromEntries(
    Object.keys(table).map((room) => [room, [...used[room] ?? []].sort().join(" ")]),
  );
  assertEquals(actual, table);
});

Deno.test("house: inside a room no file imports in a circle", () => {
  const edges = Map.groupBy(imports(), ({ from }) => from);
  const circle = (path: string[]): string[] | undefined => {
    const at = path.indexOf(path.at(-1)!);
    if (at < path.length - 1) return path.slice(at);
    for (const { to } of edges.get(path.at(-1)!) ?? []) {
      if (done.has(to)) continue;
      const found = circle([...path, to]);
      if (found) return found;
    }
    done.add(path.at(-1)!);
  };
  const done = new Set<string>();
  assertEquals([...edges.keys()].map((from) => circle([from])).find(Boolean), undefined);
});

/** Every file below some folders, with its text. */
function texts(...folders: string[]): Map<string, string> {
  const files = (dir: string): string[] =>
    [...Deno.readDirSync(join(root, dir))].flatMap(({ name, isDirectory }) =>
      isDirectory ? files(`${dir}/${name}`) : name.endsWith(".ts") ? [`${dir}/${name}`] : []
    );
  const paths = folders.flatMap(files).concat("mod.ts");
  return new Map(paths.map((path) => [path, Deno.readTextFileSync(join(root, path))]));
}

Deno.test("house: no function in src has more than 80 lines", () => {
  // By deno fmt's layout: a function ends where a closing brace stands under its first word.
  const begin = /^( *)(?:export )?(?:static )?(?:async )?(?:function\b|#?\w+(?:<.*>)?\(|get \w)/;
  const long = [...texts("src")].flatMap(([path, text]) => {
    const lines = text.split("\n");
    return lines.flatMap((line, i) => {
      const [, indent] = begin.exec(line) ?? [];
      if (indent === undefined || /^ *(?:if|for|while|switch|return|throw|await)\b/.test(line)) {
        return [];
      }
      const next = lines.slice(i + 1).findIndex((each) =>
        each !== "" && !each.startsWith(`${indent} `) && !each.startsWith(`${indent})`)
      );
      const ends = lines[i + 1 + next] === `${indent}}`;
      return ends && next + 2 > 80 ? [`${path}:${i + 1}: ${next + 2} lines`] : [];
    });
  });
  assertEquals(long, []);
});

Deno.test("house: nothing is exported that no other file uses", () => {
  const all = texts("src", "ffi", "cli", "bench", "tests");
  const words = new Map([...all].map(([path, text]) => [path, new Set(text.match(/\w+/g))]));
  const value = /^export (?:abstract )?(?:async )?(?:const|function\*?|class) (\w+)/gm;
  const unused = [...texts("src", "ffi", "cli")].flatMap(([path, text]) =>
    Array.from(text.matchAll(value), ([, name]) => ({ path, name }))
      .filter(({ name }) =>
        // A public type may need its list or class public, too.
        !new RegExp(`typeof ${name}\\[|\\): ${name} `).test(text) &&
        ![...words].some(([other, used]) =>
          other !== path && used.has(name) && (other === "mod.ts" || !other.endsWith("/mod.ts"))
        )
      )
  );
  assertEquals(unused, []);
});

Deno.test("house: no stage's name outside of tasks and the toy", () => {
  // The colours of charts are looked up by name; any other name gets one in turn. "answer" is also a word.
  const allowed = /^src\/(?:task|tiny)\/|^src\/report\/theme\.ts$/;
  const found = [...texts("src", "ffi", "cli")].flatMap(([path, text]) =>
    allowed.test(path) || path === "mod.ts"
      ? []
      : text.split("\n").flatMap((line, i) =>
        /["'](?:fast|verify|slow|summary)["']/.test(line) && !/^ *(?:\*|\/\/)/.test(line)
          ? [`${path}:${i + 1}: ${line.trim()}`]
          : []
      )
  );
  assertEquals(found, []);
});
