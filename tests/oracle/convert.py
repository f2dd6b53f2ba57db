"""Runs llama.cpp's converter on a model folder and looks at what it made.

    python tests/oracle/convert.py CONVERTER FOLDER OUT.gguf EOS
"""

import json
import os
import subprocess
import sys


def main():
    converter, folder, out, eos = sys.argv[1:]
    command = [sys.executable, os.path.join(converter, "convert_hf_to_gguf.py"), folder]
    done = subprocess.run(
        [*command, "--outtype", "f32", "--outfile", out],
        env={**os.environ, "PYTHONPATH": converter},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"the converter refuses {folder}:\n{done.stdout}{done.stderr}")
    from gguf import GGUFReader

    fields = GGUFReader(out).fields
    with open(os.path.join(folder, "tokenizer_config.json"), encoding="utf-8") as file:
        template = json.load(file)["chat_template"]
    for name, expected in [("tokenizer.ggml.eos_token_id", int(eos)), ("tokenizer.chat_template", template)]:
        if fields[name].contents() != expected:
            sys.exit(f"{out}: {name} is {fields[name].contents()!r}, expected {expected!r}")


if __name__ == "__main__":
    main()
