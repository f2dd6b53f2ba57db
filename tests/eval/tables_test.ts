import { assertEquals } from "@std/assert";
import { modelName } from "../../src/eval/mod.ts";

Deno.test("modelName: of a checkpoint run and step, of other folders the last part", () => {
  const checkpoint = "runs/mine/checkpoints/step-20";
  assertEquals(modelName(checkpoint), "mine, step-20");
  assertEquals(modelName(`../${checkpoint}/`, "-"), "mine-step-20");
  assertEquals(modelName("checkpoints/step-1"), "step-1");
  assertEquals(modelName("./models/Qwen2.5-1.5B/"), "Qwen2.5-1.5B");
  assertEquals(modelName("."), ".");
});
