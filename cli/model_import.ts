/**
 * `thinker model import`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import { importGguf, paramCount } from "../src/model/mod.ts";
import { withoutNetwork } from "./hub_endpoint.ts";
import { checkMayWrite } from "./may_write.ts";
import { print } from "./output.ts";

/** The command. */
export function modelImportCommand() {
  return new Command()
    .description("Make a model folder from a GGUF file (llama.cpp's format).")
    .arguments("<file:string> <dir:string>")
    .example("a quantised Llama", "thinker model import SmolLM2-135M-Instruct.Q4_1.gguf smollm2")
    .action(async (_options: unknown, file: string, dir: string) => {
      await withoutNetwork();
      await checkMayWrite("the new model", dir, { beside: true });
      const { config, formats } = await importGguf(file, dir);
      const stored = Object.entries(formats).map(([format, n]) => `${n} ${format}`).join(", ");
      const parameters = paramCount(config).toLocaleString("en-US");
      print(`${dir}: ${config.architecture}, ${parameters} parameters`);
      print(`tensors of the file: ${stored}`);
    });
}
