/**
 * Tensors of a run that go to disk and come back as they were.
 *
 * @module
 */
import type { Stream, Tensor } from "../../ffi/mod.ts";
import { float32Chunks, openSafetensors, writeSafetensors } from "../model/mod.ts";
import { UserError } from "../base/mod.ts";

/** Float32 tensors by name. */
export type Named = readonly (readonly [name: string, tensor: Tensor])[];

/** Writes the tensors into a file of their own. */
export async function saveTensors(path: string, stream: Stream, tensors: Named): Promise<void> {
  await writeSafetensors(
    path,
    tensors.map(([name, tensor]) => ({
      name,
      dtype: "F32" as const,
      shape: tensor.shape,
      chunks: () => float32Chunks(stream, tensor, "F32"),
    })),
  );
}

/**
 * Fills the tensors from a file; they are there once the stream has been waited for.
 *
 * @throws {UserError} when the file is damaged, or its tensors have other shapes.
 */
export function loadTensors(path: string, stream: Stream, tensors: Named): void {
  using source = openSafetensors(path);
  for (const [name, tensor] of tensors) {
    if (source.info(name).shape.join() !== tensor.shape.join()) {
      throw new UserError(`${path}: "${name}" belongs to another model`);
    }
    source.read(name, (bytes, offset) => {
      const values = new Float32Array(bytes.slice().buffer);
      stream.upload(tensor.view(offset / 4, [values.length]), values);
    });
  }
}
