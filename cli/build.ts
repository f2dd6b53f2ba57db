/**
 * `deno task build [--device cpu|cuda|emu]`: compiles a backend's kernels into the cache and prints where.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { libraryPath } from "../ffi/mod.ts";
import { UserError } from "../src/base/mod.ts";
import { reportFailure } from "./failure.ts";
import { print, tell } from "./output.ts";

const command = new Command()
  .name("build")
  .description("Compile the kernels of a backend.")
  .throwErrors()
  .option("--device <name:string>", "cpu or cuda.", { default: "cpu" })
  .action(async ({ device }: Record<string, unknown>) => {
    if (device !== "cpu" && device !== "cuda" && device !== "emu") {
      throw new UserError(`--device: ${device} is not a backend`, { hint: "cpu or cuda" });
    }
    print(await libraryPath(device, { onBuild: tell }));
  });

try {
  await command.parse(Deno.args);
} catch (error) {
  Deno.exit(reportFailure(error));
}
