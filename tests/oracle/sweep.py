"""Writes small random model folders of every kind that people have, and what transformers makes of each.

    python tests/oracle/sweep.py FOLDER

Per case FOLDER/NAME holds a model folder, `expected.st` with ids, the lengths of their sequences and float32
logits where transformers loads it, and `case.json`: {"refusal": a part of the line that this project must refuse it with, or null,
"transformers": null, or why it does not load there}.
"""

import copy
import json
import pathlib
import sys

import safetensors.torch
import torch
import transformers
from models_fixture import LENGTHS, randomise
from transformers import (
    AutoModelForCausalLM,
    LlamaForCausalLM,
    MistralForCausalLM,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)

CLASSES = {"qwen2": Qwen2ForCausalLM, "qwen3": Qwen3ForCausalLM, "llama": LlamaForCausalLM, "mistral": MistralForCausalLM}
SHAPE = dict(
    hidden_size=64,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    vocab_size=61,
    max_position_embeddings=64,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
    hidden_act="silu",
    eos_token_id=1,
    bos_token_id=None,
)
WINDOWS = {"qwen2": {"use_sliding_window": False}, "qwen3": {"use_sliding_window": False}, "llama": {}, "mistral": {"sliding_window": None}}
DROP = object()  # a field that config.json does not have

LINEAR = {"rope_type": "linear", "factor": 3.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
YARN = {"rope_type": "yarn", "factor": 4.0, "beta_fast": 2.0, "beta_slow": 0.5, "original_max_position_embeddings": 16}
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8, "original_max_position_embeddings": 16}


def without(fields, *names):
    return {key: value for key, value in fields.items() if key not in names}


def rope(parameters, style, theta=100.0):
    """The same rotation in a config.json of transformers 4 or 5."""
    if style == "new":
        return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **parameters}, "dtype": "float32"}
    return {"rope_theta": theta, "rope_scaling": parameters or None, "torch_dtype": "float32"}


def fields_of(family, changes, style):
    """The content of config.json."""
    raw = {"architectures": [CLASSES[family].__name__], "model_type": family, **SHAPE, **WINDOWS[family], **rope({}, style), **changes}
    # A copy: transformers fills in what settings of RoPE leave out, in place.
    return copy.deepcopy({key: value for key, value in raw.items() if value is not DROP})


class Sweep:
    def __init__(self, folder):
        self.folder = folder
        self.rng = torch.Generator().manual_seed(20250522)
        self.names = set()

    def case(self, name, family="qwen2", changes=None, *, style="new", of=None, tensors=None, files=None, dtype=torch.float32, lengths=LENGTHS, refusal=None):
        """One folder: config.json has `changes`, the weights are those of a model with the changes `of` (default: the
        same), passed through `tensors`; `files` writes them, by default into one file. Logits are those of packed
        sequences of these `lengths`."""
        assert name not in self.names, name
        self.names.add(name)
        changes = changes or {}
        made = fields_of(family, changes if of is None else of, style)
        cls = CLASSES[family]
        model = randomise(cls(cls.config_class.from_dict(made)), self.rng)
        state = {key: value.to(dtype).clone() for key, value in model.state_dict().items()}
        if made["tie_word_embeddings"]:
            del state["lm_head.weight"]
        state = tensors(state) if tensors else state
        target = self.folder / name
        target.mkdir(parents=True)
        (target / "config.json").write_text(json.dumps(fields_of(family, changes, style), indent=1))
        (files or one_file)(state, target)
        failure = self.expect(target, lengths)
        (target / "case.json").write_text(json.dumps({"refusal": refusal, "transformers": failure}))

    def expect(self, target, lengths):
        """Writes transformers' logits, or returns why there are none."""
        try:
            model, info = AutoModelForCausalLM.from_pretrained(
                target, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
            )
            if info["missing_keys"] or info["mismatched_keys"]:
                return "makes up what is missing"
            ids = torch.randint(0, min(61, model.config.vocab_size), (sum(lengths),), generator=self.rng)
            with torch.no_grad():
                logits = torch.cat([model(part[None]).logits[0] for part in ids.split(lengths)])
        except Exception as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        safetensors.torch.save_file({"ids": ids.int(), "lengths": torch.tensor(lengths).int(), "logits": logits.contiguous()}, target / "expected.st")
        return None


def save(state, path):
    safetensors.torch.save_file({key: value.contiguous() for key, value in state.items()}, path, metadata={"format": "pt"})


def one_file(state, target):
    save(state, target / "model.safetensors")


