"""PyTorch on the GPU beside our kernels: the best it has for each case, chosen by name.

Usage: gpu_peer.py PART CASES RESULTS. CASES has a line of JSON for each case (`bench/gpu/main.ts cases`),
of which those of PART are run. A line for each peer is appended to RESULTS as soon as it is measured;
where RESULTS has our own time the ratio (the peer's time over ours) is printed. A peer that runs out of
memory, raises or takes too long is a line with an "error". Times come from CUDA events; calls shorter than
a millisecond are recorded into a CUDA graph first, as ours are.
"""

import contextlib
import json
import signal
import sys

try:
    import torch
    import torch.nn.functional as F
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError:
    torch = None

DEVICE = "cuda"
LIMIT = 90  # seconds of one peer, compilation included
SKIPPED = 75  # exit code: nothing could be done here, which is not a failure


def uniform(*shape):
    return torch.empty(shape, device=DEVICE, dtype=torch.bfloat16).uniform_(-0.05, 0.05)


def recorded(call, calls):
    """A graph of many calls; a call that cannot be recorded is launched again and again."""
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(calls):
                call()
        return graph.replay
    except RuntimeError:
        torch.cuda.synchronize()
        return lambda: [call() for _ in range(calls)]


def seconds(call, recordable, least=0.05):
    """Median over five rounds of the time of one call."""
    for _ in range(3):
        call()

    def once(run):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000

    one = once(call)
    calls = max(1, min(1000, int(least / one)))
    run = recorded(call, calls) if recordable and one < 1e-3 else lambda: [call() for _ in range(calls)]
    run()
    return sorted(once(run) / calls for _ in range(5))[2]


# A case is a generator of (name, call): tensors of a peer that has been timed are free before the next.


def products(call):
    """The same product by both of NVIDIA's libraries."""
    for library, name in (("cublaslt", "cuBLASLt"), ("cublas", "cuBLAS")):
        torch.backends.cuda.preferred_blas_library(library)
        yield name, call


