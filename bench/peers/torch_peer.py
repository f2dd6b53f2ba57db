"""PyTorch on the CPU, timed on request: the other side of compare.ts.

Reads one JSON object a line and answers each with one line of JSON: {"case": NAME, ...} sets a case up
and answers {"calls": N}; {"round": true} answers the seconds of one call. Ends with its input.
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F


def cold(pool_bytes, make):
    """Copies of tensors from `make` (a tuple each) that fill the pool, taken in turn without end."""
    first = make()
    size = sum(t.numel() * 4 for t in first)
    copies = [first] + [make() for _ in range(max(1, int(pool_bytes / size)) - 1)]
    index = -1

    def take():
        nonlocal index
        index = (index + 1) % len(copies)
        return copies[index]

    return take


def uniform(*shape):
    return torch.empty(shape).uniform_(-0.05, 0.05)


def linear_forward(M, N, K, pool):
    x = uniform(M, K)
    weights = cold(pool, lambda: (uniform(N, K),))
    return lambda: F.linear(x, weights()[0])


def linear_backward_input(M, N, K, pool):
    dy, w, dx = uniform(M, N), uniform(N, K), torch.empty(M, K)
    return lambda: torch.mm(dy, w, out=dx)


def linear_backward_weight(M, N, K, pool):
    dy, x, dw = uniform(M, N), uniform(M, K), torch.zeros(N, K)
    return lambda: dw.addmm_(dy.t(), x)


def causal_inputs(sequences, length, H, Hk, D):
    """q, k, v (B, H, T, D), keys and values repeated beforehand: the fastest call that was found."""
    q = uniform(sequences, H, length, D)
    k, v = (uniform(sequences, Hk, length, D).repeat_interleave(H // Hk, 1) for _ in range(2))
    return q, k, v


def attention_forward(sequences, length, H, Hk, D, pool):
    q, k, v = causal_inputs(sequences, length, H, Hk, D)
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)


def attention_backward(sequences, length, H, Hk, D, pool):
    with torch.inference_mode(False), torch.enable_grad():
        inputs = [t.clone().requires_grad_() for t in causal_inputs(sequences, length, H, Hk, D)]
        out = F.scaled_dot_product_attention(*inputs, is_causal=True)
        dout = torch.rand_like(out)
    return lambda: torch.autograd.grad(out, inputs, dout, retain_graph=True)


def attention_decode(batch, context, H, Hk, D, pool):
    q = uniform(batch, H, 1, D)
    take = cold(pool, lambda: tuple(uniform(batch, Hk, context, D) for _ in range(2)))

    def call():
        k, v = take()
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    return call


def adamw(n, pool):
    with torch.inference_mode(False):
        p = uniform(n).requires_grad_()
        p.grad = uniform(n)
        optimizer = torch.optim.AdamW([p], lr=1e-6, betas=(0.9, 0.95), weight_decay=0, fused=True)
    return optimizer.step


class Model(torch.nn.Module):
    """The Qwen2 architecture with fused projections and a static KV cache."""

    def __init__(self, hidden, ffn, layers, heads, kvHeads, headDim, vocab, maxPositions, **_):
        super().__init__()
        self.heads, self.kv_heads, self.dim, self.layers = heads, kvHeads, headDim, layers
        wide = (heads + 2 * kvHeads) * headDim

        def matrix(*shape):
            return torch.nn.Parameter(uniform(*shape))

        def ones():
            return torch.nn.Parameter(torch.ones(hidden))

        self.embedding = matrix(vocab, hidden)
        self.final_norm = ones()
        per_layer = [
            dict(
                norm1=ones(), qkv=matrix(wide, hidden), bias=matrix(wide),
                out=matrix(hidden, heads * headDim), norm2=ones(),
                gate_up=matrix(2 * ffn, hidden), down=matrix(hidden, ffn),
            )
            for _ in range(layers)
        ]
        self.blocks = torch.nn.ModuleList(torch.nn.ParameterDict(d) for d in per_layer)
        angles = torch.arange(maxPositions)[:, None] * 1e6 ** (
            -torch.arange(0, headDim, 2) / headDim
        )
        self.register_buffer("cos", torch.cos(angles).repeat(1, 2))
        self.register_buffer("sin", torch.sin(angles).repeat(1, 2))

    def rotate(self, x, cos, sin):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat((-b, a), -1) * sin

    def forward(self, ids, cache=None, position=0):
        """ids (B, T); with a cache (L, 2, B, Hk, P, D), T = 1 and `position` is the token's place."""
        B, T = ids.shape
        x = F.embedding(ids, self.embedding)
        cos, sin = self.cos[position : position + T], self.sin[position : position + T]
        splits = [self.heads, self.kv_heads, self.kv_heads]
        for l, w in enumerate(self.blocks):
            h = F.rms_norm(x, x.shape[-1:], w["norm1"], 1e-6)
            qkv = F.linear(h, w["qkv"], w["bias"]).view(B, T, -1, self.dim).transpose(1, 2)
            q, k, v = qkv.split(splits, 1)
            q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
            if cache is not None:
                cache[l, 0, :, :, position : position + T] = k
                cache[l, 1, :, :, position : position + T] = v
                k, v = cache[l, :, :, :, : position + T]
            a = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1, enable_gqa=True)
            x = x + F.linear(a.transpose(1, 2).reshape(B, T, -1), w["out"])
            h = F.rms_norm(x, x.shape[-1:], w["norm2"], 1e-6)
            gate, up = F.linear(h, w["gate_up"]).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, w["down"])
        return F.rms_norm(x, x.shape[-1:], self.final_norm, 1e-6)


def decode(config, batch, context, pool):
    """One step: the model, the distribution, a sample and its log-probability."""
    model = Model(**config)
    ids = torch.arange(batch)[:, None] % config["vocab"]
    shape = (config["layers"], 2, batch, config["kvHeads"], context + 1, config["headDim"])
    cache = uniform(*shape)

    def call():
        hidden = model(ids, cache, context)
        logp = F.log_softmax(F.linear(hidden[:, 0], model.embedding), -1)
        token = torch.multinomial(logp.exp(), 1)
        return token, logp.gather(1, token)

    return call


def training(config, sequences, length, pool):
    """One update: forward, cross-entropy of every next token, backward, AdamW."""
    with torch.inference_mode(False):
        model = Model(**config)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=1e-6, betas=(0.9, 0.95), weight_decay=0, fused=True
        )
        ids = (torch.arange(sequences * length) * 7919 % config["vocab"]).view(sequences, length)

    def call():
        with torch.inference_mode(False), torch.enable_grad():
            hidden = model(ids)[:, :-1]
            logits = F.linear(hidden, model.embedding)
            F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return call


CASES = {
    f.__name__: f
    for f in (
        linear_forward, linear_backward_input, linear_backward_weight, attention_forward,
        attention_backward, attention_decode, adamw, decode, training,
    )
}


def timed(call, calls):
    """Seconds of one call: CPU time with one thread, as bench/clock.ts has it on the other side."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    begin = clock()
    for _ in range(calls):
        call()
    return (clock() - begin) / calls


def main():
    call, calls = None, 1
    for line in sys.stdin:
        request = json.loads(line)
        if "hello" in request:
            torch.set_num_threads(request["threads"])
            answer = {"torch": torch.__version__}
        elif "case" in request:
            call = None  # frees the case before
            seconds = request.pop("seconds")
            call = CASES[request.pop("case")](**request)
            timed(call, 1)
            calls = max(1, math.ceil(seconds / timed(call, 1)))
            answer = {"calls": calls}
        else:
            answer = timed(call, calls)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
