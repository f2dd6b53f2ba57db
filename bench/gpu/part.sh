#!/usr/bin/env bash
# One part of bench/gpu.sh, with the variables that it exports: bench/gpu/part.sh PART. Adds its lines to
# $OUT/results.jsonl. Exit code 75: what the part needs is not there.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
results=$OUT/results.jsonl PART=$1

deno_run() { "$DENO" run -A --no-check --lock=bench/gpu/deno.lock "$@"; }
measured() { deno_run bench/gpu/main.ts "$1" --device "$DEVICE" ${MICRO:+--micro} --append "$results"; }
peers() {
  deno_run bench/gpu/main.ts cases ${MICRO:+--micro} >"$TEMP/cases.jsonl" || return 1
  if ! command -v "$PYTHON" >/dev/null; then
    printf 'skipped: there is no Python: %s\n' "$PYTHON"
    return 75
  fi
  "$PYTHON" bench/peers/gpu_peer.py "$1" "$TEMP/cases.jsonl" "$results"
}
# The tests of this device whose names match. Not files that start another Deno: it would look for
# every package of the whole project's lock. That no name matches would be a mistake here.
tests() {
  local files
  if [[ -n $MICRO ]]; then
    files=(tests/kernels/layers_test.ts tests/kernels/qk_norm_test.ts)
  else
    mapfile -t files < <(grep -L execPath tests/kernels/*_test.ts tests/ffi/*_test.ts)
  fi
  THINKER_TEST_BACKENDS=$DEVICE "$DENO" test -A --no-check --lock=bench/gpu/deno.lock --reporter=dot \
    --filter="/^$DEVICE.*$1/" "${files[@]}" | tee "$TEMP/tests" && grep -q '[1-9][0-9]* passed' "$TEMP/tests" && return
  # Each failed test and what it said.
  awk -v part="$PART" '
    /^ FAILURES/ { exit }
    / => / { name = $0; sub(/ => .*/, "", name) }
    /^error: / && name != "" {
      gsub(/[\\"]/, "\\\\&"); gsub(/[\\"]/, "\\\\&", name)
      printf "{\"part\":\"%s\",\"op\":\"%s\",\"shape\":\"\",\"error\":\"%s\"}\n", part, name, substr($0, 8)
      name = ""
    }' "$TEMP/tests" >>"$results"
  return 1
}
# Every op once, under a tool of compute-sanitizer. The emulator's own checks are always on.
sanitized() {
  if [[ $DEVICE == emu ]]; then
    "$NATIVE/every_op"
  elif command -v compute-sanitizer >/dev/null; then
    compute-sanitizer --tool "$1" --error-exitcode 9 "$NATIVE/every_op"
  else
    printf 'skipped: compute-sanitizer is not on PATH\n'
    return 75
  fi
}

case $PART in
  probe) "$NATIVE/probe" | tee -a "$results" ;;
  exact) tests '(bit|on-policy|order|threads|depend)' ;;
  train | kernels | decode | step) measured "$PART" ;;
  test) tests '' ;;
  peers-kernels | peers-decode) peers "${PART#peers-}" ;;
  memcheck | racecheck) sanitized "$PART" ;;
esac
