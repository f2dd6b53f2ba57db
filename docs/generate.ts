/**
 * Writes the pages that come out of the code: docs/metrics.md from the table of metrics, docs/config.md
 * from the schema of a training config and the doc comments of its fields.
 *
 * Usage: `deno task docs:generate`
 *
 * @module
 */
import * as z from "npm:zod@4.6.7";
import { metricLogs, type Schema } from "../src/base/mod.ts";
import { presetNames, presets, trainConfigSchema } from "../src/setup/mod.ts";
import { thinker } from "../src/task/mod.ts";

const root = new URL("../", import.meta.url);

/** Where the fields of a config have their doc comments. */
const sources = ["setup/config.ts", "ppo/config.ts", "ppo/warmstart.ts", "task/thinker.ts"];

const notice = "<!-- Written by `deno task docs:generate`: change the code, not this page. -->";

/** The generated pages by path, laid out as `deno fmt` wants them. */
export async function generatePages(): Promise<Record<string, string>> {
  const pages = { "docs/metrics.md": metricsPage(), "docs/config.md": await configPage() };
  const laidOut = Object.entries(pages).map(async ([path, text]) =>
    [path, await deno(["fmt", "--ext=md", "-"], text)] as const
  );
  return Object.fromEntries(await Promise.all(laidOut));
}

function metricsPage(): string {
  const header = ["key", "unit", "range", "what it says", "what it cannot tell"];
  const logs = metricLogs.map(({ file, line, entries }) => {
    const rows = entries.map((each) => [
      code(each.key),
      each.unit,
      each.range,
      each.meaning,
      each.blind,
    ]);
    return `## ${file}\n\nA line is ${line}.\n\n${table(header, rows)}`;
  });
  return `# Metrics

${notice}

What stands in the logs of a run folder. \`<stage>\` is the name of a stage of the task, such as \`fast\`; a
stage that no episode reached has no key in that line. The same seed on the same machine gives the same
values to the last bit, but for \`seconds\`, \`time/*\`, \`*_per_second\` and \`*bound_share\`.

${logs.join("\n\n")}
`;
}

async function configPage(): Promise<string> {
  const comments = await fieldComments();
  const header = ["key", "value", "default", "meaning"];
  const keys = (schema: Schema<unknown>, type: string, path = "") =>
    fieldsOf(jsonSchema(schema), type, comments, path);
  const fields = keys(trainConfigSchema, "TrainConfig");
  const rows = (of: readonly Field[]) =>
    of.map(({ path, value, fallback, meaning }) => [code(path), value, fallback, meaning]);
  const perPreset = fields.map(({ path }) => [
    path,
    ...presetNames.map((name) => shown(valueAt(presets[name], path))),
  ]).filter(([path, ...values]) => path !== "preset" && new Set(values).size > 1);
  return `# Configuration

${notice}

Every key of a training config. A config file holds only what differs from the preset, \`--set key=value\`
sets one key by its dotted path, and \`config.json\` in a run folder holds all of them as they were taken.
What has no default here has a value in every preset.

## Keys

${table(header, rows(fields))}

## Settings of the task thinker

${table(header, rows(keys(thinker.settings!, "ThinkerSettings", "taskSettings.")))}

## Where the presets differ

${table(["key", ...presetNames], perPreset.map(([path, ...values]) => [code(path), ...values]))}
`;
}

/** A key that holds a value, not further keys. */
interface Field {
  readonly path: string;
  readonly value: string;
  readonly fallback: string;
  readonly meaning: string;
}

type Json = z.core.JSONSchema.BaseSchema;

function jsonSchema(schema: Schema<unknown>): Json {
  // Checks of our own, such as that of a device's name, have no form in JSON Schema: they read as {}.
  const around = z.toJSONSchema(z.object({ schema }), { unrepresentable: "any", io: "input" });
  return around.properties!.schema as Json;
}

