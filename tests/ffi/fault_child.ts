/**
 * A program that meets a kernel's failure inside nested `using` scopes, as the command line does. Which
 * kernel fails is said by THINKER_EMU_FAULT; the argument says where the failure is noticed.
 */
import { reportFailure } from "../../cli/failure.ts";
import { Device, rmsnormForward } from "../../ffi/mod.ts";

async function compute(noticed: string): Promise<void> {
  using device = await Device.open("emu");
  using stream = device.stream();
  using x = device.alloc("f32", [3, 4]);
  using y = device.alloc("f32", [3, 4]);
  using w = device.alloc("f32", [4]);
  stream.fill(x.tensor, 1);
  stream.fill(w.tensor, 1);
  await stream.sync();
  const normalise = () => rmsnormForward(stream, { y: y.tensor, x: x.tensor, w: w.tensor, eps: 0 });
  using graph = stream.record(() => {
    normalise();
    stream.copy(x.tensor, y.tensor);
  });
  if (noticed === "graph") stream.launch(graph);
  else normalise();
  stream.fill(w.tensor, 2);
  if (noticed === "dispose") return;
  if (noticed === "unrelated") throw new Error("something else");
  if (noticed === "again") await stream.sync().catch((error) => console.error(error.message));
  const values = await stream.download(y.tensor, new Float32Array(12));
  console.log(values[0]);
}

try {
  await compute(Deno.args[0]);
} catch (error) {
  Deno.exit(reportFailure(error));
}
