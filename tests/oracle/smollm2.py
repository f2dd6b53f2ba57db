"""What transformers makes of a model folder that `thinker model import` wrote from a GGUF file: compares the
weights with the gguf package's own dequantisation, then writes greedy continuations.

    python tests/oracle/smollm2.py FILE.gguf FOLDER PROMPTS.json OUT.json

OUT.json holds, per prompt, the ids of the prompt and of its greedy continuation in float32.
"""

import json
import sys

import gguf
import numpy as np
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PARTS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def hf_name(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.{kind}"


def compare_weights(path, folder, config):
    """Every tensor of the file, dequantised by the gguf package and with query and key rows put in order."""
    ours = safetensors.torch.load_file(f"{folder}/model.safetensors")
    tensors = gguf.GGUFReader(path).tensors
    assert len(ours) == len(tensors), (len(ours), len(tensors))
    for tensor in tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        name = hf_name(tensor.name)
        if "q_proj" in name or "k_proj" in name:
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            rows, columns = values.shape
            values = values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
        if not np.array_equal(values, ours[name].float().numpy()):
            sys.exit(f"{name} differs from the gguf package's dequantisation")


def main():
    path, folder, prompts, out = sys.argv[1:]
    torch.set_num_threads(2)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    compare_weights(path, folder, model.config)
    request = json.load(open(prompts))
    answers = []
    for prompt in request["prompts"]:
        messages = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            all_ids = model.generate(
                torch.tensor([ids]), do_sample=False, max_new_tokens=request["tokens"], pad_token_id=tokenizer.pad_token_id
            )
        answers.append({"text": text, "ids": ids, "continuation": all_ids[0, len(ids) :].tolist()})
    json.dump(answers, open(out, "w"))


if __name__ == "__main__":
    main()
