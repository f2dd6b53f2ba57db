#!/usr/bin/env bash
# Everything that needs a GPU, in parts of a few minutes: bench/gpu.sh PART...
#
#   build     kernels for sm_80 and sm_90a; registers and spills against the committed report
#   test      the op tests on backend cuda
#   sanitize  compute-sanitizer, memcheck and racecheck, on small shapes
#   exact     bit-equality: rows, batches, tiles and orders, packed and paged, sampling and training
#   train     a tiny training run; every step's log-prob gap must be 0
#   kernels   each kernel's share of its bound, beside cuBLAS, SDPA and a PyTorch PPO loss
#   decode    decoding of random-weight 1.5B and 7B models, beside transformers with a static cache
#   step      one whole PPO step at 1.5B
#
# Without arguments: all of them in this order. Needs CUDA's nvcc (and compute-sanitizer for `sanitize`),
# Deno (DENO names another binary than `deno`), and for the peers Python with torch and transformers
# (PYTHON names another interpreter than `python3`). The last lines are one short table; results are kept
# in bench/results with the GPU's name.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
DENO=${DENO:-deno} PYTHON=${PYTHON:-python3}
parts=(build test sanitize exact train kernels decode step)
small=(tests/kernels/linear_test.ts tests/kernels/layers_test.ts tests/kernels/attention_test.ts
  tests/kernels/paged_attention_test.ts tests/kernels/losses_test.ts tests/kernels/optimizer_test.ts)
summary=()

gpu_name() { nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1 | tr -cs '[:alnum:]\n' - | sed 's/-*$//'; }
task() { "$DENO" task "$@"; }
tests() { THINKER_TEST_BACKENDS=cuda "$DENO" test -A "$@"; }

part_build() { task build --device cuda && task kernels:report; }
part_test() { THINKER_TEST_BACKENDS=cuda task test tests/kernels tests/ffi; }
part_sanitize() {
  local tool status=0
  for tool in memcheck racecheck; do
    THINKER_TEST_BACKENDS=cuda compute-sanitizer --tool "$tool" --error-exitcode 9 --target-processes all \
      "$DENO" test -A "${small[@]}" || status=1
  done
  return $status
}
part_exact() { tests --filter='/bit|on-policy|order|threads|depend/' tests/kernels; }
part_train() {
  local out gap
  out=$(mktemp -d)/run
  task train --device cuda --steps 5 --out "$out" || return 1
  gap=$("$DENO" eval 'const lines = Deno.readTextFileSync(Deno.args[0]).trim().split("\n").map((l) => JSON.parse(l));
    const gaps = lines.flatMap((l) => l["rollout/logprob_gap_max"] ?? []);
    console.log(gaps.length > 0 && gaps.every((g) => g === 0) ? "0" : gaps.join(" ") || "missing");' "$out/metrics.jsonl")
  printf 'log-prob gap of every step: %s\n' "$gap"
  [[ $gap == 0 ]]
}
# A part that is measured: our numbers, then the peer's beside them where there is Python.
measured() {
  local part=$1 out
  out=bench/results/gpu-$(gpu_name)-$part.json
  "$DENO" run -A bench/gpu/main.ts "$part" --out "$out" || return 1
  if [[ $part != step ]] && "$PYTHON" -c 'import torch' 2>/dev/null; then
    "$PYTHON" bench/peers/gpu_peer.py "$out"
  fi
}
part_kernels() { measured kernels; }
part_decode() { measured decode; }
part_step() { measured step; }

[[ $# -gt 0 ]] || set -- "${parts[@]}"
for part in "$@"; do
  if [[ " ${parts[*]} " != *" $part "* ]]; then
    printf 'error: %s is no part\nhint: %s\n' "$part" "${parts[*]}" >&2
    exit 1
  fi
done
if ! command -v nvidia-smi >/dev/null; then
  printf 'error: no CUDA device: no NVIDIA driver is installed\n' >&2
  exit 1
fi
failed=0
for part in "$@"; do
  printf '\n== %s\n' "$part"
  begin=$SECONDS result=ok
  "part_$part" || { result=FAILED failed=1; }
  summary+=("$(printf '%-9s %-6s %4d s' "$part" "$result" $((SECONDS - begin)))")
done
printf '\n%s, commit %s\n' "$(gpu_name)" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
printf '%s\n' "${summary[@]}"
exit $failed
