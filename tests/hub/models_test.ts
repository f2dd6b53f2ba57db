import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { dirname } from "node:path";
import fc from "npm:fast-check@4.10.2";
import { UserError } from "../../src/base/errors.ts";
import { downloadModel, type DownloadOptions, partialPath, readRecord } from "../../src/hub/mod.ts";
import { filesOf, TempDir } from "../e2e/small.ts";
import { type HubBehaviour, TestHub } from "./server.ts";

/** Bytes that look random and depend on `seed` alone. */
function bytes(length: number, seed = 1): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => (state = (state * 48271) % 2147483647) & 255);
}

const text = (content: string) => new TextEncoder().encode(content);
const weights = "model.safetensors";
const files: Record<string, Uint8Array> = {
  "config.json": text('{"architectures": ["Qwen2ForCausalLM"]}\n'),
  "tokenizer.json": bytes(300_000, 3),
  "tokenizer_config.json": text("{}"),
  "README.md": text("# A model\n"),
  "thinker.json": text("{}"),
  "trainer/state.json": text("{}"),
  "trainer/optimizer.safetensors": bytes(1000),
  [weights]: bytes(500_001, 7),
  "pytorch_model.bin": bytes(1000),
  "onnx/model.onnx": bytes(1000),
  "onnx/config.json": text("{}"),
};
const model = Object.keys(files).filter((name) => !/onnx|bin|trainer/.test(name));
const size = model.reduce((sum, name) => sum + files[name].length, 0);

/** Runs a test with a hub and a folder; retries do not wait. */
async function withHub(
  behaviour: Partial<HubBehaviour>,
  body: (hub: TestHub, out: string, options: DownloadOptions) => Promise<void>,
): Promise<void> {
  await using hub = await TestHub.start({
    files,
    large: [weights, "tokenizer.json"],
    ...behaviour,
  });
  await using dir = await TempDir.make();
  const out = `${dir.path}/model`;
  await body(hub, out, { out, endpoint: hub.endpoint, retrySeconds: 0 });
}

async function assertDownloaded(out: string, of = files): Promise<void> {
  const names = Object.keys(of).filter((name) => model.includes(name));
  assertEquals(await filesOf(out), [...names, "download.json"].sort());
  for (const name of names) assertEquals(await Deno.readFile(`${out}/${name}`), of[name], name);
}

/** What lies beside the model: hidden folders of downloads that are not complete. */
async function beside(out: string): Promise<string[]> {
  const names = (await Array.fromAsync(Deno.readDir(dirname(out)))).map(({ name }) => name);
  return names.filter((name) => name !== "model").sort();
}

Deno.test("hub: a model arrives whole, without the files of other frameworks", async () => {
  await withHub({ pageSize: 3 }, async (hub, out, options) => {
    const progress: number[] = [];
    const { commit, bytes: total, already } = await downloadModel(hub.repository, {
      ...options,
      onProgress: ({ done, kept, total }) => {
        assertEquals([kept, total], [0, size]);
        progress.push(done);
      },
    });
    assertEquals([total, already, progress[0], progress.at(-1)], [size, false, 0, size]);
    assertEquals(progress, progress.toSorted((a, b) => a - b));
    await assertDownloaded(out);
    assertEquals(await beside(out), []);
    const record = await readRecord(out);
    assertEquals([record?.repository, record?.commit], [hub.repository, commit]);
    const requests = hub.seen.length;
    assert((await downloadModel(hub.repository, options)).already);
    assertEquals(hub.seen.length, requests + 1 + Math.ceil(Object.keys(files).length / 3)); // revision, listing
  });
});

Deno.test("hub: a dropped connection is continued where it broke", async () => {
  const faults = {
    [weights]: [{ dropAfter: 100_000 }, { dropAfter: 1 }, { dropAfter: 0 }, { dropAfter: 250_000 }],
    "tokenizer.json": [{ dropAfter: 299_999 }],
    "config.json": [{ status: 503 }, { status: 429, retryAfter: 0 }],
  };
  await withHub({ faults }, async (hub, out, options) => {
    await downloadModel(hub.repository, options);
    await assertDownloaded(out);
    const ranges = hub.seen.filter((seen) =>
      seen.server === "storage" && seen.path.endsWith(weights)
    )
      .map((seen) => Number(seen.range?.match(/\d+/)?.[0] ?? 0));
    assertEquals(ranges, ranges.toSorted((a, b) => a - b));
    assert(ranges.at(-1)! > 250_000, `${ranges}`);
    assertEquals(hub.sent, size, "no byte comes twice");
  });
});

