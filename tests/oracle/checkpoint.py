"""Checks that transformers talks to a checkpoint as training did: same prompt, same ends of turns.

    python tests/oracle/checkpoint.py FOLDER REQUEST.json
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    folder, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        request = json.load(file)
    stop, tokens = request["stop"], request["tokens"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)

    def expect(what, actual, expected):
        if actual != expected:
            sys.exit(f"{folder}: {what} is {actual}, expected {expected}")

    for kind, names in info.items():
        expect(f"{kind} on loading", list(names), [])
    expect("the tokenizer's eos", tokenizer.eos_token_id, stop[0])
    expect("the config's eos", model.config.eos_token_id, stop)
    expect("the generation's eos", model.generation_config.eos_token_id, stop)
    ends = 0
    torch.manual_seed(0)
    for turn in request["turns"]:
        messages = [{"role": "user", "content": turn["content"]}]
        prompt = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        length = len(turn["ids"])
        expect(f"the prompt of {turn['content']!r}", prompt["input_ids"][0].tolist(), turn["ids"])
        greedy = model.generate(**prompt, max_new_tokens=tokens, do_sample=False)[0, length:].tolist()
        expect(f"the continuation of {turn['content']!r}", greedy, turn["continuation"])
        # As the folder says: sampled, nothing cut off.
        sampled = model.generate(**prompt, max_new_tokens=tokens)[0, length:].tolist()
        if sampled[-1] in stop:
            ends += 1
        elif len(sampled) < tokens:
            sys.exit(f"{folder}: a turn ends with {sampled[-1]}, none of {stop}")
    if ends == 0:
        sys.exit(f"{folder}: of {len(request['turns'])} sampled turns none has an end")


if __name__ == "__main__":
    main()
