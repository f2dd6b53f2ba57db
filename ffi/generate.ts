/**
 * `deno task generate`: writes what follows from `kernels/`, so that an op is declared once, in
 * `kernels/include/thinker.h`: the symbol table, the values of its enums, the version of the ABI, and the
 * list of source files. A test fails while any of it is stale.
 *
 * @module
 */

const root = new URL("../", import.meta.url);
const header = "kernels/include/thinker.h";
const note = "// Written by `deno task generate`. Do not edit.\n";

/** What a function of the ABI takes and returns. */
interface Prototype {
  readonly name: string;
  readonly result: string;
  readonly parameters: readonly string[];
  /** Marked TK_WAITS: called off the main thread. */
  readonly waits: boolean;
}

/** Every file that follows from `kernels/`, by its path in the repository. */
export async function generate(): Promise<Record<string, string>> {
  const text = await Deno.readTextFile(new URL(header, root));
  const version = await abiVersion(text);
  return {
    [header]: text.replace(/(#define TK_ABI_VERSION).*/, `$1 ${version}`),
    "ffi/generated/symbols.ts": symbolTable(text, version),
    "ffi/generated/sources.ts": sourceList(),
  };
}

/** The header without comments, its own version, and line breaks: what makes up the ABI. */
function codeOf(text: string): string {
  const code = text.replaceAll(/\/\/.*$/gm, "").replace(/#define TK_ABI_VERSION.*/, "");
  return code.replaceAll(/\s+/g, " ");
}

/** A hash of the header's code, as a positive int32. */
export async function abiVersion(text: string): Promise<number> {
  const code = new TextEncoder().encode(codeOf(text));
  const digest = await crypto.subtle.digest("SHA-256", code);
  return new DataView(digest).getUint32(0) >>> 1;
}

/** The functions of the header, in order. */
export function prototypes(text: string): Prototype[] {
  const code = codeOf(text);
  const pattern = /\bTK_(API|WAITS) (\w+) (\w+)\(([^)]*)\);/g;
  const found = Array.from(code.matchAll(pattern), ([, mark, result, name, parameters]) => ({
    name,
    result: ffiType(result),
    parameters: parameters === "void" ? [] : parameters.split(",").map(ffiType),
    waits: mark === "WAITS",
  }));
  const missed = new Set(code.match(/\btk_\w+(?= ?\()/g)).difference(
    new Set(found.map((f) => f.name)),
  );
  if (missed.size > 0) throw new Error(`${header}: cannot read ${[...missed].join(", ")}`);
  return found;
}

/** The FFI type of a C type or parameter, such as `uint64_t stream` or `const void* src`. */
function ffiType(parameter: string): string {
  if (parameter.includes("*")) return "buffer";
  const [type] = parameter.trim().split(" ");
  const known: Record<string, string> = {
    int32_t: "i32",
    uint32_t: "u32",
    uint64_t: "u64",
    float: "f32",
  };
  if (!(type in known)) throw new Error(`${header}: no FFI type for "${parameter.trim()}"`);
  return known[type];
}

const camel = (name: string) => name.toLowerCase().replaceAll(/_(\w)/g, (_, c) => c.toUpperCase());

/** The header's enums: TypeScript names of each and of its entries, and their values. */
export function enums(text: string): Record<string, Record<string, number>> {
  const found = codeOf(text).matchAll(/enum (\w+) \{([^}]*)\}/g);
  return Object.fromEntries(Array.from(found, ([, name, body]) => {
    const entries = body.split(",").filter((entry) => entry.trim()).map((entry) => {
      const [key, value] = entry.split("=").map((part) => part.trim());
      if (!value) throw new Error(`${header}: ${key} has no value`);
      return [camel(key.replace(/^TK_(STAT_)?/, "")), Number(value)];
    });
    return [camel(name), Object.fromEntries(entries)];
  }));
}

function symbolTable(text: string, version: number): string {
  const constants = Object.entries(enums(text)).map(([name, values]) => {
    const entries = Object.entries(values).map(([key, value]) => `  ${key}: ${value},\n`).join("");
    return `/** Values of an enum of thinker.h, which says what they mean. */
export const ${name} = {\n${entries}} as const;\n`;
  });
  const rows = prototypes(text).map(({ name, parameters, result, waits }) =>
    `  ${name}: { parameters: [${parameters.join(", ")}], result: ${result}${
      waits ? ", nonblocking: true" : ""
    } },\n`
  );
  return `${note}
const i32 = "i32", u32 = "u32", u64 = "u64", f32 = "f32", buffer = "buffer";

/** The version that a library must report: a hash of the code of thinker.h. */
export const ABI_VERSION = ${version};

${constants.join("\n")}
/** The functions of thinker.h: handles and addresses (u64), sizes (i32), scalars (f32), host buffers. */
export const symbols = {\n${rows.join("")}} as const satisfies Deno.ForeignLibraryInterface;\n`;
}

function sourceList(): string {
  const sorted = (path: string) =>
    [...Deno.readDirSync(new URL(path, root))].map(({ name }) => name).sort();
  const imports: string[] = [], lists: string[] = [];
  for (const folder of sorted("kernels/")) {
    const rows = sorted(`kernels/${folder}/`).map((file) => {
      const name = camel(`${folder}_${file.replace(".", "_")}`);
      imports.push(
        `import ${name} from "../../kernels/${folder}/${file}" with { type: "text" };\n`,
      );
      return `  { name: "${file}", text: ${name} },\n`;
    });
    lists.push(
      `/** The files of kernels/${folder}/. */\nexport const ${folder} = [\n${rows.join("")}];\n`,
    );
  }
  return `${note}\n${imports.join("")}\n${lists.join("\n")}`;
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(await generate())) {
    await Deno.writeTextFile(new URL(path, root), text);
  }
}
