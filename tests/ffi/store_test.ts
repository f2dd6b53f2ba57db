/**
 * The kernel cache where something is wrong with it. The compiler of these tests is a script that copies a
 * library that is built already, so that a build takes no time.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { libraryPath } from "../../ffi/mod.ts";
import { examine, expectPrivate, removeOtherLeftovers, store } from "../../ffi/store.ts";
import { UserError } from "../../src/base/mod.ts";
import { ended, thinker } from "../cli/thinker.ts";
import { TempDir } from "../e2e/small.ts";

const root = new URL("../../", import.meta.url).pathname;

/** Whether this process may give files to others. */
const isRoot = Deno.uid() === 0;

/** Where Deno keeps its own cache; it would follow XDG_CACHE_HOME and HOME. */
const DENO_DIR = JSON.parse(
  new TextDecoder().decode(
    (await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output()).stdout,
  ),
).denoDir;

/** An environment with an empty cache, and a compiler that does as `compile` says where it is to compile. */
async function withCache(compile = ":") {
  const dir = await TempDir.make(), library = await libraryPath("cpu");
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "command -v g++"] }).output();
  const script = `#!/bin/sh
for last; do :; done
case "$*" in
  *-dM*) exec ${new TextDecoder().decode(stdout).trim()} "$@" ;;
  *" -c "*) ${compile}; : > "$last" ;;
  *) cp ${library} "$last" ;;
esac
`;
  await Deno.mkdir(`${dir.path}/bin`);
  await Deno.writeTextFile(`${dir.path}/bin/g++`, script, { mode: 0o755 });
  const PATH = `${dir.path}/bin:${Deno.env.get("PATH")}`;
  const env = { DENO_DIR, PATH, NO_COLOR: "1", THINKER_LIB: "", XDG_CACHE_HOME: dir.path };
  return { dir, env, cache: `${dir.path}/thinker` };
}

function startBuild(env: Record<string, string>) {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "cli/build.ts"],
    cwd: root,
    env,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs `thinker build`: the library's path, and what it said. */
async function build(env: Record<string, string>) {
  const { code, stdout, stderr } = await ended(startBuild(env));
  assertEquals(code, 0, stderr);
  return { path: stdout.trim(), said: stderr };
}

const modeOf = (path: string) => Deno.statSync(path).mode! & 0o777;

Deno.test("kernel cache: a library that is cut, changed or open to others is built again, with a line", async () => {
  const { dir, env, cache } = await withCache();
  await using _ = dir;
  await Deno.mkdir(cache, { mode: 0o755 }); // as earlier versions made it
  const { path, said } = await build(env);
  assertMatch(said, /^building the cpu kernels with g\+\+ \(once per machine and version\)\n$/);
  assertEquals([cache, path.replace(/\/[^/]*$/, ""), path].map(modeOf), [0o700, 0o700, 0o700]);
  assertEquals((await build(env)).said, "");

  const whole = await Deno.readFile(path);
  const damages: [() => Promise<void>, string][] = [
    [() => Deno.truncate(path, whole.length / 2), "is damaged: its digest differs"],
    [async () => {
      const flipped = whole.slice();
      flipped[whole.length >> 1] ^= 4;
      await Deno.writeFile(path, flipped);
    }, "is damaged: its digest differs"],
    [() => Deno.remove(`${path}.sha256`), "has no digest beside it"],
    [() => Deno.chmod(path, 0o722), "may be written by others"],
    ...(isRoot ? [[() => Deno.chown(path, 12345, null), "is not yours"]] as const : []),
  ].map(([damage, flaw]) => [damage as () => Promise<void>, flaw as string]);
  for (const [damage, flaw] of damages) {
    await damage();
    assertEquals(
      (await build(env)).said,
      `building the cpu kernels with g++ again: ${path} ${flaw}\n`,
    );
    assertEquals(await Deno.readFile(path), whole);
  }
  assertEquals(await examine(path), "sound");
  // The program that loads it: a cut library used to end it with SIGBUS.
  await Deno.truncate(path, 4096);
  const { code, stdout } = await thinker(["doctor"], { env });
  assertEquals(code, 0);
  assertMatch(stdout, /^ok {7}cpu backend /m);
});

Deno.test("kernel cache: a folder of another user is not used", { ignore: !isRoot }, async () => {
  const { dir, env, cache } = await withCache();
  await using _ = dir;
  await build(env);
  await Deno.chown(cache, 12345, null);
  const { code, stderr } = await ended(startBuild(env));
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /^error: .*\/thinker belongs to user 12345, not to you \(0\): .*\nhint: .*\n$/,
  );
  await assertRejects(() => expectPrivate(cache), UserError, "belongs to user 12345");
});

Deno.test("kernel cache: leftovers of killed builds go, and those of builds that run stay", async () => {
  await using dir = await TempDir.make();
  const cache = `${dir.path}/thinker`, before = Deno.env.get("XDG_CACHE_HOME");
  for (const name of ["dead/build-1", "alive/build-2", "other/build-3"]) {
    await Deno.mkdir(`${cache}/${name}`, { recursive: true });
  }
  await Deno.writeTextFile(`${cache}/dead/lock`, "");
  await Deno.writeTextFile(`${cache}/dead/libthinker_cpu.so`, "");
  using lock = await Deno.open(`${cache}/alive/lock`, { create: true, write: true });
  await lock.lock(true);
  Deno.env.set("XDG_CACHE_HOME", dir.path);
  try {
    await removeOtherLeftovers();
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", before);
  }
  const names = (name: string) =>
    [...Deno.readDirSync(`${cache}/${name}`)].map((e) => e.name).sort();
  assertEquals(names("dead"), ["libthinker_cpu.so", "lock"]);
  assertEquals(names("alive"), ["build-2", "lock"]);
  assertEquals(names("other"), ["build-3"]); // none of ours: it has no lock
});

