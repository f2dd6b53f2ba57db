/** GPU containers set LD_LIBRARY_PATH; Deno does not let a program with few permissions pass it on. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { smallConfig, TempDir } from "../e2e/small.ts";
import { ended } from "./thinker.ts";

const root = new URL("../../", import.meta.url).pathname;

/** Runs a task of deno.json as a user does. */
async function task(args: readonly string[], env: Record<string, string>) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", ...args],
    cwd: root,
    env: { NO_COLOR: "1", THINKER_LIB: "", THINKER_WRITE: "/tmp", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  return await ended(child.spawn());
}

Deno.test("environment: doctor, build and train start compilers whatever the loader is told", async () => {
  await using dir = await TempDir.make();
  const library = `${dir.path}/preloaded.so`, config = `${dir.path}/config.json`;
  const empty = ["-shared", "-x", "c", "/dev/null", "-o", library];
  assert((await new Deno.Command("g++", { args: empty }).output()).success);
  await Deno.writeTextFile(config, JSON.stringify(smallConfig({ steps: 1, evalProblems: 1 })));
  const loader = { LD_LIBRARY_PATH: dir.path, LD_PRELOAD: library };
  const doctor = await task(["thinker", "doctor"], loader);
  assertEquals([doctor.code, doctor.stderr], [0, ""]);
  assertMatch(doctor.stdout, /^ok {7}g\+\+ /m);
  const build = await task(["build"], loader);
  assertEquals(build.code, 0, build.stderr);
  assertMatch(build.stdout, /libthinker_cpu\.so\n$/);
  const train = await task(["train", "--config", config, "--out", `${dir.path}/run`], loader);
  assertEquals(train.code, 0, train.stderr);
});

Deno.test("environment: a build that may not start a compiler says so in one line", async () => {
  const { code, stdout, stderr } = await ended(
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--no-prompt", "--allow-env", "--allow-read", "cli/build.ts"],
      cwd: root,
      env: { NO_COLOR: "1", THINKER_LIB: "" },
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^error: Requires run access to "g\+\+".*\n$/);
});