def linear_forward(M, N, K):
    # Weights taken in turn from more bytes than the cache holds, as ours are in decoding.
    count = max(1, int(256e6 // (2 * N * K))) if M <= 256 else 1
    x, y, weights = uniform(M, K), uniform(M, N), [uniform(N, K) for _ in range(count)]
    turn = iter(range(10**9))
    yield from products(lambda: torch.mm(x, weights[next(turn) % count].t(), out=y))


def linear_backward_input(M, N, K):
    dy, w, dx = uniform(M, N), uniform(N, K), uniform(M, K)
    yield from products(lambda: torch.mm(dy, w, out=dx))


def linear_backward_weight(M, N, K):
    # Ours adds to float32 gradients. A bfloat16 result that is not added is less work; it is timed too.
    dy, x, dw = uniform(M, N), uniform(M, K), torch.zeros(N, K, device=DEVICE)
    for name, call in products(lambda: torch.addmm(dw, dy.t(), x, out_dtype=torch.float32, out=dw)):
        yield f"{name}, added in float32", call
    short = uniform(N, K)
    for name, call in products(lambda: torch.mm(dy.t(), x, out=short)):
        yield f"{name}, bfloat16 result", call


def attention(call, q, k, v):
    """FlashAttention and cuDNN; with repeated heads where a backend does not take groups of them."""
    for backend, name in (
        (SDPBackend.CUDNN_ATTENTION, "cuDNN"),
        (SDPBackend.FLASH_ATTENTION, "FlashAttention"),
    ):
        try:
            with sdpa_kernel(backend):
                F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
            keys = (k, v)
        except RuntimeError:
            repeats = q.shape[1] // k.shape[1]
            keys = [t.detach().repeat_interleave(repeats, 1).requires_grad_(t.requires_grad) for t in (k, v)]
            name += ", heads repeated"

        def run(backend=backend, keys=keys):
            with sdpa_kernel(backend):
                return call(q, *keys)

        yield name, run


def heads(batch, length, count, D):
    """(batch, count, length, D), stored token by token."""
    return uniform(batch, length, count, D).transpose(1, 2)


def causal(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])


def attention_forward(sequences, length, H, Hk, D):
    yield from attention(causal, *(heads(sequences, length, n, D) for n in (H, Hk, Hk)))


def attention_backward(sequences, length, H, Hk, D):
    q, k, v = (heads(sequences, length, n, D).requires_grad_() for n in (H, Hk, Hk))
    dout = torch.rand_like(q)
    kept = {}

    def backward(*inputs):
        # The backend is the one of the forward pass, which is not timed.
        if "out" not in kept:
            kept["out"] = causal(*inputs)
        return torch.autograd.grad(kept["out"], inputs, dout, retain_graph=True)

    for name, call in attention(backward, q, k, v):
        kept.clear()
        yield name, call


def attention_decode(batch, context, H, Hk, D):
    def last(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=q.shape[1] != k.shape[1])

    yield from attention(
        last, heads(batch, 1, H, D), *(heads(batch, context, Hk, D) for _ in range(2))
    )


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

    yield "PyTorch", lambda: torch.autograd.grad(loss(), (h, w))
    compiled = torch.compile(loss)
    yield "PyTorch compiled", lambda: torch.autograd.grad(compiled(), (h, w))


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


def model_of(name):
    """A model of random weights; one at a time is in memory."""
    global _model
    from transformers import Qwen2Config, Qwen2ForCausalLM

    if _model[0] != name:
        _model = (None, None)
        torch.cuda.empty_cache()
        config = Qwen2Config(max_position_embeddings=16384, **MODELS[name])
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device(DEVICE):
                _model = (name, Qwen2ForCausalLM(config).eval())
        finally:
            torch.set_default_dtype(torch.float32)
    return _model[1]


def generate(model, batch, context):
    """Seconds of one decode step of transformers: two generations of different length, subtracted."""
    lm = model_of(model)
    ids = torch.randint(1000, (batch, context), device=DEVICE)

    def run(new):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        lm.generate(
            ids, attention_mask=torch.ones_like(ids), min_new_tokens=new, max_new_tokens=new,
            do_sample=True, cache_implementation="static", disable_compile=True, pad_token_id=0,
        )
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000

    with torch.inference_mode():
        run(8)
        return (run(40) - run(8)) / 32


KERNELS = {
    f.__name__: f
    for f in (
        linear_forward, linear_backward_input, linear_backward_weight, attention_forward,
        attention_backward, attention_decode, ppo_loss,
    )
}


@contextlib.contextmanager
def limited():
    def stop(*_):
        raise TimeoutError(f"not through after {LIMIT} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)


def short(error):
    return f"{type(error).__name__}: {error}".split("\n")[0][:200]


def timed(peer):
    """(name, {"seconds"} or {"error"}) of each peer of a case."""
    arguments = dict(peer)
    case = arguments.pop("case")
    if case == "generate":
        try:
            with limited():
                result = {"seconds": generate(**arguments)}
        except Exception as error:
            result = {"error": short(error)}  # not the error itself, whose frames hold tensors
        yield "transformers", result
        return
    calls = KERNELS[case](**arguments)
    # A backward pass runs on the stream of its forward pass, which is not the one that records.
    recordable = case not in ("attention_backward", "ppo_loss")
    while True:
        name, call = case, None
        try:
            with limited():
                name, call = next(calls)
                result = {"seconds": seconds(call, recordable)}
        except StopIteration:
            return
        except Exception as error:
            result = {"error": short(error)}
        yield name, result


def rows(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n") and line.strip()]


def main(part, cases, results):
    ours = {
        (row["op"], row["shape"]): row["seconds"]
        for row in rows(results)
        if row.get("part") == part and "op" in row and "seconds" in row
    }
    with open(results, "a", buffering=1) as file:

        def write(**row):
            file.write(json.dumps({"part": f"peers-{part}", **row}) + "\n")

        if torch is None or not torch.cuda.is_available():
            why = "this Python has no torch" if torch is None else "this torch finds no GPU"
            write(skipped=why)
            print(f"skipped: {why}")
            sys.exit(SKIPPED)
        write(torch=torch.__version__)
        for case in rows(cases):
            if case["part"] != part:
                continue
            op, shape = case["op"], case["shape"]
            for name, result in timed(case["peer"]):
                write(op=op, shape=shape, peer=name, **result)
                text = f"ERROR: {result.get('error')}"
                if time := result.get("seconds"):
                    own = ours.get((op, shape))
                    text = f"{time * 1e6:10.1f} µs" + (f"  {time / own:.2f} of our time" if own else "")
                print(f"{op:32}  {shape:28}  {name:32}  {text}", flush=True)
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main(*sys.argv[1:])
