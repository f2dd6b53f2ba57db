"""Writes tests/fixtures/oracle: small random models as transformers saves them, and what PyTorch makes of
them: logits, losses, gradients of every parameter, ten AdamW steps, PPO losses, advantages, RoPE tables.

    pip install -r tests/oracle/requirements.txt
    python tests/oracle/models_fixture.py [FOLDER]

Everything is float32 on the CPU; weights are bfloat16 on disk. `deno task oracle` runs this again and
compares.
"""

import json
import pathlib
import sys

import safetensors.torch
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

LENGTHS = (1, 19, 8)  # of the packed sequences
SHAPE = dict(
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    vocab_size=48,
    max_position_embeddings=64,
    rms_norm_eps=1e-5,
    eos_token_id=1,
    bos_token_id=None,
    attn_implementation="eager",
)
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 2.0, "beta_slow": 0.5}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
MODELS = {
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, dict(tie_word_embeddings=True, rope_parameters={"rope_theta": 100.0, **YARN})),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, dict(tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 100.0})),
    "llama": (LlamaForCausalLM, LlamaConfig, dict(tie_word_embeddings=False, rope_parameters={"rope_theta": 100.0, **LLAMA3})),
}
ROPES = {
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "llama3": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
    "yarn": {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 32768},
}


def randomise(model, rng):
    """Weights far from their usual start, so that every part matters, and exact in bfloat16."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            x = torch.randn(p.shape, generator=rng)
            x = x / p.shape[1] ** 0.5 if p.ndim == 2 else 0.3 * x
            p.copy_((1 + x if name.endswith("norm.weight") else x).bfloat16().float())
    return model


def batch(rng):
    """Sequences, and per token a target and a weight; some tokens are masked."""
    sequences = [torch.randint(0, SHAPE["vocab_size"], (n,), generator=rng) for n in LENGTHS]
    T = sum(LENGTHS)
    targets = torch.randint(0, SHAPE["vocab_size"], (T,), generator=rng)
    weights = torch.rand(T, generator=rng)
    weights[torch.rand(T, generator=rng) < 0.2] = 0
    return sequences, targets, weights


def hidden_states(model, sequences):
    """(T, C): every sequence on its own, so that no padding or mask is involved."""
    return torch.cat([model.model(ids[None]).last_hidden_state[0] for ids in sequences])


def gradients(model, loss, prefix, out):
    model.zero_grad()
    loss.backward()
    for name, p in model.named_parameters():
        if p.grad is not None:
            out[f"{prefix}.{name}"] = p.grad.clone()


def cross_entropy(model, sequences, targets, weights):
    logp = model.lm_head(hidden_states(model, sequences)).log_softmax(-1)
    return -(weights * logp[torch.arange(len(targets)), targets]).sum()


def adamw_losses(model, sequences, targets, weights):
    """Losses before each of ten steps; decay on matrices only, gradients clipped to norm 1."""
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = cross_entropy(model, sequences, targets, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses)


def policy_loss(model, sequences, data):
    """The PPO objective with an entropy bonus, k3 to a reference and importance weights."""
    logp_all = (model.lm_head(hidden_states(model, sequences)) / 0.9).log_softmax(-1)
    logp = logp_all[torch.arange(len(data["targets"])), data["targets"]]
    entropy = -(logp_all.exp() * logp_all).sum(-1)
    ratio = (logp - data["old_logprobs"]).exp()
    surrogate = torch.minimum(ratio * data["advantages"], ratio.clamp(1 - 0.2, 1 + 0.28) * data["advantages"])
    gap = data["ref_logprobs"] - logp
    kl = gap.exp() - gap - 1
    return (data["weights"] * (-data["is_weights"] * surrogate - 0.1 * entropy + 0.2 * kl)).sum()


def value_loss(model, head, sequences, data):
    values = hidden_states(model, sequences) @ head[0]
    clipped = data["old_values"] + (values - data["old_values"]).clamp(-0.4, 0.4)
    errors = torch.maximum((values - data["returns"]) ** 2, (clipped - data["returns"]) ** 2)
    return (data["weights"] * 0.5 * errors).sum()


def advantages(rewards, values, segments, link, gamma, lam):
    """Generalised advantage estimation, segment by segment from the end, in float64."""
    T = len(rewards)
    out = torch.zeros(T, dtype=torch.float64)
    for s in reversed(range(len(segments) - 1)):
        for t in reversed(range(segments[s], segments[s + 1])):
            flow = (link[s] if t == segments[s + 1] - 1 else 1.0) if t + 1 < T else 0.0
            next_value, next_advantage = (values[t + 1], out[t + 1]) if flow else (0.0, 0.0)
            delta = rewards[t] + gamma * flow * next_value - values[t]
            out[t] = delta + gamma * lam * flow * next_advantage
    return out


def write_model(folder, name, rng):
    cls, config_cls, changes = MODELS[name]
    model = randomise(cls(config_cls(**SHAPE, **changes)), rng)
    sequences, targets, weights = batch(rng)
    out = {"ids": torch.cat(sequences).int(), "targets": targets.int(), "weights": weights}
    out["logits"] = model.lm_head(hidden_states(model, sequences)).detach()
    loss = cross_entropy(model, sequences, targets, weights)
    out["loss"] = loss.detach()[None]
    gradients(model, loss, "gradient", out)
    target = folder / name
    shards = {} if name == "llama" else {"max_shard_size": "10KB"}  # one in a single file, two in shards
    copy = cls(model.config)
    copy.load_state_dict(model.state_dict())
    copy.bfloat16().save_pretrained(target, **shards)
    (target / "generation_config.json").unlink(missing_ok=True)
    if name == "qwen2":
        write_ppo(folder, model, sequences, targets, weights, rng)
    out["losses"] = adamw_losses(model, sequences, targets, weights)  # changes the model: last
    save(out, target / "expected.safetensors")


def write_ppo(folder, model, sequences, targets, weights, rng):
    T = len(targets)
    guess = -torch.log(torch.tensor(float(SHAPE["vocab_size"])))
    data = {
        "targets": targets,
        "weights": weights,
        "advantages": torch.randn(T, generator=rng),
        # Around a uniform guess, so that ratios fall on both sides of the clip.
        "old_logprobs": guess + torch.randn(T, generator=rng),
        "ref_logprobs": guess + 0.5 * torch.randn(T, generator=rng),
        "is_weights": 0.5 + torch.rand(T, generator=rng),
        "old_values": torch.randn(T, generator=rng),
        "returns": torch.randn(T, generator=rng),
    }
    head = torch.randn(1, SHAPE["hidden_size"], generator=rng).requires_grad_()
    out = {key: value for key, value in data.items() if key not in ("targets", "weights")}
    policy = policy_loss(model, sequences, data)
    out["policy_loss"] = policy.detach()[None]
    gradients(model, policy, "policy", out)
    value = value_loss(model, head, sequences, data)
    out["value_loss"] = value.detach()[None]
    gradients(model, value, "value", out)
    out["value.value_head.weight"] = head.grad.clone()
    out["value_head"] = head.detach()
    rewards, values = torch.randn(T, generator=rng), torch.randn(T, generator=rng)
    segments, link = [0, 1, 9, 20, T], torch.tensor([0.0, 0.5, 1.0, 1.0])
    gae = advantages(rewards.double(), values.double(), segments, link.double(), 0.98, 0.9)
    out |= {"gae_rewards": rewards, "gae_values": values, "gae_link": link}
    out |= {"gae_segments": torch.tensor(segments).int(), "gae_advantages": gae.float()}
    out["gae_returns"] = (gae + values.double()).float()
    save(out, folder / "ppo.safetensors")


def write_ropes(folder):
    """Frequencies and the factor of queries and keys, for heads of 64, at published settings."""
    ropes = []
    for name, parameters in ROPES.items():
        config = LlamaConfig(**{**SHAPE, "head_dim": 64, "max_position_embeddings": 131072}, rope_parameters=dict(parameters))
        frequencies, factor = ROPE_INIT_FUNCTIONS[name](config, "cpu")
        ropes.append({"rope_parameters": parameters, "frequencies": frequencies.tolist(), "factor": factor})
    (folder / "rope.json").write_text(json.dumps(ropes, indent=1) + "\n")


def save(tensors, path):
    tensors = {name: t.contiguous() for name, t in tensors.items()}
    safetensors.torch.save_file(tensors, path, metadata={"torch": torch.__version__, "transformers": transformers.__version__})


def main():
    default = pathlib.Path(__file__).parent.parent / "fixtures" / "oracle"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(20250521)
    for name in MODELS:
        write_model(folder, name, rng)
    write_ropes(folder)


if __name__ == "__main__":
    main()
