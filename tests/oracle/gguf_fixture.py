"""Writes tests/fixtures/gguf_blocks.safetensors: random blocks of every quantised GGUF format that this project
reads, as bytes, and what llama.cpp's Python package `gguf` makes of them in float32.

    pip install -r tests/oracle/requirements.txt
    python tests/oracle/gguf_fixture.py
"""

import pathlib

import gguf
import numpy as np
import safetensors.numpy
from gguf import GGMLQuantizationType as Type

FORMATS = "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()
# Where a block has its float16 numbers, in bytes; elsewhere any bytes will do.
HALVES = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}


def main():
    rng = np.random.default_rng(7)
    out = {}
    for name in FORMATS:
        elements, size = gguf.GGML_QUANT_SIZES[Type[name]]
        count = 1024 // elements
        blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for at in HALVES.get(name, (0,)):
            # Of every size, the smallest and none at all too.
            scales = rng.standard_normal(count) * 10.0 ** rng.integers(-7, 3, count)
            scales[rng.random(count) < 0.1] = 0
            blocks[:, at : at + 2] = scales.astype(np.float16)[:, None].view(np.uint8)
        out[f"{name}.blocks"] = blocks.reshape(-1)
        out[f"{name}.values"] = gguf.dequantize(blocks.reshape(-1), Type[name]).reshape(-1)
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "gguf_blocks.safetensors"
    safetensors.numpy.save_file(out, path)
    print(f"{path}: {len(FORMATS)} formats, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
