import { assert } from "@std/assert";
import { measureBandwidth } from "../../src/engine/mod.ts";
import { Lab } from "../native.ts";

Deno.test("bandwidth: a plausible number, and nothing stays allocated", async () => {
  using lab = await Lab.open();
  const rate = await measureBandwidth(lab.stream);
  assert(rate > 1e8 && rate < 1e14, `${rate} bytes a second`);
  assert(lab.device.allocatedBytes === 0);
});
