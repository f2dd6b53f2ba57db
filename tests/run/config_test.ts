import { assertEquals, assertThrows } from "@std/assert";
import * as z from "npm:zod@^4";
import { ppoSchema } from "../../src/ppo/mod.ts";
import { presets } from "../../src/run/presets.ts";
import { trainConfigSchema } from "../../src/run/config.ts";
import type { Fields, Schema } from "../../src/schema.ts";

interface Two {
  readonly size: number;
  readonly kind: "a" | "b" | null;
}

// The compiler reads these lines: where one stopped being a mistake, an interface and its schema
// could drift apart.
const kind = z.enum(["a", "b"]).nullable().default(null);
const schemas: Schema<Two>[] = [
  z.strictObject<Fields<Two>>({ size: z.int().default(1), kind }),
  // @ts-expect-error a field of the interface is missing
  z.strictObject<Fields<Two>>({ kind }),
  // @ts-expect-error a field that the interface does not have
  z.strictObject<Fields<Two>>({ size: z.int(), kind, more: z.int() }),
  // @ts-expect-error a value that the interface does not allow
  z.strictObject<Fields<Two>>({ size: z.int(), kind: z.enum(["a", "b", "c"]) }),
  // @ts-expect-error may be undefined
  z.strictObject<Fields<Two>>({ size: z.int().optional(), kind }),
];

Deno.test("a schema fills in defaults and says where something does not fit", () => {
  assertEquals(schemas[0].parse({}), { size: 1, kind: null });
  const result = schemas[0].safeParse({ size: 0.5, many: 2 });
  assertEquals(
    result.success || result.error.issues.map(({ code, path, keys }) => ({ code, path, keys })),
    [
      { code: "invalid_type", path: ["size"], keys: undefined },
      { code: "unrecognized_keys", path: [], keys: ["many"] },
    ],
  );
});

Deno.test("config schemas refuse unknown keys at every depth and keep whole configs as they are", () => {
  for (const preset of Object.values(presets)) {
    assertEquals(trainConfigSchema.parse(preset), preset);
    for (const part of ["shape", "budgets", "engine", "warmstart", "ppo"] as const) {
      const result = trainConfigSchema.safeParse({ ...preset, [part]: { ...preset[part], x: 1 } });
      assertEquals(result.success || result.error.issues[0].path, [part]);
    }
  }
  assertEquals(ppoSchema.parse({}).betas, [0.9, 0.95]);
  assertThrows(() => ppoSchema.parse({ prompts: 2 ** 12, samples: 2 ** 12 + 1 }), "16777216");
});
