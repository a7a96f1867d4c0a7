#!/bin/sh
# What a graphics card makes of the kernels (docs/CARD.md).
#
#   scripts/card.sh pack [FOLDER]   builds all that is needed into a folder, to be carried to a machine with a card
#   FOLDER/card.sh                  measures there, without a compiler or a network, and writes into $OUT [FOLDER/out]
#
# The most valuable comes first, each part has its time, and what it finds is written as it goes: a stop at any moment
# keeps it. SCALE=10 gives every part a tenth of its time, PARTS="tests tuning" runs these alone, DEVICE=cpu BATCH=8 trains
# where there is no card.
set -eu

pack() {
    cd "$(dirname "$0")/.."
    # shellcheck source=env.sh
    . scripts/env.sh
    to=${1:-$CARGO_TARGET_DIR/card}
    built() { sed -n 's/.*Executable .*(\(.*\))$/\1/p'; }
    cargo build --release
    tests=$(cargo test --release --no-run --test tests 2>&1 | built)
    bench=$(cargo bench --no-run --bench bench 2>&1 | built)
    rm -rf "$to"
    mkdir -p "$to/data"
    for program in "$CARGO_TARGET_DIR/release/scorefield" "$tests" "$bench"; do
        name=$(basename "$program")
        strip -o "$to/${name%-*}" "$program"
    done
    for set in ${SETS:-}; do cp -r "$set" "$to/data/"; done
    cp scripts/card.sh "$to/"
    echo "packed: $(du -sh "$to")"
}

# Runs a command for at most so long, its words in the report.
part() { # NAME SECONDS COMMAND...
    name=$1 seconds=$(($2 * ${SCALE:-100} / 100))
    shift 2
    case " ${PARTS:-$name} " in *" $name "*) ;; *) return 0 ;; esac
    echo "== $name, at most $seconds s"
    begun=$(date +%s)
    timeout -k 20 "$seconds" "$here/card.sh" "$@" 2>&1 && end=0 || end=$?
    echo "== $name: $(($(date +%s) - begun)) s, exit status $end (124: its time was up)"
}

adapter() {
    uname -sr
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv 2>/dev/null || true
    "$here/scorefield" --version
}

# Ours on the card, and PyTorch's where it is there.
networks() {
    torch=
    if python=$(command -v python3) && "$python" -c "import torch, safetensors"; then
        mkdir -p "$work/peers/venv/bin"
        printf '#!/bin/sh\nexec %s "$@"\n' "$python" >"$work/peers/venv/bin/python"
        chmod +x "$work/peers/venv/bin/python"
        torch=cuda
    fi
    # shellcheck disable=SC2086 # no word without PyTorch
    SCOREFIELD_RESULTS=$OUT/networks.json SCOREFIELD_PEERS=$work/peers exec "$here/bench" gpu $torch
}

tuning() {
    SCOREFIELD_RESULTS=$OUT/tuning.json exec "$here/bench" tuning
}

# A process for each, so that one that takes the card down with it takes no other.
gpu_tests() {
    "$here/tests" --list 2>/dev/null | sed -n 's/^\[gpu\] \(.*\): test$/\1/p' >"$work/gpu-tests"
    xargs -P "${JOBS:-4}" -n 1 "$here/card.sh" one_test <"$work/gpu-tests" >"$OUT/tests.txt"
    echo "$(grep -c '^ok' "$OUT/tests.txt") of $(wc -l <"$work/gpu-tests") tests passed"
    ! grep -v '^ok' "$OUT/tests.txt"
}

one_test() { # NAME
    if said=$(SCOREFIELD_FIGURES=1 "$here/tests" --exact "$1" 2>&1); then
        echo "ok $1: $(echo "$said" | sed -n 's/^ *figure: //p' | tr '\n' ';')"
    else
        echo "FAILED $1: $(echo "$said" | grep -v '^$' | tail -n 12 | tr '\n' ' ')"
    fi
}

# Presets at the same time, as a card has room for more than one small network.
training() { # SECONDS PRESET...
    seconds=$(($1 * ${SCALE:-100} / 100))
    shift
    trap : TERM # which ends the runs, not what is done with them
    for preset; do train "$preset" "$seconds" & done
    wait
    wait
}

# How many steps fit into the time is known after an eighth of it, and from then on the learning rate falls towards the
# last of them.
train() { # PRESET SECONDS
    preset=$1 seconds=$2 begun=$(date +%s) batch=${BATCH:-256}
    folder=$work/$preset
    "$here/scorefield" train --preset "$preset" --dry-run | sed "s/^batch = .*/batch = $batch/
        s/^checkpoint_every = .*/checkpoint_every = 2000/; s/^sample_every = .*/sample_every = 0/" >"$folder.toml"
    timeout "$((seconds / 8))" "$here/card.sh" run_train "$folder" --config "$folder.toml" --steps 1000000 || true
    cp "$folder/loss.csv" "$OUT/$preset.csv"
    last=$(tail -n 1 "$folder/loss.csv")
    step=${last%%,*} pace=$(echo "$last" | cut -d , -f 4)
    left=$((begun + seconds - $(date +%s)))
    steps=$((step + ${pace%%.*} * left * 85 / 100 / batch))
    echo "$preset: $step steps at $pace images/s; $steps in all"
    "$here/card.sh" run_train "$folder" --resume --steps "$steps" || true
    cp "$folder/loss.csv" "$OUT/$preset.csv"
    cp "$folder/$preset.safetensors" "$OUT/"
}

run_train() { # FOLDER OPTION...
    folder=$1
    shift
    SCOREFIELD_DATA=$here/data exec "$here/scorefield" train --device "${DEVICE:-gpu}" --out "$folder" "$@"
}

measure() {
    OUT=${OUT:-$here/out}
    work=$(mktemp -d)
    export OUT work
    mkdir -p "$OUT"
    # Without a display Mesa's Vulkan layer prints errors that are none.
    [ -n "${XDG_RUNTIME_DIR:-}${WAYLAND_DISPLAY:-}" ] || export WAYLAND_DISPLAY=/dev/null
    {
        part adapter 20 adapter
        part networks 110 networks
        part tuning 40 tuning
        part tests 250 gpu_tests &
        part training 415 training 405 mnist-vp mnist-class-vp
        wait
    } | tee "$OUT/report.log"
}

here=$(cd "$(dirname "$0")" && pwd)
case ${1:-measure} in
pack | measure | adapter | networks | tuning | gpu_tests | one_test | training | run_train) "${@:-measure}" ;;
*) echo "scorefield: usage: card.sh [pack [FOLDER] | measure]" >&2 && exit 2 ;;
esac