def shards(state, target, left_out=()):
    """Two files and their index, which does not mention what is `left_out`."""
    names = list(state)
    halves = {f"model-0000{n + 1}-of-00002.safetensors": names[n::2] for n in range(2)}
    for file, held in halves.items():
        save({key: state[key] for key in held}, target / file)
    weight_map = {key: file for file, held in halves.items() for key in held if key not in left_out}
    (target / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def single_beside_index(state, target):
    shards({key: torch.zeros_like(value) for key, value in state.items()}, target)
    one_file(state, target)


def bin_file(state, target):
    torch.save(state, target / "pytorch_model.bin")


def pointer(state, target):
    (target / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def renamed(old, new):
    return lambda state: {key.replace(old, new, 1) if key.startswith(old) else key: value for key, value in state.items()}


def plus(name, *shape):
    return lambda state: {**state, name: torch.full(shape, 0.5)}


def minus(name):
    return lambda state: without(state, name)


def biases(*projections):
    def add(state):
        weights = {key: value for key, value in state.items() if key.split(".")[-2] in projections}
        return {**state, **{key.replace("weight", "bias"): value[:, 0].clone() for key, value in weights.items()}}

    return add


def damaged(value):
    def put(state):
        state["model.layers.1.mlp.up_proj.weight"][7, 3] = value
        return state

    return put


def mixed(state):
    kinds = (torch.float32, torch.bfloat16, torch.float16)
    return {key: value.bfloat16().to(kinds[i % 3]) for i, (key, value) in enumerate(state.items())}


def write_ropes(sweep):
    for family in CLASSES:
        for style in ("old", "new"):
            for name, parameters in {"plain": {}, "linear": LINEAR, "llama3": LLAMA3, "yarn": YARN}.items():
                sweep.case(f"{family}-{style}-{name}", family, rope(parameters, style), style=style)
    for name, more in {
        "attention-factor": {"attention_factor": 1.7},
        "mscale": {"mscale": 0.7, "mscale_all_dim": 1.3},
        "mscale-alone": {"mscale": 0.7},
        "no-truncation": {"truncate": False},
        "other-betas": {"beta_fast": 32.0, "beta_slow": 1.0},
    }.items():
        sweep.case(f"yarn-{name}", "qwen2", rope({**YARN, **more}, "new"))
    bare = without(YARN, "original_max_position_embeddings")
    beside = {"original_max_position_embeddings": 32}
    for style in ("old", "new"):
        sweep.case(f"yarn-original-beside-{style}", "qwen2", {**rope(bare, style), **beside}, style=style)
        sweep.case(f"yarn-original-twice-{style}", "llama", {**rope(YARN, style), **beside}, style=style)
        sweep.case(f"llama3-original-beside-{style}", "llama", {**rope(LLAMA3, style), **beside}, style=style)
        sweep.case(f"yarn-no-original-{style}", "qwen3", rope(bare, style), style=style)
        dynamic = rope({"rope_type": "dynamic", "factor": 2.0}, style)
        sweep.case(f"dynamic-{style}", "llama", dynamic, style=style, refusal="RoPE of type dynamic")
        sweep.case(f"longrope-{style}", "llama", rope(LONGROPE, style), style=style, refusal="RoPE of type longrope")
    old_name = {"type": "yarn", **without(YARN, "rope_type")}
    sweep.case("rope-type-by-its-old-name", "qwen2", rope(old_name, "old"), style="old")
    sweep.case("rope-both-styles", "qwen2", {**rope(LINEAR, "new", 50.0), "rope_scaling": YARN, "rope_theta": 200.0})
    sweep.case("rope-scaling-empty", "qwen2", {**rope(LINEAR, "new"), "rope_scaling": {}})
    sweep.case("rope-theta-inside-and-beside", "llama", {**rope({}, "new", 50.0), "rope_theta": 200.0})
    sweep.case("rope-theta-beside-parameters", "llama", {"rope_parameters": LINEAR, "rope_theta": 200.0})
    sweep.case("rope-no-word", "qwen3", {"rope_parameters": DROP})
    nested = {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 100.0}}}
    layers = {"layer_types": ["full_attention"] * 2}
    sweep.case("rope-nested", "qwen3", {**nested, **layers}, of={}, refusal="settings for full_attention")
    sweep.case("rope-nested-llama", "llama", nested, of={}, refusal="settings for full_attention")
    sweep.case("rope-partial", "llama", {"partial_rotary_factor": 0.5}, of={}, refusal="only full rotation")
    sweep.case("rope-proportional", "llama", rope({"rope_type": "proportional"}, "new"), refusal="RoPE of type proportional")


