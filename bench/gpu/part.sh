#!/usr/bin/env bash
# One part of bench/gpu.sh, with the variables that it exports: bench/gpu/part.sh PART. Adds its lines to
# $OUT/results.jsonl. Exit code 75: what the part needs is not there.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
results=$OUT/results.jsonl PART=$1

deno_run() { "$DENO" run -A --no-check --lock=bench/gpu/deno.lock "$@"; }
run_main() { deno_run bench/gpu/main.ts "$@" --device "$DEVICE" ${MICRO:+--micro} --append "$results"; }
lines() { wc -l <"$results"; }
# A fault of the device costs its case: another process goes on after it. So does a crash, which left no line;
# some are enough to believe that there will be no end of them.
measured() {
  local before skip=0 status=0 failed=0 crashes=0
  before=$(lines)
  while :; do
    run_main "$PART" --skip "$skip"
    status=$?
    [[ $status == 76 || $status -ge 128 ]] || return $((status || failed))
    if [[ $status != 76 ]]; then
      printf '{"part":"%s","op":"the process","shape":"case %d","error":"ended with exit code %d"}\n' \
        "$PART" $(($(lines) - before + 1)) $status | tee -a "$results"
      [[ $((++crashes)) -lt 5 ]] || return 1
    fi
    failed=1
    [[ $(($(lines) - before)) -gt $skip ]] || return 1
    skip=$(($(lines) - before))
  done
}
peers() {
  deno_run bench/gpu/main.ts cases ${MICRO:+--micro} >"$TEMP/cases.jsonl" || return 1
  if ! command -v "$PYTHON" >/dev/null; then
    printf 'skipped: there is no Python: %s\n' "$PYTHON"
    return 75
  fi
  "$PYTHON" bench/peers/gpu_peer.py "$1" "$TEMP/cases.jsonl" "$results"
}
# Every op once, under a tool of compute-sanitizer. The emulator's own checks are always on.
sanitized() {
  local status
  if [[ $DEVICE == emu ]]; then
    "$NATIVE/every_op"
  elif command -v compute-sanitizer >/dev/null; then
    compute-sanitizer --tool "$1" --error-exitcode 9 "$NATIVE/every_op" 2>&1 | tee "$TEMP/sanitizer"
    status=${PIPESTATUS[0]}
    [[ $status != 0 ]] || return 0
    grep -qiE 'device (is )?not supported|unsupported device|insufficient permission' "$TEMP/sanitizer" || return 1
    printf 'skipped: compute-sanitizer does not work on this device\n'
    return 75
  else
    printf 'skipped: compute-sanitizer is not on PATH\n'
    return 75
  fi
}

case $PART in
  probe) "$NATIVE/probe" | tee -a "$results" ;;
  kernels | decode) measured ;;
  train | exact | step | test) run_main "$PART" ;;
  peers-kernels | peers-decode) peers "${PART#peers-}" ;;
  memcheck | racecheck) sanitized "$PART" ;;
esac
