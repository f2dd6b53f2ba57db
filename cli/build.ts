/**
 * `deno task build [--device cpu|cuda|emu]`: compiles a backend's kernels into the cache and prints where.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { type Backend, libraryPath } from "../ffi/mod.ts";
import { UserError } from "../src/errors.ts";

await new Command()
  .name("build")
  .description("Compile the kernels of a backend.")
  .option("--device <name:string>", "cpu or cuda.", { default: "cpu" })
  .action(async ({ device }: Record<string, unknown>) => {
    try {
      if (device !== "cpu" && device !== "cuda" && device !== "emu") {
        throw new UserError(`--device: ${device} is not a backend`, { hint: "cpu or cuda" });
      }
      const backend: Backend = device;
      console.log(await libraryPath(backend, { onBuild: (text) => console.error(text) }));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      console.error(`error: ${error.message}${error.hint ? `\nhint: ${error.hint}` : ""}`);
      Deno.exit(1);
    }
  })
  .parse(Deno.args);