def write_long(sweep):
    """Angles of thousands of radians: what is not computed in float32 as there ends elsewhere."""
    for name, parameters in {"plain": {}, "linear": LINEAR, "llama3": LLAMA3, "yarn": YARN}.items():
        long = {**rope(parameters, "new", 10000.0), "max_position_embeddings": 4096, "head_dim": 64}
        sweep.case(f"long-{name}", "llama", long, lengths=(3000, 1))


def write_shapes(sweep):
    for family in CLASSES:
        for heads, kv in ((4, 4), (4, 1), (6, 3), (1, 1)):
            shape = {"num_attention_heads": heads, "num_key_value_heads": kv, "hidden_size": heads * 16}
            sweep.case(f"{family}-heads-{heads}-{kv}", family, shape)
        sweep.case(f"{family}-tied", family, {"tie_word_embeddings": True}, files=shards)
    for width in (32, 48, 80, 128, 256):
        sweep.case(f"head-dim-{width}", "llama", {"head_dim": width})
    sweep.case("head-dim-of-hidden", "llama", {"head_dim": DROP})
    sweep.case("head-dim-null", "mistral", {"head_dim": None})
    sweep.case("head-dim-of-qwen2", "qwen2", {"head_dim": DROP})
    sweep.case("head-dim-usual-of-qwen3", "qwen3", {"head_dim": DROP})
    for width in (8, 24, 272):
        sweep.case(f"head-dim-{width}", "llama", {"head_dim": width}, refusal=f"head_dim {width} is not a multiple of 16")
    for vocab in (3, 97, 1000):
        sweep.case(f"vocab-{vocab}", "qwen2", {"vocab_size": vocab})
    sweep.case("one-layer", "qwen3", {"num_hidden_layers": 1})
    sweep.case("wide-feed-forward", "llama", {"intermediate_size": 333})
    sweep.case("eps-usual", "llama", {"rms_norm_eps": DROP})
    sweep.case("eps-large", "qwen3", {"rms_norm_eps": 0.3})
    sweep.case("kv-heads-unsaid", "llama", {"num_key_value_heads": DROP})
    sweep.case("kv-heads-null", "qwen2", {"num_key_value_heads": None})
    sweep.case("kv-heads-unsaid-qwen2", "qwen2", {"num_key_value_heads": DROP}, of={"num_key_value_heads": 4}, refusal="num_key_value_heads 32")
    sweep.case("kv-heads-unsaid-mistral", "mistral", {"num_key_value_heads": DROP, "num_attention_heads": 8, "hidden_size": 128})
    sweep.case("tied-unsaid", "qwen2", {"tie_word_embeddings": DROP}, of={})


def write_attention(sweep):
    windowed = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    sweep.case("window-not-used", "qwen2", {**windowed, "use_sliding_window": False})
    sweep.case("window-on-no-layer", "qwen3", {**windowed, "max_window_layers": 2})
    sweep.case("window-as-long-as-all", "qwen2", {**windowed, "sliding_window": 64})
    sweep.case("window", "qwen2", windowed, refusal="window of 8")
    kinds = ["full_attention", "sliding_attention"]
    sweep.case("window-by-layer-type", "qwen3", {**windowed, "layer_types": kinds}, refusal="window of 8")
    sweep.case("window-types-all-full", "qwen3", {**windowed, "layer_types": ["full_attention"] * 2})
    sweep.case("window-mistral", "mistral", {"sliding_window": 8}, refusal="window of 8")
    sweep.case("window-mistral-usual", "mistral", {"sliding_window": DROP})
    sweep.case("bias-llama", "llama", {"attention_bias": True}, refusal="a bias of the attention")
    sweep.case("bias-qwen3", "qwen3", {"attention_bias": True}, refusal="a bias of the attention")
    sweep.case("bias-mlp", "llama", {"mlp_bias": True}, refusal="a bias of the feed-forward")
    sweep.case("bias-said-of-qwen2", "qwen2", {"attention_bias": False})
    stray = biases("q_proj", "k_proj", "v_proj", "o_proj")
    sweep.case("bias-tensors-unsaid", "llama", tensors=stray, refusal="no use for tensor")
    sweep.case("bias-tensors-of-feed-forward", "mistral", tensors=biases("up_proj"), refusal="no use for tensor")
    sweep.case("bias-tensors-missing", "qwen2", tensors=lambda state: {k: v for k, v in state.items() if "bias" not in k}, refusal="has no tensor")
    sweep.case("gelu", "llama", {"hidden_act": "gelu"}, refusal="hidden_act")
    sweep.case("quantised", "llama", {"quantization_config": {"quant_method": "fp8"}}, of={}, refusal="quantised weights")


