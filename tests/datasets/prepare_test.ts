import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { published } from "../published.ts";
import { dirname } from "node:path";
import { loadProblems } from "../../src/data/mod.ts";
import { UserError } from "../../src/base/errors.ts";
import { benchmarks } from "../../src/eval/benchmarks.ts";
import {
  type DataSource,
  dataSources,
  fetchSet,
  findFile,
  importSet,
} from "../../src/datasets/mod.ts";
import { gitBlob, sha256, TestHub } from "../hub/server.ts";

const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const orzRows = (count: number) =>
  bytesOf(Array.from({ length: count }, (_, i) => [
    { from: "human", value: `${i}+1=` },
    { from: "assistant", ground_truth: { value: `${i + 1}` } },
  ]));

const pinned: DataSource = {
  name: "sums",
  folder: "train",
  host: "github",
  repo: "org/code",
  revision: "a".repeat(40),
  path: "data/sums of all.json",
  blob: gitBlob(orzRows(300)),
  licence: "MIT",
};
const followed: DataSource = {
  name: "few",
  folder: "eval",
  host: "hub",
  repo: "org/few",
  revision: "main",
  path: "test.jsonl",
  rows: 2,
  licence: "MIT",
};
const few = new TextEncoder().encode(
  '{"question":"q","answer":"1"}\n{"question":"r","answer":"2"}\n',
);

const files = { [pinned.path]: orzRows(300), [followed.path]: few };

