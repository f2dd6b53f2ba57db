import { assertEquals } from "@std/assert";
import { dirname, join, normalize } from "node:path";

/**
 * Who may import whom, floor by floor: a room may enter the rooms of its own row, always by their `mod.ts`.
 * ARCHITECTURE.md shows this table.
 */
const table: Readonly<Record<string, string>> = {
  base: "",
  report: "",
  ffi: "base",
  grade: "base",
  hub: "base",
  model: "base ffi",
  task: "base grade",
  data: "base grade",
  engine: "base ffi model",
  datasets: "base data hub",
  tiny: "base data model task",
  rollout: "engine grade model task",
  ppo: "base data engine ffi grade model rollout task",
  setup: "base engine ffi model ppo task tiny",
  eval: "base data engine ffi grade model report rollout setup task",
  train: "base data engine eval ffi grade model ppo report rollout setup task tiny",
};

/** Doors beside `mod.ts`: programs that `deno task` runs for every start must not load a whole room. */
const sideDoors = ["ffi/cache.ts"];

const root = join(import.meta.dirname!, "..");
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
