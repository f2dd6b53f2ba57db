/**
 * `thinker plan`.
 *
 * @module
 */
import { Command } from "@cliffy/command";
import * as z from "npm:zod@4.6.7";
import { type DeviceChoice, hasDriver, openDevice } from "../ffi/mod.ts";
import { formatBytes, parseBytes, UserError } from "../src/base/mod.ts";
import { hasWeights, inspectModel, paramCount } from "../src/model/mod.ts";
import {
  adviseChange,
  deviceSchema,
  fittingChanges,
  formatDisk,
  formatPlan,
  openModelConfig,
  openTasks,
  openTokenizer,
  planDisk,
  planMemory,
  presetNames,
  presets,
  usableBytes,
} from "../src/setup/mod.ts";
import { remarks } from "./model.ts";
import { checkOptions } from "./options.ts";
import { print, tell } from "./output.ts";
import { layConfig } from "./settings.ts";

const optionsSchema = z.object({
  preset: z.enum(presetNames),
  config: z.string().optional(),
  model: z.string().optional(),
  memory: z.string().optional(),
  device: z.optional(deviceSchema),
  keep: z.int().positive().optional(),
  set: z.array(z.string()).default([]),
  json: z.boolean().default(false),
});

/** The command. */
export function planCommand() {
  return new Command()
    .description(
      "Add up the memory and the disk that a training run will take, before any is taken.",
    )
    .option("--preset <name:string>", `Complete set of settings: ${presetNames.join(", ")}.`, {
      default: "tiny",
    })
    .option("--config <file:string>", "JSON file whose settings replace the preset's.")
    .option("--model <dir:string>", "Model folder to start from (default: the preset's model).")
    .option("--memory <amount:string>", "Memory of the device: 16GB, 512MiB (default: this one's).")
    .option("--device <name:string>", "auto, cpu, cuda, or cuda:1 for the second GPU.")
    .option(
      "--keep <n:integer>",
      "Newest checkpoints that stay; older ones go (default: all stay).",
    )
    .option("--set <key=value:string>", "Any setting of a run, by its dotted path.", {
      collect: true,
    })
    .option("--json", "Print the plan as JSON, all amounts in bytes.")
    .example("does the tiny run fit?", "thinker plan --memory 2GB")
    .example(
      "a model that is not here yet",
      "thinker plan --preset r7b --device cuda --memory 141GB",
    )
    .example("a model of your own", "thinker plan --model models/mine --memory 141GB")
    .action(async (options: Record<string, unknown>) => await show(options));
}

async function show(raw: Record<string, unknown>): Promise<void> {
  const { preset, config: file, memory, json, set, ...settings } = checkOptions(optionsSchema, raw);
  const config = layConfig(presets[preset], file, settings, set);
  const gpu = config.device === "auto" ? hasDriver() : config.device !== "cpu";
  const backend = gpu ? "cuda" : "cpu";
  const deviceBytes = memory === undefined
    ? await memoryOf(config.device, gpu)
    : parseBytes(memory);
  const { tokenizer } = openTokenizer(config);
  const model = openModelConfig(config, tokenizer);
  const notes = config.model === null ? [] : await folderNotes(config.model);
  const { task, stop, maxTokens } = openTasks(config, tokenizer, model.eos);
  const options = { task, stop, maxTokens, backend, deviceBytes } as const;
  const plan = planMemory(config, model, options);
  const disk = planDisk(config, model);
  const usable = usableBytes(deviceBytes), fits = plan.total <= usable;
  const changes = fits ? [] : fittingChanges(config, model, options);
  if (json) {
    const brief = changes.map(({ settings, plan: { total, host } }) => ({ settings, total, host }));
    print(
      JSON.stringify({ ...plan, deviceBytes, usable, fits, changes: brief, disk, notes }, null, 2),
    );
    return;
  }
  print(
    `${config.model ?? config.repository ?? "a model made here"}: ${paramCount(model)} parameters${
      gpu ? ", on a GPU" : ""
    }\n`,
  );
  print(`${formatPlan(plan)}\n`);
  const room = `${formatBytes(usable)}, nine tenths of ${formatBytes(deviceBytes)}`;
  print(`${fits ? "fits into" : "does not fit into"} ${room}`);
  if (!fits) print(adviseChange(changes).join("\n"));
  print(formatDisk(disk));
  if (notes.length > 0) print(`\n${notes.join("\n")}`);
}

/**
 * What there is to know of a model folder, its weights included where they are there.
 *
 * @throws {UserError} when a run could not load it.
 */
async function folderNotes(dir: string): Promise<string[]> {
  if (!hasWeights(dir)) return [`warning: ${dir} holds no weights yet`];
  const report = await inspectModel(dir), [refusal] = report.refusals;
  if (refusal === undefined) return remarks(report);
  throw new UserError(refusal.message, refusal);
}

/** Memory of the GPU, or of this machine where the program may ask for it. */
async function memoryOf(choice: DeviceChoice, gpu: boolean): Promise<number> {
  if (gpu) {
    using device = await openDevice(choice === "auto" ? "cuda" : choice, {
      onBuild: tell,
    });
    return device.info.memoryBytes;
  }
  const permission = { name: "sys", kind: "systemMemoryInfo" } as const;
  if ((await Deno.permissions.query(permission)).state === "granted") {
    return Deno.systemMemoryInfo().total;
  }
  throw new UserError("how much memory does the device have?", {
    hint: "say it with --memory, for example --memory 16GB",
  });
}
