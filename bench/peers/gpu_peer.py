"""PyTorch on the GPU: times the cases of a result file of bench/gpu/main.ts and adds its numbers to it.

Usage: gpu_peer.py FILE. Each result that names a peer case gets "peers": {name: seconds}, and a table of
ratios (the peer's time over ours) is printed. Times come from CUDA events around repeated calls.
"""

import json
import sys

import torch
import torch.nn.functional as F

DEVICE, DTYPE = "cuda", torch.bfloat16


def uniform(*shape):
    return torch.empty(shape, device=DEVICE, dtype=DTYPE).uniform_(-0.05, 0.05)


def seconds(call, least=0.1):
    """Median over five rounds of the time of one call."""
    for _ in range(3):
        call()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def once(calls):
        start.record()
        for _ in range(calls):
            call()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000 / calls

    calls = max(1, min(1000, int(least / once(1))))
    return sorted(once(calls) for _ in range(5))[2]


def linear_forward(M, N, K):
    # Weights taken in turn from more bytes than the cache holds, as ours are in decoding.
    count = max(1, int(256e6 // (2 * N * K))) if M <= 256 else 1
    x, weights, turn = uniform(M, K), [uniform(N, K) for _ in range(count)], iter(range(10**9))
    return {"cuBLAS": lambda: F.linear(x, weights[next(turn) % count])}


def linear_backward_input(M, N, K):
    dy, w = uniform(M, N), uniform(N, K)
    return {"cuBLAS": lambda: dy @ w}


def linear_backward_weight(M, N, K):
    dy, x = uniform(M, N), uniform(M, K)
    return {"cuBLAS": lambda: dy.t() @ x}


def causal(sequences, length, H, Hk, D):
    q = uniform(sequences, H, length, D)
    return q, uniform(sequences, Hk, length, D), uniform(sequences, Hk, length, D)


def attention_forward(**shape):
    q, k, v = causal(**shape)
    return {"SDPA": lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)}


def attention_backward(**shape):
    inputs = [t.requires_grad_() for t in causal(**shape)]
    out = F.scaled_dot_product_attention(*inputs, is_causal=True, enable_gqa=True)
    dout = torch.rand_like(out)
    return {"SDPA": lambda: torch.autograd.grad(out, inputs, dout, retain_graph=True)}


def attention_decode(batch, context, H, Hk, D):
    q, k, v = uniform(batch, H, 1, D), uniform(batch, Hk, context, D), uniform(batch, Hk, context, D)
    return {"SDPA": lambda: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)}


def ppo_loss(rows, C, V):
    """Clipped surrogate and entropy from hidden states, with gradients; logits in float32 as usual."""
    h, w = uniform(rows, C).requires_grad_(), uniform(V, C).requires_grad_()
    targets = torch.randint(V, (rows,), device=DEVICE)
    advantages, old = (torch.randn(rows, device=DEVICE) for _ in range(2))

    def loss():
        logp = torch.log_softmax(F.linear(h, w).float(), -1)
        chosen = logp.gather(1, targets[:, None])[:, 0]
        ratio = torch.exp(chosen - old)
        surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
        entropy = -(logp.exp() * logp).sum(-1)
        return -(surrogate + 0.01 * entropy).mean()

    compiled = torch.compile(loss)
    return {
        "PyTorch": lambda: torch.autograd.grad(loss(), (h, w)),
        "PyTorch compiled": lambda: torch.autograd.grad(compiled(), (h, w)),
    }


MODELS = {
    "Qwen2.5-1.5B": dict(
        hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12,
        num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True,
    ),
    "Qwen2.5-7B": dict(
        hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
        num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False,
    ),
}
_model = (None, None)


def generate(model, batch, context):
    """Seconds of one decode step of transformers: two generations of different length, subtracted."""
    global _model
    from transformers import Qwen2Config, Qwen2ForCausalLM

    if _model[0] != model:
        _model = (None, None)
        torch.cuda.empty_cache()
        config = Qwen2Config(max_position_embeddings=16384, **MODELS[model])
        with torch.device(DEVICE):
            built = Qwen2ForCausalLM(config).to(DTYPE).eval()
        _model = (model, built)
    ids = torch.randint(1000, (batch, context), device=DEVICE)

    def run(new):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        _model[1].generate(
            ids, attention_mask=torch.ones_like(ids), min_new_tokens=new, max_new_tokens=new,
            do_sample=True, cache_implementation="static", pad_token_id=0,
        )
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000

    run(8)
    return (run(40) - run(8)) / 32


CASES = {
    f.__name__: f
    for f in (
        linear_forward, linear_backward_input, linear_backward_weight, attention_forward,
        attention_backward, attention_decode, ppo_loss,
    )
}


def main(path):
    with open(path) as file:
        content = json.load(file)
    print(f"\n{'op':34} {'shape':34} {'peer':18} peer's time over ours")
    for result in content["results"]:
        if "peer" not in result:
            continue
        arguments = dict(result["peer"])
        case = arguments.pop("case")
        try:
            if case == "generate":
                with torch.inference_mode():
                    times = {"transformers": generate(**arguments)}
            else:
                times = {name: seconds(call) for name, call in CASES[case](**arguments).items()}
        except torch.cuda.OutOfMemoryError:
            times = {}
        torch.cuda.empty_cache()
        result["peers"] = times
        for name, time in times.items():
            ratio = time / result["seconds"]
            print(f"{result['op']:34} {result['shape']:34} {name:18} {ratio:.2f}")
    content["torch"] = torch.__version__
    with open(path, "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