Deno.test("hub: any sizes, any breaks: the content is the same", async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 0, max: 60_000 }),
    fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 4 }),
    fc.boolean(),
    async (length, drops, ranges) => {
      const changed = { ...files, [weights]: bytes(length, 5) };
      const faults = { [weights]: drops.map((dropAfter) => ({ dropAfter })) };
      await withHub({ files: changed, faults, ranges }, async (hub, out, options) => {
        await downloadModel(hub.repository, options);
        await assertDownloaded(out, changed);
      });
    },
  );
  await fc.assert(property, { numRuns: 25 });
});

Deno.test("hub: an interrupted download keeps what has arrived and uses it next time", async () => {
  await withHub({}, async (hub, out, options) => {
    const controller = new AbortController();
    const stop = () =>
      downloadModel(hub.repository, {
        ...options,
        signal: controller.signal,
        onProgress: ({ done }) => done > 400_000 && controller.abort(new Error("Ctrl-C")),
      });
    await assertRejects(stop, Error, "Ctrl-C");
    assertEquals(await beside(out), [".model.part"]);
    await assertRejects(() => Deno.stat(out), Deno.errors.NotFound);
    let kept = 0;
    await downloadModel(hub.repository, {
      ...options,
      onProgress: (progress) => kept = progress.kept,
    });
    assert(kept > 400_000 && kept <= size, `${kept}`);
    await assertDownloaded(out);
    assertEquals(await beside(out), []);
  });
});

Deno.test("hub: what lay there and does not belong is fetched again", async () => {
  await withHub({}, async (hub, out, options) => {
    const staging = partialPath(out);
    await Deno.mkdir(`${staging}/old`, { recursive: true });
    await Deno.writeFile(`${staging}/${weights}`, bytes(200_000, 99)); // of another commit
    await Deno.writeFile(partialPath(`${staging}/${weights}`), bytes(200_000, 98)); // as well
    await Deno.writeFile(partialPath(`${staging}/config.json`), bytes(9000)); // longer than it should be
    await Deno.writeFile(`${staging}/tokenizer.json`, files["tokenizer.json"]); // whole already
    let last = { done: 0, kept: 0 };
    await downloadModel(hub.repository, { ...options, onProgress: (p) => last = p });
    await assertDownloaded(out);
    assertEquals([last.done, last.kept], [size, files["tokenizer.json"].length]);
    assert(
      !hub.seen.some(({ path }) => path.includes("resolve") && path.endsWith("tokenizer.json")),
    );
  });
});

Deno.test("hub: a link where the model grows leads nowhere: what it points to stays as it is", async () => {
  await withHub({}, async (hub, out, options) => {
    const other = `${dirname(out)}/other`;
    await Deno.mkdir(other);
    await Deno.writeTextFile(`${other}/thesis`, "precious");
    await Deno.symlink(other, partialPath(out));
    const error = await assertRejects(() => downloadModel(hub.repository, options), UserError);
    assertStringIncludes(error.message, `${partialPath(out)} is a link or no folder`);
    assertEquals(await filesOf(other), ["thesis"]);
    assertEquals(await beside(out), [".model.part", "other"]);
  });
});

Deno.test("hub: a digest that differs is refused, whichever kind it is; nothing is left as a model", async () => {
  for (const [name, digest] of [[weights, "a".repeat(64)], ["config.json", "b".repeat(40)]]) {
    await withHub({ digests: { [name]: digest } }, async (hub, out, options) => {
      const error = await assertRejects(() => downloadModel(hub.repository, options), UserError);
      assertMatch(
        error.message,
        new RegExp(`/${name}: its checksum differs: [\\w-]+ \\w+, published ${digest}$`),
      );
      assertStringIncludes(error.hint!, "run the same command again");
      await assertRejects(() => Deno.stat(out), Deno.errors.NotFound);
      const staged = `${partialPath(out)}/${name}`;
      for (const path of [staged, partialPath(staged)]) {
        await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
      }
    });
  }
});

Deno.test("hub: the token goes to the hub and never to the storage that it redirects to", async () => {
  await withHub({ token: "hf_secret" }, async (hub, out, options) => {
    await downloadModel(hub.repository, { ...options, token: "hf_secret" });
    await assertDownloaded(out);
    const heard = (server: string) =>
      new Set(hub.seen.filter((seen) => seen.server === server).map((seen) => seen.authorization));
    assertEquals(heard("hub"), new Set(["Bearer hf_secret"]));
    assertEquals(heard("storage"), new Set([undefined]));
  });
});

/** The one clear line that a download ends with. */
async function refused(
  behaviour: Partial<HubBehaviour>,
  change: Partial<DownloadOptions> & { repository?: string } = {},
): Promise<string> {
  let line = "";
  await withHub(behaviour, async (hub, out, options) => {
    const { repository = hub.repository, ...more } = change;
    const error = await assertRejects(
      () => downloadModel(repository, { ...options, ...more }),
      UserError,
    );
    assert(!error.message.includes("\n"), error.message);
    await assertRejects(() => Deno.stat(out), Deno.errors.NotFound);
    line = `${error.message} | ${error.hint}`;
  });
  return line;
}

