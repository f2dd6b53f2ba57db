import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { UserError } from "../../src/base/errors.ts";
import {
  checksumOfEtag,
  download,
  type DownloadOptions,
  fileChecksum,
} from "../../src/datasets/mod.ts";
import { Hub, type HubOptions } from "../../src/hub/mod.ts";
import { FakeHub, gitBlob, sha256 } from "./server.ts";

const content = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i + (i >> 8)) % 251);

/** Runs a test with a hub that has one file, and a folder to download into. */
async function withHub(
  test: (parts: {
    hub: FakeHub;
    path: string;
    get: (options?: DownloadOptions & HubOptions) => ReturnType<typeof download>;
  }) => Promise<void>,
): Promise<void> {
  await using hub = await FakeHub.start();
  hub.files.set("org/set/a file.bin", content);
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/sub/a.bin`;
    const from = "/datasets/org/set/resolve/main/a%20file.bin";
    const get = (options: DownloadOptions & HubOptions = {}) => {
      const host = new Hub({ endpoint: hub.url, retrySeconds: 0.001, ...options });
      return download(host, from, path, options);
    };
    await test({ hub, path, get });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const names = async (path: string) =>
  (await Array.fromAsync(Deno.readDir(path.slice(0, path.lastIndexOf("/"))))).map((e) => e.name);

Deno.test("download: follows the hub's redirect, and takes commit and checksum from it", () =>
  withHub(async ({ hub, path, get }) => {
    const seen: (number | undefined)[][] = [];
    const got = await get({
      token: "secret",
      onProgress: (bytes, total) => seen.push([bytes, total]),
    });
    assertEquals(got, {
      bytes: content.length,
      sha256: sha256(content),
      revision: hub.commit,
    });
    assertEquals(await Deno.readFile(path), content);
    assertEquals(await names(path), ["a.bin"]);
    assertEquals(seen.at(-1), [content.length, content.length]);
    // The token is for the hub: whoever it redirects to does not get it.
    assertEquals(hub.requests.map(({ server, token }) => [server, token]), [
      ["hub", "Bearer secret"],
      ["cdn", undefined],
    ]);
  }));

Deno.test("download: goes on where the connection was dropped", () =>
  withHub(async ({ hub, path, get }) => {
    hub.drops = [50_000, 0, 70_000, 30_000, 0, 1];
    await get();
    assertEquals(await Deno.readFile(path), content);
    const starts = hub.requests.filter(({ server }) => server === "cdn")
      .map(({ range }) => Number(range?.match(/\d+/)?.[0] ?? 0));
    assertEquals(starts, [0, 49_999, 49_999, 119_998, 149_997, 149_997, 149_997]);
  }));

Deno.test("download: gives up after attempts that bring nothing, and the next call goes on", () =>
  withHub(async ({ hub, path, get }) => {
    const checksum = { kind: "git-blob", hex: gitBlob(content) } as const;
    hub.drops = [80_000, 0, 0, 0, 0, 0];
    const error = await assertRejects(
      () => get({ checksum }),
      UserError,
      "cannot download",
    );
    assertMatch(error.hint ?? "", /what has arrived is kept/);
    assertEquals(await names(path), ["a.bin.part"]);
    hub.requests.length = 0;
    hub.drops = [];
    await get({ checksum });
    assertEquals(hub.requests.map(({ range }) => range), Array(2).fill("bytes=79999-"));
    assertEquals(await Deno.readFile(path), content);
  }));

Deno.test("download: an older part is not trusted without a checksum", () =>
  withHub(async ({ hub, path, get }) => {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")));
    await Deno.writeFile(`${path}.part`, new Uint8Array(1000));
    await get();
    assertEquals(hub.requests[0].range, undefined);
    assertEquals(await Deno.readFile(path), content);
  }));

Deno.test("download: an older part of another file is found out and thrown away", () =>
  withHub(async ({ hub, path, get }) => {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")));
    for (const size of [1000, content.length, content.length + 5]) {
      await Deno.writeFile(`${path}.part`, new Uint8Array(size));
      await get({ checksum: { kind: "sha256", hex: sha256(content) } });
      assertEquals(await Deno.readFile(path), content, `${size} bytes`);
    }
    assertEquals(hub.requests[0].range, "bytes=999-");
  }));

Deno.test("download: a server without ranges sends all of it again", () =>
  withHub(async ({ hub, path, get }) => {
    hub.ranges = false;
    hub.drops = [150_000, 20_000];
    await get();
    assertEquals(await Deno.readFile(path), content);
  }));

Deno.test("download: what is not what was published never appears", () =>
  withHub(async ({ hub, path, get }) => {
    hub.corrupt = (bytes) => bytes.with(77, bytes[77] ^ 1);
    await assertRejects(() => get(), UserError, "checksum differs"); // by the hub's own word
    hub.corrupt = (bytes) => bytes;
    const other = { kind: "git-blob", hex: "0".repeat(40) } as const;
    await assertRejects(() => get({ checksum: other }), UserError, "checksum differs");
    assertEquals(await names(path), []);
    await get();
    assertEquals(await Deno.readFile(path), content);
  }));

Deno.test("download: small files come at once, with a git blob id", () =>
  withHub(async ({ hub, path, get }) => {
    hub.direct = true;
    assertEquals((await get()).revision, hub.commit);
    hub.corrupt = (bytes) => bytes.with(0, 1);
    await assertRejects(() => get(), UserError, "checksum differs");
    assertEquals(await Deno.readFile(path), content, "the good file stays");
  }));

Deno.test("download: a busy server is asked again, when it says so", () =>
  withHub(async ({ hub, get }) => {
    hub.failures = [{ status: 503 }, { status: 429, headers: { "retry-after": "1" } }, {
      status: 500,
    }];
    const began = performance.now();
    await get();
    assertEquals(hub.requests.length, 5, "three refusals, one redirect, the file");
    assert(performance.now() - began >= 1000, "it did not wait as long as it was asked to");
  }));

Deno.test("download: refusals are final and say what to do", () =>
  withHub(async ({ hub, path, get }) => {
    hub.gated = true;
    const error = await assertRejects(() => get(), UserError, "answers 401");
    assertMatch(error.hint ?? "", /HF_TOKEN/);
    assertEquals(hub.requests.length, 1);
    await get({ token: "secret" });
    hub.files.clear();
    await assertRejects(() => get({ token: "secret" }), UserError, "answers 404");
    assertEquals(await Deno.readFile(path), content, "what was there stays");
  }));

Deno.test("download: can be interrupted while it waits, and keeps what it has", () =>
  withHub(async ({ hub, path, get }) => {
    hub.drops = [90_000, 0, 0];
    const controller = new AbortController();
    const reason = new Error("stop");
    setTimeout(() => controller.abort(reason), 200);
    const error = await assertRejects(
      () => get({ retrySeconds: 60, signal: controller.signal }),
      Error,
    );
    assertEquals(error, reason);
    assertEquals((await Deno.stat(`${path}.part`)).size, 90_000);
  }));

Deno.test("checksums: as git and sha256sum have them", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "hello\n");
    assertEquals(await fileChecksum(path, "git-blob"), "ce013625030ba8dba906f756967f9e9ca394464a");
    assertEquals(
      await fileChecksum(path, "sha256"),
      "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    );
  } finally {
    await Deno.remove(path);
  }
  assertEquals(checksumOfEtag(`"${"a".repeat(64)}"`), { kind: "sha256", hex: "a".repeat(64) });
  assertEquals(checksumOfEtag(`W/"${"b".repeat(40)}"`), { kind: "git-blob", hex: "b".repeat(40) });
  assertEquals(checksumOfEtag('"abc-123"'), undefined);
  assertEquals(checksumOfEtag(null), undefined);
});
