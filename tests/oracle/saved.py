"""Checks that transformers loads a model folder that this project saved: its logits must be those expected.

    python tests/oracle/saved.py FOLDER EXPECTED.safetensors TOLERANCE
"""

import sys

import safetensors.torch
import torch
from transformers import AutoModelForCausalLM


def main():
    folder, expected, tolerance = sys.argv[1:]
    want = safetensors.torch.load_file(expected)
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    wrong = {kind: names for kind, names in info.items() if names}
    if wrong:
        sys.exit(f"{folder} does not load cleanly: {wrong}")
    ids, start, rows = want["ids"].long(), 0, []
    for length in (1, 19, 8):
        with torch.no_grad():
            rows.append(model(ids[None, start : start + length]).logits[0])
        start += length
    error = (torch.cat(rows) - want["logits"]).abs().max() / want["logits"].abs().max()
    if not error <= float(tolerance):
        sys.exit(f"{folder}: logits differ by {error:.2e} of the largest")


if __name__ == "__main__":
    main()
