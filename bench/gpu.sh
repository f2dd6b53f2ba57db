#!/usr/bin/env bash
# Everything that needs a GPU, on a machine that may have no network and little time:
#
#   bench/gpu.sh [--budget MINUTES] [--rehearse] [first|second|PART...]
#
# Parts run in the order of their value, each under a limit of its own; one that does not fit into what is
# left of the budget (default: none) is skipped, and says so.
#
# first, in 8 minutes or so:
#   probe          what the chip's instructions do: layouts, rounding, mma against wgmma; copy bandwidth
#   exact          bit-equality: rows, batches, tiles and orders, packed and paged, sampling and training
#   train          a short training run; every step's log-prob gap must be 0
#   kernels        each kernel's share of its bound
#   decode         decoding of random-weight 1.5B and 7B models
#   step           one whole PPO step at 1.5B
#   test           the op tests
# second, in 4 or so:
#   peers-kernels  cuBLASLt, cuDNN, FlashAttention and a PyTorch PPO loss at the sizes of `kernels`
#   peers-decode   transformers with a static cache
#   memcheck       every op once under compute-sanitizer
#   racecheck      the same, looking for races
#
# Results are appended to results.jsonl in $OUT (default: bench/results/gpu-<name>), a line for each case as
# soon as it is measured; log and summary.txt lie beside it. With a bundle (bench/gpu/bundle.sh) nothing else
# is needed; without one Deno (DENO names another binary than `deno`), nvcc and g++. Peers need Python with
# torch and transformers (PYTHON names another interpreter than `python3`), memcheck and racecheck
# compute-sanitizer. --rehearse runs everything on the emulator, at sizes of no interest. The exit code is 1
# if a part failed. docs/gpu.md says more.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

first=(probe exact train kernels decode step test)
second=(peers-kernels peers-decode memcheck racecheck)
# Seconds after which a part is stopped, and fewer than which it is not worth starting.
declare -A limit=([build]=600 [probe]=60 [exact]=150 [train]=120 [kernels]=120 [decode]=150 [step]=150 [test]=180
  [peers-kernels]=240 [peers-decode]=240 [memcheck]=120 [racecheck]=120)
declare -A least=([build]=30 [probe]=15 [exact]=40 [train]=40 [kernels]=30 [decode]=40 [step]=110 [test]=60
  [peers-kernels]=60 [peers-decode]=60 [memcheck]=20 [racecheck]=20)

fail() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

budget='' DEVICE=cuda MICRO='' parts=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --budget)
      [[ ${2:-} =~ ^[0-9]{1,5}$ ]] || fail "--budget: ${2:-nothing} is no number of minutes" 'for example --budget 8'
      budget=$2
      shift
      ;;
    --rehearse) DEVICE=emu MICRO=1 ;;
    first) parts+=("${first[@]}") ;;
    second) parts+=("${second[@]}") ;;
    *)
      [[ " ${first[*]} ${second[*]} " == *" $1 "* ]] || fail "$1 is no part" "first second ${first[*]} ${second[*]}"
      parts+=("$1")
      ;;
  esac
  shift
