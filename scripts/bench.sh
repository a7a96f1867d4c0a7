#!/bin/sh
# Measures everything in one go, into benches/results.json and BENCHMARKS.md: on a quiet machine, please.
# `bench.sh peers` measures onnxruntime-web and PyTorch too, and installs them first.
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh

scripts/tools.sh test
make build
mkdir -p "$CARGO_TARGET_DIR/tmp/bench"
rustc --edition 2024 --target wasm32-unknown-unknown --crate-type cdylib -C opt-level=3 -C target-feature=+simd128 \
    -o "$CARGO_TARGET_DIR/tmp/bench/fma.wasm" benches/page/fma.rs

if [ "${1:-}" = peers ]; then
    export SCOREFIELD_PEERS="$cache/peers"
    mkdir -p "$SCOREFIELD_PEERS"
    cp tests/peers/package.json tests/peers/package-lock.json "$SCOREFIELD_PEERS/"
    npm ci --prefix "$SCOREFIELD_PEERS" --ignore-scripts --no-audit --no-fund
    [ -d "$SCOREFIELD_PEERS/venv" ] || python3 -m venv "$SCOREFIELD_PEERS/venv"
    "$SCOREFIELD_PEERS/venv/bin/pip" install -q -r tests/peers/requirements.txt
fi
cargo bench --bench bench --no-run

# What has just been built has made the machine busy, and its load falls slowly.
for _ in $(seq 60); do
    awk '$1 < 0.5 { exit 1 }' /proc/loadavg 2>/dev/null || break
    sleep 5
done
SCOREFIELD_DIST="$PWD/dist" cargo bench --bench bench