Deno.test("kernel cache: a crash between the two renames leaves a library that is built again", async () => {
  await using dir = await TempDir.make();
  const path = `${dir.path}/library.so`, built = `${dir.path}/built`;
  for (const text of ["old", "new"]) {
    await Deno.writeTextFile(built, text);
    await store(built, path);
    assertEquals(await examine(path), "sound");
  }
  await Deno.writeTextFile(path, "old"); // the new digest, and not yet the new library
  assertEquals(await examine(path), { flaw: "is damaged: its digest differs" });
});

Deno.test("kernel cache: Ctrl-C while building ends the compilers, leaves nothing, and is 130", async () => {
  const { dir, env, cache } = await withCache(`echo $$ >> "$0.pids"; exec sleep 60`);
  await using _ = dir;
  const child = startBuild(env), pids = `${dir.path}/bin/g++.pids`;
  const written = async () => await Deno.readTextFile(pids).catch(() => "");
  while (!(await written()).includes("\n")) await new Promise((done) => setTimeout(done, 20));
  child.kill("SIGINT");
  const { code, stderr } = await ended(child);
  assertEquals(code, 130, stderr);
  assertMatch(stderr, /\ninterrupted while the kernels were built\n$/);
  for (const pid of (await written()).trim().split("\n")) {
    const { success } = await new Deno.Command("sh", {
      args: ["-c", `kill -0 ${pid}`],
      stderr: "null",
    })
      .output();
    assert(!success, `the compiler ${pid} still runs`);
  }
  const [{ name }] = [...Deno.readDirSync(cache)];
  assertEquals([...Deno.readDirSync(`${cache}/${name}`)].map((entry) => entry.name), ["lock"]);
});

Deno.test("kernel cache: odd places work, or are one line", async () => {
  const { dir, env } = await withCache();
  await using _ = dir;
  const doctor = (changes: Record<string, string>) =>
    thinker(["doctor"], { env: { ...env, ...changes } });
  const spaced = `${dir.path}/a b  c`, comma = `${dir.path}/a,b`, file = `${dir.path}/file`;
  await Deno.writeTextFile(file, "");
  const [space, relative, none, split, blocked, narrow] = await Promise.all([
    doctor({ XDG_CACHE_HOME: spaced }),
    doctor({ XDG_CACHE_HOME: "relative", HOME: `${dir.path}/home` }),
    doctor({ XDG_CACHE_HOME: "relative", HOME: "" }),
    doctor({ XDG_CACHE_HOME: comma }),
    doctor({ XDG_CACHE_HOME: file }),
    thinker(["plan", "--memory", "16GB"], { env: { ...env, XDG_CACHE_HOME: "", HOME: "" } }),
  ]);
  assertEquals([space.code, relative.code, narrow.code], [0, 0, 0], space.stderr + relative.stderr);
  assert(space.stdout.includes(`kernel cache   ${spaced}/thinker\n`), space.stdout);
  assert(relative.stdout.includes(`kernel cache   ${dir.path}/home/.cache/thinker\n`));
  const refusals: [typeof none, RegExp][] = [
    [
      none,
      /^FAILED {3}cpu backend +no cache folder: neither XDG_CACHE_HOME nor HOME names one by/m,
    ],
    [split, /^FAILED {3}cpu backend +the cache folder .*\/a,b\/thinker has a comma in its path/m],
    [
      blocked,
      /^FAILED {3}cpu backend +the kernel cache .*\/thinker cannot be used: Not a directory$/m,
    ],
  ];
  for (const [{ code, stdout, stderr }, line] of refusals) {
    assertEquals(code, 1);
    assertMatch(stdout, line);
    assertMatch(stdout, /^ +.*set XDG_CACHE_HOME to a folder of your own, by its full path$/m);
    assertMatch(stderr, /^error: this machine has no working .*\n$/);
  }
});

/** Whether a process may mount what it alone sees. */
const mountable = await new Deno.Command("unshare", {
  args: ["-rm", "sh", "-c", "mount -t tmpfs none /mnt"],
  stdout: "null",
  stderr: "null",
}).output().then(({ success }) => success, () => false);

Deno.test("kernel cache: a full disk and one that is read-only are one line", {
  ignore: !mountable,
}, async () => {
  const { dir, env } = await withCache();
  await using _ = dir;
  const disk = `${dir.path}/disk`;
  await Deno.mkdir(disk);
  const on = async (options: string) => {
    const script = `mount -t tmpfs -o ${options} none ${disk}; "$0" run -q -A cli/build.ts`;
    return await ended(
      new Deno.Command("unshare", {
        args: ["-rm", "sh", "-c", script, Deno.execPath()],
        cwd: root,
        env: { ...env, XDG_CACHE_HOME: disk },
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
  };
  const full = await on("size=64k"), fixed = await on("ro");
  assertEquals([full.code, fixed.code], [1, 1]);
  const line = (why: string) =>
    new RegExp(`^error: the kernel cache .*/thinker cannot be used: ${why}\nhint: make .*\n$`, "m");
  assertMatch(full.stderr, line("No space left on device"));
  assertMatch(fixed.stderr, line("Read-only file system"));
});