/** The keys below an object, in order. */
function fieldsOf(schema: Json, type: string, comments: Comments, path: string): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, of]) => {
    const field = of as Json, { comment, type: inner } = comments[type]?.[name] ?? {};
    if (field.properties && inner) return fieldsOf(field, inner, comments, `${path}${name}.`);
    if (!comment) throw new Error(`${type}.${name} has no doc comment`);
    const fallback = "default" in field ? shown(field.default) : "–";
    return [{ path: path + name, value: kindOf(field), fallback, meaning: comment }];
  });
}

/** What a value may be, in words. */
function kindOf(schema: Json): string {
  if (schema.anyOf) return schema.anyOf.map((each) => kindOf(each as Json)).join(" or ");
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => kindOf({ ...schema, type } as Json)).join(" or ");
  }
  if (schema.enum) return schema.enum.map(shown).join(", ");
  if (schema.prefixItems) {
    return `[${schema.prefixItems.map((each) => kindOf(each as Json)).join(", ")}]`;
  }
  if (schema.type === "object") {
    const { additionalProperties: each } = schema;
    const values = typeof each === "object" && Object.keys(each).length > 0;
    return values ? `by name: ${kindOf(each as Json)}` : "object";
  }
  if (schema.type === "integer" || schema.type === "number") return numberOf(schema);
  return `${schema.type ?? "name"}`;
}

function numberOf({ type, minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Json): string {
  const whole = type === "integer",
    limit = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  const least = whole && exclusiveMinimum !== undefined ? Number(exclusiveMinimum) + 1 : minimum;
  const bounds = [
    least !== undefined && `≥ ${least}`,
    !whole && exclusiveMinimum !== undefined && `> ${exclusiveMinimum}`,
    limit !== undefined && `≤ ${limit}`,
    exclusiveMaximum !== undefined && `< ${exclusiveMaximum}`,
  ].filter(Boolean);
  return [whole ? "integer" : "number", bounds.join(", ")].filter(Boolean).join(" ");
}

/** By interface and field: its doc comment, and the interface that its value has. */
type Comments = Record<string, Record<string, { comment?: string; type?: string }>>;

/** As much of a property in `deno doc --json` as is read here. */
interface Property {
  name: string;
  jsDoc?: { doc: string };
  tsType?: { kind: string; repr?: string; value?: { properties?: Property[] } };
}

async function fieldComments(): Promise<Comments> {
  const paths = sources.map((path) => `src/${path}`);
  const { nodes } = JSON.parse(await deno(["doc", "--json", ...paths])) as {
    nodes: Record<string, {
      symbols: { name: string; declarations: { def?: { properties?: Property[] } }[] }[];
    }>;
  };
  const comments: Comments = {};
  const add = (type: string, properties: readonly Property[]) => {
    comments[type] = {};
    for (const { name, jsDoc, tsType } of properties) {
      const nested = tsType?.kind === "typeLiteral" ? `${type}.${name}` : tsType?.repr;
      if (tsType?.kind === "typeLiteral") add(nested!, tsType.value?.properties ?? []);
      comments[type][name] = { comment: jsDoc?.doc.replaceAll(/\s+/g, " "), type: nested };
    }
  };
  for (const { symbols } of Object.values(nodes)) {
    for (const { name, declarations: [{ def }] } of symbols) {
      if (def?.properties) add(name, def.properties);
    }
  }
  return comments;
}

function valueAt(config: object, path: string): unknown {
  return path.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], config);
}

function shown(value: unknown): string {
  return code(JSON.stringify(value).replaceAll(",", ", "));
}

function code(text: string): string {
  return `\`${text}\``;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

/** What a command of Deno makes of its input. */
async function deno(args: readonly string[], input = ""): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const write = writer.write(new TextEncoder().encode(input)).then(() => writer.close());
  const [, { success, stdout, stderr }] = await Promise.all([write, child.output()]);
  if (!success) throw new Error(`deno ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(await generatePages())) {
    await Deno.writeTextFile(new URL(path, root), text);
  }
}
