/** `thinker data`, with the permissions of `deno task data` and of `deno task thinker`. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { TempDir } from "../e2e/small.ts";
import { TestHub } from "../hub/server.ts";
import { ended, startData, thinker } from "./thinker.ts";

const rows = (count: number) =>
  new TextEncoder().encode(
    Array.from({ length: count }, (_, i) => JSON.stringify({ problem: `${i}?`, answer: i }) + "\n")
      .join(""),
  );

Deno.test("cli: data downloads from the hub that HF_ENDPOINT names, and from nowhere else", async () => {
  await using dir = await TempDir.make();
  await using hub = await TestHub.start({
    files: { "test.jsonl": rows(30) },
    faults: { "test.jsonl": [{ dropAfter: 100 }] },
  });
  const run = async (args: string[], env: Record<string, string>) => {
    const own = ["--sets", "aime25", "--out", `${dir.path}/data`];
    return await ended(await startData([...own, ...args], { env }));
  };
  const env = { HF_ENDPOINT: `${hub.endpoint}/`, HF_TOKEN: "secret" };
  const first = await run([], env);
  assertEquals(first.code, 0, first.stderr);
  assertMatch(first.stdout, /^aime25 +30 rows +\S+\/eval\/aime25\.jsonl +\(checksum recorded/);
  assertEquals(hub.seen.map(({ range }) => range), [undefined, "bytes=100-"]);
  assertEquals(hub.seen[0].authorization, "Bearer secret");
  const again = await run(["--json"], env);
  assertEquals(JSON.parse(again.stdout).sets[0].proof, "lock");
  assertEquals(hub.seen.length, 2, "nothing is downloaded twice");

  await Deno.remove(`${dir.path}/data/raw`, { recursive: true });
  const bad = await run([], { HF_ENDPOINT: "nonsense" });
  assertEquals(bad.code, 1);
  assertMatch(
    bad.stderr,
    /^error: the hub's address "nonsense" is no http\(s\) address\nhint: correct HF_ENDPOINT/,
  );
  const unknown = await ended(await startData(["--sets", "aime"], { env }));
  assertEquals(unknown.code, 1);
  assertMatch(unknown.stderr, /^error: --sets: there is no set "aime"\nhint: sets: math500, /);
});

Deno.test("cli: data without the network converts, and says how to get it otherwise", async () => {
  await using dir = await TempDir.make();
  const from = `${dir.path}/from`, out = `${dir.path}/data`;
  await Deno.mkdir(from);
  await Deno.writeFile(`${from}/aime25.jsonl`, rows(30));
  const done = await thinker(["data", "--from", from, "--out", out]);
  assertEquals(done.code, 0, done.stderr);
  assertMatch(done.stdout, /^aime25 +30 rows/);
  assertMatch(done.stdout, /\nnot in .*from: math500, aime24, /);
  assert((await Deno.readTextFile(`${out}/eval/aime25.jsonl`)).startsWith('{"id":"aime25/0"'));

  const lacking = await thinker(["data", "--from", from, "--sets", "amc23", "--out", out]);
  assertEquals(lacking.code, 1);
  assertMatch(lacking.stderr, /^error: .*from has no file of amc23\n/);
  const offline = await thinker(["data", "--out", out]);
  assertEquals(offline.code, 1);
  assertMatch(
    offline.stderr,
    /^error: thinker data may not connect to the hub\nhint: .*deno task data/,
  );
});
