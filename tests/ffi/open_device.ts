/**
 * A program that opens a device and runs one op, for tests of builds and permissions. It prints one
 * JSON object: `{ built, sum }`, or `{ error, message, hint }`.
 */
import { Device } from "../../ffi/mod.ts";

try {
  let built = false;
  using device = await Device.open("cpu", { onBuild: () => built = true });
  using stream = device.stream();
  using memory = device.alloc("f32", [100]);
  stream.fill(memory.tensor, 0.5);
  const values = await stream.download(memory.tensor, new Float32Array(100));
  console.log(JSON.stringify({ built, sum: values.reduce((a, b) => a + b, 0) }));
} catch (error) {
  const { name, message, hint } = error as Error & { hint?: string };
  console.log(JSON.stringify({ error: name, message, hint }));
}