Deno.test("hub: names that leave their folder are refused before anything is written", async () => {
  const evil = [
    "../evil.safetensors",
    "a/../../b",
    "/etc/x",
    "C:\\x",
    "a\\..\\..\\x",
    "a//b",
    "./x",
  ];
  for (const name of evil) {
    const line = await refused({ files: { ...files, [name]: text("x") } });
    assertStringIncludes(line, `the file name ${JSON.stringify(name)} leaves its folder`);
  }
  for (const repository of ["../x", "a/..", "a/b/c", "a b", "", "a/b?x"]) {
    assertStringIncludes(await refused({}, { repository }), "is no repository name");
  }
});

Deno.test("hub: refusals are one clear line with what to do", async () => {
  const without = (name: string) =>
    Object.fromEntries(Object.entries(files).filter(([path]) => path !== name));
  const cases: [Partial<HubBehaviour>, Parameters<typeof refused>[1], string[]][] = [
    [{ token: "t" }, {}, ["answers 401 (who are you?)", "need HF_TOKEN"]],
    [{ token: "t" }, { token: "u" }, ["answers 401", "what HF_TOKEN may see"]],
    [{ faults: { [weights]: [{ status: 403 }] } }, {}, ["answers 403", "accept the model's terms"]],
    [{}, { revision: "nope" }, ["answers 404", "check the spelling"]],
    [{}, { revision: "" }, ['"" is no revision']],
    [{}, { repository: "some-lab/other" }, ["some-lab/other", "answers 404"]],
    [{}, { endpoint: "ftp://x" }, ['"ftp://x" is no http(s) address', "HF_ENDPOINT"]],
    [{}, { token: "a\nb" }, ["the hub token holds", "HF_TOKEN"]],
    [{ files: without("config.json") }, {}, ["has no config.json"]],
    [{ files: without("tokenizer.json") }, {}, ["has no tokenizer.json"]],
    [{ files: without(weights) }, {}, ["has no weights as safetensors"]],
    [{ files: { ...without(weights), "x.gguf": text("GGUF") } }, {}, ["it holds x.gguf"]],
    [{ digests: { "README.md": "" } }, {}, ["README.md comes without a digest"]],
    [
      { faults: { [weights]: Array(9).fill({ status: 500 }) } },
      {},
      [`${weights}: `, "answers 500, 5 times in a row", "what has arrived is kept"],
    ],
  ];
  for (const [behaviour, change, parts] of cases) {
    const line = await refused(behaviour, change);
    for (const part of parts) assertStringIncludes(line, part);
  }
});

Deno.test("hub: nothing answers at all", async () => {
  const line = await refused({}, { endpoint: "http://127.0.0.1:9" });
  assertMatch(line, /127\.0\.0\.1:9: .*5 times in a row/);
});

Deno.test("hub: a connection without a byte for too long counts as dropped", async () => {
  const faults = { [weights]: [{ stallAfter: 100_000 }, { stallAfter: 0 }] };
  await withHub({ faults }, async (hub, out, options) => {
    await downloadModel(hub.repository, { ...options, stallSeconds: 0.3 });
    await assertDownloaded(out);
  });
});

Deno.test("hub: a folder with anything else is left alone; an empty one is taken", async () => {
  await withHub({}, async (hub, out, options) => {
    await Deno.mkdir(out);
    await downloadModel(hub.repository, options);
    await assertDownloaded(out);
    await using other = await TestHub.start({ files, large: [weights], commit: "9".repeat(40) });
    const moved = { ...options, endpoint: other.endpoint };
    const error = await assertRejects(() => downloadModel(other.repository, moved), UserError);
    assertStringIncludes(error.message, "holds some-lab/small-model at 0123456789ab");
    assertStringIncludes(error.hint!, "--out");
    await Deno.remove(`${out}/download.json`);
    await assertRejects(
      () => downloadModel(hub.repository, options),
      UserError,
      "holds other files",
    );
    assertEquals(other.sent, 0);
  });
});

Deno.test("hub: two downloads of one model at a time share the work", async () => {
  await withHub({}, async (hub, out, options) => {
    const both = await Promise.all([1, 2].map(() => downloadModel(hub.repository, options)));
    assertEquals(both.map(({ already }) => already).sort(), [false, true]);
    await assertDownloaded(out);
    assertEquals(await beside(out), []);
    assertEquals(hub.sent, size);
  });
});

Deno.test("hub: a revision with slashes is one", async () => {
  await withHub({}, async (hub, out, options) => {
    await downloadModel(hub.repository, { ...options, revision: "refs/pr/1" });
    await assertDownloaded(out);
  });
});