done
[[ ${#parts[@]} -gt 0 ]] || parts=("${first[@]}" "${second[@]}")

if [[ $DEVICE == emu ]]; then
  gpu='CUDA emulator' driver=none
else
  PATH=$PATH:/usr/local/nvidia/bin:/usr/local/cuda/bin # containers often leave these out
  command -v nvidia-smi >/dev/null || fail 'no CUDA device: no NVIDIA driver is installed' '--rehearse tries everything without one'
  found=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>&1) ||
    fail "no CUDA device: ${found%%$'\n'*}" "mend the driver"
  IFS=, read -r gpu driver <<<"$found"
  driver=${driver# }
fi
bundle=bench/gpu/bundle
# The folder may have been copied into another repository, or have none; then the bundle knows the commit.
if [[ $(git rev-parse --show-toplevel 2>/dev/null) == "$PWD" ]]; then
  commit=$(git describe --always --dirty=+)
elif [[ -f $bundle/commit ]]; then
  commit=$(<$bundle/commit)
  sha256sum --status -c $bundle/files.sha256 2>/dev/null || commit=${commit%+}+
else
  commit=unknown
fi
OUT=${OUT:-bench/results/gpu-${gpu// /-}}
mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd) && TEMP=$(mktemp -d) || exit 1
export DEVICE MICRO OUT TEMP NO_COLOR=1
DENO=${DENO:-deno} PYTHON=${PYTHON:-python3} NATIVE=$TEMP/native
begin=$SECONDS running='' unbuilt=''

# The log outlives a signal to the whole group, so that the summary is in it.
exec > >(trap '' TERM INT HUP; exec tee -a "$OUT/log") 2>&1
logger=$!
record() { printf '{"part":"%s",%s}\n' "$1" "$2" >>"$OUT/results.jsonl"; }
# What another run was writing when it was killed.
[[ -s $OUT/results.jsonl && -n $(tail -c 1 "$OUT/results.jsonl") ]] && sed -i '$d' "$OUT/results.jsonl"
date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
record run "\"gpu\":\"$gpu\",\"driver\":\"$driver\",\"commit\":\"$commit\",\"date\":\"$date\""
printf '%s, driver %s, commit %s, %s\n' "$gpu" "$driver" "$commit" "$date"

# The results are the truth; this is what they come to.
summarise() {
  timeout -k 1 10 "$DENO" run -A --no-check --lock=bench/gpu/deno.lock bench/gpu/summary.ts "$OUT/results.jsonl" \
    >"$OUT/summary.txt.new" 2>/dev/null && mv "$OUT/summary.txt.new" "$OUT/summary.txt"
}
# At the end, and whenever the run is cut off.
finish() {
  local status=$?
  [[ $BASHPID == "$$" ]] || exit # a copy of this shell, cut off before it became a part
  trap '' TERM INT HUP
  if [[ -n $running ]]; then
    if [[ $! != "$before" ]]; then # it has been started
      kill -TERM $! 2>/dev/null
      wait $!
      kill -KILL -- -$! 2>/dev/null # what is left of its group
    fi
    record "$running" '"result":"cut off"'
  fi
  if summarise; then
    printf '\n'
    cat "$OUT/summary.txt"
  else
    printf '\nno summary could be made of %s\n' "$OUT/results.jsonl"
  fi
  rm -rf "$TEMP"
  exec >&- 2>&-
  wait "$logger"
  exit $status
}
trap finish EXIT
trap 'exit 143' TERM HUP
trap 'exit 130' INT

failed=0
# run_part PART COMMAND...: the command under the part's limit, or under what is left of the budget. Its
# status is 1 if it was skipped.
run_part() {
  local part=$1 seconds=${limit[$1]} start=$SECONDS status result left why=$unbuilt
  shift
  if [[ -n $budget ]]; then
    left=$((60 * budget - (SECONDS - begin) - 5)) # some seconds are the summary's
    [[ $left -ge ${least[$part]} ]] || why="$((left > 0 ? left : 0)) s of the budget are left and it needs ${least[$part]}"
    [[ $left -ge $seconds ]] || seconds=$left
  fi
  if [[ -n $why ]]; then
    printf '\n== %s: skipped, %s\n' "$part" "$why"
    record "$part" "\"result\":\"skipped\",\"reason\":\"$why\""
    return 1
  fi
  running=$part before=$!
  printf '\n== %s, at most %d s\n' "$part" "$seconds"
  timeout -k 5 "$seconds" "$@" &
  wait $!
  status=$?
  running=''
  case $status in
    0) result=ok ;;
    75) result=skipped ;; # what the part needs is not there; it has said what
    124 | 137) result="stopped after $seconds s" failed=1 ;;
    *) result=FAILED failed=1 ;;
  esac
  record "$part" "\"result\":\"$result\",\"seconds\":$((SECONDS - start)),\"exit\":$status"
  summarise
  return 0
}

# Whether a program or library finds all that it is linked to. The loader itself is asked, as ldd would: there
# may be no ldd, and without this loader nothing of a bundle starts.
links() {
  local out
  out=$(/lib64/ld-linux-x86-64.so.2 --list "$1" 2>&1) && [[ $out != *'not found'* ]]
}
unpack() {
  if command -v xz >/dev/null; then
    tar -xJf "$1" -C "$2"
  else
    "$PYTHON" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$1" "$2"
  fi
}

if [[ -f $bundle/bundle.tar.xz ]]; then
  # What was compiled, and the packages.
  grep -E '  (kernels/|bench/gpu/probe/|bench/gpu/deno.lock|tests/kernels/emu/every_op)' $bundle/files.sha256 |
    sha256sum --quiet -c || fail 'the bundle was made from other sources' 'make it again: bench/gpu/bundle.sh'
  unpack $bundle/bundle.tar.xz "$TEMP" || fail 'the bundle cannot be unpacked' 'it needs xz, or Python 3'
  # Where the bundle's does not start, another Deno can still use its packages.
  "$TEMP/deno" --version >/dev/null 2>&1 && DENO=$TEMP/deno
  export DENO_DIR=$TEMP/deno_dir
fi
found=$("$DENO" --version 2>&1) || fail "Deno does not start: ${found%%$'\n'*}" 'make a bundle (docs/gpu.md), or name a binary with DENO'
export DENO PYTHON
if [[ -d $TEMP/$DEVICE ]] && links "$TEMP/$DEVICE/every_op" && links "$TEMP/$DEVICE/libthinker.so" &&
  links "$TEMP/$DEVICE/probe"; then
  NATIVE=$TEMP/$DEVICE
else
  if run_part build "$DENO" run -A --no-check --lock=bench/gpu/deno.lock bench/gpu/native.ts --device "$DEVICE" "$NATIVE"; then
    [[ -x $NATIVE/every_op ]] || fail 'there are no kernels to run' 'see what the build said'
  else
    unbuilt='its kernels are not built'
  fi
fi
export NATIVE THINKER_LIB=$NATIVE/libthinker.so
for part in "${parts[@]}"; do run_part "$part" bash bench/gpu/part.sh "$part"; done
exit $failed
