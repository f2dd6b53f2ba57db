#!/usr/bin/env bash
# Makes bench/gpu/bundle, with which bench/gpu.sh needs neither network nor compiler. Run it where there are
# both, and nvcc: bench/gpu/bundle.sh (DENO names another binary than `deno`).
#
# bundle.tar.xz holds Deno, the npm packages of the run's own lock (the project's names packages of tests that
# nobody runs there, 235 MB), and the native side for CUDA and for the emulator. `commit` and `files.sha256` say
# what it was made from.
set -euo pipefail
cd "$(dirname "$0")/../.."
DENO=${DENO:-deno} bundle=bench/gpu/bundle
entries=(bench/gpu/main.ts bench/gpu/native.ts bench/gpu/summary.ts tests/kernels/*_test.ts tests/ffi/*_test.ts)

staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
rm -rf $bundle
mkdir -p $bundle
DENO_DIR=$staging/deno_dir "$DENO" cache --lock=bench/gpu/deno.lock "${entries[@]}"
cp "$("$DENO" eval 'console.log(Deno.execPath())')" "$staging/deno"
native() { "$DENO" run -A --no-check --lock=bench/gpu/deno.lock bench/gpu/native.ts --device "$1" "$staging/$1"; }
native cuda
THINKER_MARCH=x86-64-v3 native emu
git ls-files -z | xargs -0 sha256sum >$bundle/files.sha256
git describe --always --dirty=+ >$bundle/commit
tar -C "$staging" -cf - . | xz -T0 -3 >$bundle/bundle.tar.xz
tree=$(git ls-files -z | xargs -0 cat | wc -c)
printf '%s: %d MB, and the tree has %d MB\n' $bundle/bundle.tar.xz $(($(stat -c %s $bundle/bundle.tar.xz) / 1000000)) $((tree / 1000000))
