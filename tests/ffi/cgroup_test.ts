import { assertEquals } from "@std/assert";
import { dirname, join } from "node:path";

const gib = 2 ** 30;
const program = `
#include "cgroup.h"
#include <cstdio>
int main(int count, char** roots) {
  for (int i = 1; i < count; i++) std::printf("%.0f\\n", tk::cgroup_memory_bytes(roots[i]));
}`;

/** What a machine's files say of its control groups, with the limit that follows. */
const machines: [what: string, bytes: number, files: Record<string, string | number>][] = [
  ["no control groups", Infinity, {}],
  ["a container that sees its own group as the root", 2 * gib, {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": 2 * gib,
  }],
  ["a job inside a limited service, itself without a limit", 3 * gib, {
    "proc/self/cgroup": "0::/slurm/job_7/step_0\n",
    "sys/fs/cgroup/slurm/memory.max": "max\n",
    "sys/fs/cgroup/slurm/job_7/memory.max": 3 * gib,
    "sys/fs/cgroup/slurm/job_7/step_0/memory.max": "max\n",
    "sys/fs/cgroup/other/memory.max": gib,
  }],
  ["a soft limit below the hard one", gib, {
    "proc/self/cgroup": "0::/a/b\n",
    "sys/fs/cgroup/a/b/memory.max": 4 * gib,
    "sys/fs/cgroup/a/memory.high": gib,
  }],
  ["version 1, limited above the process's own group", 5 * gib, {
    "proc/self/cgroup": "9:cpu,cpuacct:/x\n4:memory:/docker/c1/inner\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/docker/c1/memory.limit_in_bytes": 5 * gib,
    "sys/fs/cgroup/memory/docker/c1/inner/memory.limit_in_bytes": "9223372036854771712\n",
  }],
  ["a path of the host's that the container does not have", 6 * gib, {
    "proc/self/cgroup": "4:memory:/docker/c1\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": 6 * gib,
  }],
];

Deno.test("the memory limit is the least of a control group and those above it", async () => {
  const dir = await Deno.makeTempDir({ prefix: "thinker-test-" });
  try {
    const roots = machines.map((_, i) => join(dir, `${i}`));
    for (const [i, [, , files]] of machines.entries()) {
      for (const [name, content] of Object.entries(files)) {
        const path = join(roots[i], name);
        await Deno.mkdir(dirname(path), { recursive: true });
        await Deno.writeTextFile(path, `${content}`);
      }
    }
    await Deno.writeTextFile(`${dir}/main.cpp`, program);
    const include = new URL("../../kernels/cpu", import.meta.url).pathname;
    const args = ["-std=c++17", "-Wall", "-Wextra", "-I", include, `${dir}/main.cpp`, "-o"];
    const built = await new Deno.Command("g++", { args: [...args, `${dir}/main`] }).output();
    assertEquals([built.code, new TextDecoder().decode(built.stderr)], [0, ""]);
    const { stdout } = await new Deno.Command(`${dir}/main`, { args: roots }).output();
    const limits = new TextDecoder().decode(stdout).trim().split("\n").map((line) => {
      return line === "inf" ? Infinity : Number(line);
    });
    assertEquals(limits, machines.map(([, bytes]) => bytes));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