async function withFolder(test: (dir: string, hub: TestHub) => Promise<void>): Promise<void> {
  await using hub = await TestHub.start({ files, large: [followed.path] });
  const dir = await Deno.makeTempDir();
  try {
    await test(dir, hub);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const optionsFor = (dir: string, hub: TestHub) => ({
  out: `${dir}/data`,
  endpoints: { hub: hub.endpoint, github: hub.endpoint },
  retrySeconds: 0.001,
});

Deno.test("fetchSet: a pinned file, through dropped connections, checked and converted", () =>
  withFolder(async (dir, hub) => {
    hub.behaviour.faults = { [pinned.path]: [{ dropAfter: 3000 }, { dropAfter: 500 }] };
    const set = await fetchSet(pinned, optionsFor(dir, hub));
    assertEquals(set, {
      name: "sums",
      path: `${dir}/data/train/sums.jsonl`,
      rows: 300,
      skipped: 0,
      proof: "checksum",
      source: `${dir}/data/raw/github/org/code/data/sums of all.json`,
    });
    const { problems } = await loadProblems(set.path);
    assertEquals(problems[299], { id: "sums/299", question: "299+1=", answer: "300" });
    // There is nothing to download a second time.
    const requests = hub.seen.length;
    assertEquals(await fetchSet(pinned, optionsFor(dir, hub)), set);
    assertEquals(hub.seen.length, requests);
    // But a file that was changed since is not taken for the published one.
    await Deno.writeFile(set.source, orzRows(299));
    assertEquals((await fetchSet(pinned, optionsFor(dir, hub))).rows, 300);
  }));

Deno.test("fetchSet: what is not known beforehand is recorded, and holds from then on", () =>
  withFolder(async (dir, hub) => {
    const options = optionsFor(dir, hub);
    assertEquals((await fetchSet(followed, options)).proof, "recorded");
    const lock = JSON.parse(await Deno.readTextFile(`${dir}/data/data.lock.json`));
    assertEquals(lock, {
      files: {
        "hub:org/few/test.jsonl": {
          revision: hub.behaviour.commit,
          sha256: sha256(few),
          bytes: few.length,
        },
      },
    });
    assertEquals((await fetchSet(followed, options)).proof, "lock");

    // Somebody else starts with the lock file alone: the locked commit is asked for.
    await Deno.remove(`${dir}/data/raw`, { recursive: true });
    hub.seen.length = 0;
    assertEquals((await fetchSet(followed, options)).proof, "lock");
    assertStringIncludes(hub.seen[0].path, `/resolve/${hub.behaviour.commit}/`);

    // The source serves other bytes under the locked commit: refused, nothing is replaced.
    await Deno.remove(`${dir}/data/raw`, { recursive: true });
    hub.behaviour.files = { ...files, [followed.path]: few.with(14, 0x78) };
    await assertRejects(() => fetchSet(followed, options), UserError, "checksum differs");
    assertEquals((await loadProblems(`${dir}/data/eval/few.jsonl`)).problems[0].question, "q");

    await Deno.writeTextFile(`${dir}/data/data.lock.json`, '{"files":{"x":{"sha256":"1"}}}');
    await assertRejects(() => fetchSet(followed, options), UserError, "data.lock.json");
  }));

Deno.test("fetchSet: another number of rows is another set", () =>
  withFolder(async (dir, hub) => {
    const wrong = { ...followed, rows: 3 };
    await assertRejects(() => fetchSet(wrong, optionsFor(dir, hub)), UserError, "2 problems");
  }));

Deno.test("importSet: finds a file in every layout that people have it in", () =>
  withFolder(async (dir, hub) => {
    const options = optionsFor(dir, hub);
    const places: [DataSource, string, Uint8Array, string][] = [
      [followed, "few.jsonl", few, "none"],
      [followed, "eval/few.jsonl", few, "none"],
      [followed, "few/test.jsonl", few, "none"],
      [followed, "org/few/test.jsonl", few, "none"],
      [followed, "datasets--org--few/snapshots/abc/test.jsonl", few, "none"],
      [pinned, "sums.json", orzRows(300), "checksum"],
      [pinned, "sums of all.json", orzRows(300), "checksum"],
      [pinned, "code/data/sums of all.json", orzRows(300), "checksum"],
      [pinned, "data/sums of all.json", orzRows(20), "none"],
      [pinned, "raw/github/org/code/data/sums of all.json", orzRows(300), "checksum"],
    ];
    for (const [i, [source, place, bytes, proof]] of places.entries()) {
      const from = `${dir}/from${i}`;
      await Deno.mkdir(dirname(`${from}/${place}`), { recursive: true });
      await Deno.writeFile(`${from}/${place}`, bytes);
      const set = await importSet(source, from, options);
      assertEquals([set?.source, set?.proof], [`${from}/${place}`, proof]);
      const { problems } = await loadProblems(set!.path);
      assertEquals(problems[1].id, `${source.name}/1`, place);
      assertEquals(problems.length, set!.rows);
    }
    assertEquals(hub.seen, [], "it connects to nothing");
    await Deno.mkdir(`${dir}/bare`);
    await Deno.writeFile(`${dir}/bare/test.jsonl`, few);
    assertEquals(await importSet(followed, `${dir}/bare`, options), undefined, "could be anything");
    assertEquals(await importSet(pinned, `${dir}/no-such-folder`, options), undefined);
  }));

Deno.test("importSet: ids of rows that were converted before stay as they are", () =>
  withFolder(async (dir, hub) => {
    const rows = [{ id: "few/7", question: "q", answer: "1" }, {
      id: "x",
      question: "r",
      answer: "2",
    }];
    await Deno.writeTextFile(`${dir}/few.jsonl`, rows.map((row) => JSON.stringify(row)).join("\n"));
    const set = await importSet(followed, dir, optionsFor(dir, hub));
    assertEquals((await loadProblems(set!.path)).problems.map(({ id }) => id), ["few/7", "few/x"]);
  }));

Deno.test("the table of sources: every benchmark with its size, every checksum well-formed", () => {
  const names = dataSources.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (const { name, size } of benchmarks) {
    const source = dataSources.find((each) => each.name === name);
    assertEquals([source?.folder, source?.rows], ["eval", size], name);
  }
  for (const { host, revision, blob, path } of dataSources) {
    assert(host === "hub" || /^[0-9a-f]{40}$/.test(revision), `${path} is not pinned`);
    assert(host === "hub" ? blob === undefined : /^[0-9a-f]{40}$/.test(blob ?? ""), path);
  }
});

const sets = published("eval");

Deno.test({
  name: "importSet: the published benchmarks, all of them",
  ignore: sets.ignore,
  fn: () =>
    withFolder(async (dir, hub) => {
      const folder = dirname(sets.path);
      for (const source of dataSources.filter(({ folder }) => folder === "eval")) {
        const set = await importSet(source, folder, optionsFor(dir, hub));
        assertEquals(set?.rows, source.rows, source.name);
        const [mine, theirs] = await Promise.all(
          [set!.path, await findFile(source, folder)].map((path) => loadProblems(path!)),
        );
        assertEquals(mine, theirs);
      }
    }),
});