def write_tensors(sweep):
    tied = {"tie_word_embeddings": True}
    embedding, head = "model.embed_tokens.weight", "lm_head.weight"
    sweep.case("tied-and-stored", "qwen2", tied, tensors=lambda state: {**state, head: state[embedding].clone()})
    sweep.case("tied-but-other-head", "qwen2", tied, of={})
    sweep.case("tied-but-other-head-in-shards", "llama", tied, of={}, files=shards)
    sweep.case("tied-by-the-head-alone", "llama", tied, tensors=renamed(embedding, head))
    both = lambda state: {**state, head: state[embedding].float(), embedding: state[embedding].bfloat16()}
    sweep.case("tied-in-two-types", "qwen3", tied, tensors=both)
    sweep.case("head-missing", "llama", tensors=minus(head), refusal="no tensor lm_head.weight")
    sweep.case("sharded", "qwen2", files=shards)
    sweep.case("sharded-index-incomplete", "llama", files=lambda state, target: shards(state, target, [head]))
    sweep.case("single-beside-index", "qwen2", files=single_beside_index)
    base = {**tied, "architectures": ["Qwen2Model"]}
    sweep.case("no-prefix-tied", "qwen2", tied, tensors=renamed("model.", ""))
    sweep.case("base-model-tied", "qwen2", base, of=tied, tensors=renamed("model.", ""))
    sweep.case("base-model", "qwen2", {**base, "tie_word_embeddings": False}, of=tied, tensors=renamed("model.", ""), refusal="no tensor lm_head.weight")
    sweep.case("class-unsaid", "llama", {"architectures": DROP})
    sweep.case("classifier", "qwen2", {"architectures": ["Qwen2ForSequenceClassification"]}, of={}, tensors=plus("score.weight", 2, 64), refusal="architecture Qwen2ForSequenceClassification")
    sweep.case("no-prefix-with-head", "llama", tensors=renamed("model.", ""))
    sweep.case("no-prefix-no-head", "llama", tensors=lambda state: renamed("model.", "")(minus(head)(state)), refusal="no tensor lm_head.weight")
    sweep.case("prefix-twice", "qwen3", tensors=renamed("", "model."))
    sweep.case("prefix-unknown", "llama", tensors=renamed("", "module."), refusal="has no tensor")
    frequencies = plus("model.layers.0.self_attn.rotary_emb.inv_freq", 8)
    sweep.case("old-frequencies", "llama", tensors=frequencies)
    sweep.case("stray-score", "llama", tensors=plus("score.weight", 2, 64), refusal="no use for tensor score.weight")
    sweep.case("stray-layer", "qwen2", of={"num_hidden_layers": 3}, refusal="no use for tensor model.layers.2")
    sweep.case("layer-missing", "qwen2", {"num_hidden_layers": 3}, of={}, refusal="no tensor model.layers.2")
    sweep.case("critic", "qwen2", tied, tensors=plus("value_head.weight", 1, 64), refusal="no use for tensor value_head")
    sweep.case("other-shape", "llama", {"intermediate_size": 41}, of={}, refusal="has shape [40,64]")
    for value in ("nan", "inf", "-inf"):
        shown = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[value]
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            name = f"{value}-in-{str(dtype).split('.')[1]}"
            sweep.case(name, "llama", tensors=damaged(float(value)), dtype=dtype, refusal=f"up_proj.weight[7, 3] is {shown}")
    sweep.case("bfloat16", "qwen2", {"dtype": "bfloat16"}, dtype=torch.bfloat16)
    sweep.case("float16", "llama", {"torch_dtype": "float16"}, style="old", dtype=torch.float16)
    sweep.case("mixed-types", "qwen3", tensors=mixed)
    sweep.case("type-unsaid", "qwen3", {"dtype": DROP}, dtype=torch.bfloat16)
    sweep.case("type-both-names", "llama", {"dtype": "float32", "torch_dtype": "bfloat16"})
    sweep.case("float64", "qwen2", dtype=torch.float64, refusal="has dtype F64")
    sweep.case("float8", "qwen2", dtype=torch.float8_e4m3fn, refusal="has dtype F8_E4M3")
    sweep.case("bin-only", "llama", files=bin_file, refusal="holds pytorch_model.bin")
    sweep.case("git-lfs-pointer", "llama", files=pointer, refusal="git-lfs pointer")


def main():
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    sweep = Sweep(pathlib.Path(sys.argv[1]))
    for write in (write_ropes, write_long, write_shapes, write_attention, write_tensors):
        write(sweep)


if __name__ == "__main__":
    main()
