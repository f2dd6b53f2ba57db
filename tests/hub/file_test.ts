import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dirname } from "node:path";
import { fileDigest, UserError } from "../../src/base/mod.ts";
import {
  digestOfEtag,
  fetchFile,
  type FetchOptions,
  type FetchProgress,
  Hub,
  type HubOptions,
  partialPath,
} from "../../src/hub/mod.ts";
import { gitBlob, sha256, TestHub } from "./server.ts";

const content = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i + (i >> 8)) % 251);
const name = "a file.bin";
const digest = { kind: "sha256", hex: sha256(content) } as const;

/** Runs a test with a hub that has one file, in its storage, and a folder to download into. */
async function withHub(
  test: (parts: {
    hub: TestHub;
    path: string;
    get: (options?: FetchOptions & HubOptions) => ReturnType<typeof fetchFile>;
  }) => Promise<void>,
): Promise<void> {
  await using hub = await TestHub.start({ files: { [name]: content }, large: [name] });
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/sub/a.bin`;
    const from = "/datasets/org/set/resolve/main/a%20file.bin";
    const get = (options: FetchOptions & HubOptions = {}) => {
      const host = new Hub({ endpoint: hub.endpoint, retrySeconds: 0.001, ...options });
      return fetchFile(host, from, path, options);
    };
    await test({ hub, path, get });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The next connections break after so many bytes each. */
const drops = (...after: number[]) => ({ [name]: after.map((dropAfter) => ({ dropAfter })) });

const names = async (path: string) =>
  (await Array.fromAsync(Deno.readDir(dirname(path)))).map((e) => e.name);

Deno.test("fetchFile: follows the hub's redirect, and takes commit and checksum from it", () =>
  withHub(async ({ hub, path, get }) => {
    let progress: FetchProgress | undefined;
    const got = await get({ token: "secret", onProgress: (state) => progress = state });
    assertEquals(got, { bytes: content.length, revision: hub.behaviour.commit });
    assertEquals(await Deno.readFile(path), content);
    assertEquals(await names(path), ["a.bin"]);
    assertEquals(progress, { done: content.length, kept: 0, total: content.length });
    // The token is for the hub: whoever it redirects to does not get it.
    assertEquals(hub.seen.map((request) => [request.server, request.authorization]), [
      ["hub", "Bearer secret"],
      ["storage", undefined],
    ]);
  }));

Deno.test("fetchFile: a dropped connection is continued where it broke", () =>
  withHub(async ({ hub, path, get }) => {
    hub.behaviour.faults = drops(50_000, 0, 70_000, 30_000, 0, 1);
    await get();
    assertEquals(await Deno.readFile(path), content);
    const starts = hub.seen.filter(({ server }) => server === "storage")
      .map(({ range }) => Number(range?.match(/\d+/)?.[0] ?? 0));
    assertEquals(hub.sent, content.length, "no byte comes twice");
    assertEquals(starts, [0, 50_000, 50_000, 120_000, 150_000, 150_000, 150_001]);
  }));

Deno.test("fetchFile: gives up after attempts that bring nothing, and the next call continues", () =>
  withHub(async ({ hub, path, get }) => {
    hub.behaviour.faults = drops(80_000, 0, 0, 0, 0, 0);
    const error = await assertRejects(() => get({ digest }), UserError, "cannot download");
    assertMatch(error.hint ?? "", /what has arrived is kept/);
    assertEquals(await names(path), [".a.bin.part"]);
    hub.seen.length = 0;
    hub.behaviour.faults = {};
    let progress: FetchProgress | undefined;
    await get({ digest, onProgress: (state) => progress = state });
    assertEquals(progress, { done: content.length, kept: 80_000, total: content.length });
    assertEquals(hub.seen.map(({ range }) => range), Array(2).fill("bytes=80000-"));
    assertEquals(await Deno.readFile(path), content);
  }));

Deno.test("fetchFile: an older part is not trusted without a checksum", () =>
  withHub(async ({ hub, path, get }) => {
    await Deno.mkdir(dirname(path));
    await Deno.writeFile(partialPath(path), new Uint8Array(1000));
    await get();
    assertEquals(hub.seen[0].range, undefined);
    assertEquals(await Deno.readFile(path), content);
  }));

Deno.test("fetchFile: an older part of another file is found out and thrown away", () =>
  withHub(async ({ hub, path, get }) => {
    await Deno.mkdir(dirname(path));
    for (const size of [1000, content.length, content.length + 5]) {
      for (const known of [{}, { size: content.length }]) {
        await Deno.writeFile(partialPath(path), new Uint8Array(size));
        await get({ digest, ...known });
        assertEquals(await Deno.readFile(path), content, `${size} bytes`);
        assertEquals(await names(path), ["a.bin"]);
        await Deno.remove(path);
      }
    }
    assertEquals(hub.seen[0].range, "bytes=1000-");
  }));

Deno.test("fetchFile: what is whole already is not asked for, wherever a kill left it", () =>
  withHub(async ({ hub, path, get }) => {
    await Deno.mkdir(dirname(path));
    for (const place of [partialPath(path), path]) {
      await Deno.writeFile(place, content);
      let progress: FetchProgress | undefined;
      const got = await get({ digest, onProgress: (state) => progress = state });
      assertEquals([got.bytes, progress?.kept], [content.length, content.length]);
      assertEquals(await Deno.readFile(path), content);
    }
    assertEquals(hub.seen, []);
    await Deno.writeFile(path, content.with(5, 1));
    await get({ digest });
    assertEquals(await Deno.readFile(path), content, "another file under this name is replaced");
  }));

Deno.test("fetchFile: a file that changes between two connections is not mixed", () =>
  withHub(async ({ hub, path, get }) => {
    const changed = content.toReversed();
    hub.behaviour.faults = drops(60_000);
    const onProgress = () => hub.behaviour.files = { [name]: changed };
    await get({ onProgress });
    assertEquals(hub.seen.at(-1)?.range, "bytes=60000-");
    assertEquals(await Deno.readFile(path), changed);
  }));

Deno.test("fetchFile: a hub that sends more than it lists is refused", () =>
  withHub(async ({ path, get }) => {
    const size = content.length - 1;
    await assertRejects(() => get({ digest, size }), UserError, `more than the ${size} bytes`);
    assertEquals(await names(path), [".a.bin.part"]);
  }));

Deno.test("fetchFile: a server without ranges sends all of it again", () =>
  withHub(async ({ hub, path, get }) => {
    hub.behaviour.ranges = false;
    hub.behaviour.faults = drops(150_000, 20_000);
    await get();
    assertEquals(await Deno.readFile(path), content);
  }));

Deno.test("fetchFile: what is not what was published never appears", () =>
  withHub(async ({ hub, path, get }) => {
    hub.behaviour.corrupt = (bytes) => bytes.with(77, bytes[77] ^ 1);
    await assertRejects(() => get(), UserError, "checksum differs"); // by the hub's own word
    hub.behaviour.corrupt = (bytes) => bytes;
    const other = { kind: "git-blob", hex: "0".repeat(40) } as const;
    await assertRejects(() => get({ digest: other }), UserError, "checksum differs");
    assertEquals(await names(path), []);
    await get({ digest: { kind: "git-blob", hex: gitBlob(content) } });
    assertEquals(await Deno.readFile(path), content);
  }));

Deno.test("fetchFile: small files come at once, with a git blob id", () =>
  withHub(async ({ hub, path, get }) => {
    hub.behaviour.large = [];
    assertEquals((await get()).revision, hub.behaviour.commit);
    hub.behaviour.corrupt = (bytes) => bytes.with(0, 1);
    await assertRejects(() => get(), UserError, "checksum differs");
    assertEquals(await Deno.readFile(path), content, "the good file stays");
  }));

Deno.test("fetchFile: a busy server is asked again, when it says so", () =>
  withHub(async ({ hub, get }) => {
    const refusals = [{ status: 503 }, { status: 429, retryAfter: 1 }, { status: 500 }];
    hub.behaviour.faults = { [name]: refusals };
    const began = performance.now();
    await get();
    assertEquals(hub.seen.length, 2 * 4, "four redirects, three refusals, the file");
    assert(performance.now() - began >= 1000, "it did not wait as long as it was asked to");
  }));

Deno.test("fetchFile: two at a time bring one file, whole, whether its checksum is known or not", () =>
  withHub(async ({ hub, path, get }) => {
    for (const options of [{ digest }, {}]) {
      hub.sent = 0;
      const both = await Promise.all([get(options), get(options)]);
      assertEquals(both.map(({ bytes }) => bytes), [content.length, content.length]);
      assertEquals(await Deno.readFile(path), content);
      assertEquals(await names(path), ["a.bin"]);
      assertEquals(hub.sent, (options.digest ? 1 : 2) * content.length);
      await Deno.remove(path);
    }
  }));

Deno.test("fetchFile: writes through no link that lies where the file grows", () =>
  withHub(async ({ path, get }) => {
    await Deno.mkdir(dirname(path));
    const other = `${dirname(dirname(path))}/other`;
    for (const plant of [Deno.symlink, Deno.link]) {
      await Deno.writeTextFile(other, "precious");
      await plant(other, partialPath(path));
      await assertRejects(() => get({ digest }), UserError, "a.bin.part is a link or no file");
      assertEquals(await Deno.readTextFile(other), "precious");
      assertEquals(await names(path), [".a.bin.part"]);
      await Deno.remove(partialPath(path));
    }
  }));

Deno.test("fetchFile: refusals are final and say what to do", () =>
  withHub(async ({ hub, path, get }) => {
    hub.behaviour.token = "secret";
    const error = await assertRejects(() => get(), UserError, "answers 401");
    assertMatch(error.hint ?? "", /HF_TOKEN/);
    assertEquals(hub.seen.length, 1);
    await get({ token: "secret" });
    hub.behaviour.files = {};
    await assertRejects(() => get({ token: "secret" }), UserError, "answers 404");
    assertEquals(await Deno.readFile(path), content, "what was there stays");
  }));

Deno.test("fetchFile: can be interrupted while it waits, and keeps what it has", () =>
  withHub(async ({ hub, path, get }) => {
    hub.behaviour.faults = drops(90_000, 0, 0);
    const controller = new AbortController();
    const reason = new Error("stop");
    setTimeout(() => controller.abort(reason), 200);
    const error = await assertRejects(
      () => get({ retrySeconds: 60, signal: controller.signal }),
      Error,
    );
    assertEquals(error, reason);
    assertEquals((await Deno.stat(partialPath(path))).size, 90_000);
  }));

Deno.test("digests: as git and sha256sum have them", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "hello\n");
    assertEquals(await fileDigest(path, "git-blob"), "ce013625030ba8dba906f756967f9e9ca394464a");
    assertEquals(
      await fileDigest(path, "sha256"),
      "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    );
  } finally {
    await Deno.remove(path);
  }
  assertEquals(digestOfEtag(`"${"a".repeat(64)}"`), { kind: "sha256", hex: "a".repeat(64) });
  assertEquals(digestOfEtag(`W/"${"b".repeat(40)}"`), { kind: "git-blob", hex: "b".repeat(40) });
  assertEquals(digestOfEtag('"abc-123"'), undefined);
  assertEquals(digestOfEtag(null), undefined);
});
