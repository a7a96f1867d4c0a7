#!/bin/sh
# What a graphics card says of the kernels: `scripts/card.sh pack` builds all that is needed into a folder, which is carried
# to a machine with a card; `FOLDER/card.sh` measures there, with no compiler and no network. See docs/CARD.md.
set -eu

pack() {
    cd "$(dirname "$0")/.."
    . scripts/env.sh
    to=${1:-$CARGO_TARGET_DIR/card}
    cargo build --release
    tests=$(cargo test --release --no-run --test tests 2>&1 | sed -n 's/.*Executable .*(\(.*\))$/\1/p')
    bench=$(cargo bench --no-run --bench bench 2>&1 | sed -n 's/.*Executable .*(\(.*\))$/\1/p')
    rm -rf "$to"
    mkdir -p "$to/data"
    strip -o "$to/scorefield" "$CARGO_TARGET_DIR/release/scorefield"
    strip -o "$to/tests" "$tests"
    strip -o "$to/bench" "$bench"
    cp scripts/card.sh "$to/"
    for set in ${SETS:-}; do cp -r "$set" "$to/data/"; done
    du -sh "$to"
}

# Each part has its time, and what it finds is written as it goes: a stop at any moment keeps it.
part() { # NAME SECONDS COMMAND...
    name=$1 seconds=$(($2 * ${SCALE:-100} / 100))
    shift 2
    case " ${PARTS:-$name} " in *" $name "*) ;; *) return 0 ;; esac
    begun=$(date +%s)
    timeout -k 5 "$seconds" "$@" >"$OUT/$name.log" 2>&1 && end=0 || end=$?
    echo "$name: $(($(date +%s) - begun)) s, exit status $end" | tee -a "$OUT/summary.txt"
}

adapter() {
    uname -a
    nvidia-smi 2>/dev/null || true
    "$here/scorefield" --version
}

# A process for each, so that one that takes the card down with it takes no other.
gpu_tests() {
    "$here/tests" --list 2>/dev/null | sed -n 's/^\[gpu\] \(.*\): test$/\1/p' >"$work/gpu-tests"
    xargs -P "${JOBS:-4}" -n 1 "$here/card.sh" one_test <"$work/gpu-tests" | sort >"$OUT/tests.txt"
    echo "$(grep -c '^ok' "$OUT/tests.txt") of $(wc -l <"$work/gpu-tests") tests passed"
    ! grep -v '^ok' "$OUT/tests.txt"
}

one_test() { # NAME
    if said=$(SCOREFIELD_FIGURES=1 "$here/tests" --exact "$1" 2>&1); then
        echo "ok $1"
    else
        echo "FAILED $1: $(echo "$said" | grep -v '^$' | tail -n 12 | tr '\n' ' ')"
    fi
}

bench() { # RESULTS PART...
    results=$OUT/$1
    shift
    SCOREFIELD_RESULTS=$results SCOREFIELD_PEERS=$work/peers "$here/bench" "$@"
}

# Its checkpoint is in the results as well.
train() { # DEVICE PRESET OPTION...
    device=$1 preset=$2
    shift 2
    SCOREFIELD_DATA=$here/data exec "$here/scorefield" train --preset "$preset" --device "$device" --out "$OUT/$preset-$device" "$@"
}

measure() {
    OUT=${OUT:-$here/out}
    work=$(mktemp -d)
    export OUT work
    mkdir -p "$OUT" "$work/peers/venv/bin"
    python=$(command -v python3 || true)
    peers=
    if [ -n "$python" ] && "$python" -c "import torch, safetensors" 2>/dev/null; then
        ln -s "$python" "$work/peers/venv/bin/python"
        peers=cuda
    fi
    part adapter 20 "$here/card.sh" adapter
    part tests 100 "$here/card.sh" gpu_tests
    # shellcheck disable=SC2086 # nothing where there is no PyTorch
    part networks 200 "$here/card.sh" bench networks.json gpu $peers
    part tuning 60 "$here/card.sh" bench tuning.json tuning
    part train 20 "$here/card.sh" train gpu mnist-vp --batch 256 --steps 100000
    part train-cpu 12 "$here/card.sh" train cpu mnist-vp --batch 256 --steps 100000
}

here=$(cd "$(dirname "$0")" && pwd)
case ${1:-measure} in
pack) shift && pack "$@" ;;
measure) measure ;;
adapter | gpu_tests | one_test | bench | train) "$@" ;;
*) echo "scorefield: usage: card.sh [pack [FOLDER] | measure]" >&2 && exit 2 ;;
esac
