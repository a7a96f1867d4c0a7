#!/bin/sh
# All that has to hold, in stages: `test.sh` runs every one, `test.sh fmt clippy` those named.
# It stops at the first that fails, and ends with a table of what each took.
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh

all="tools fmt clippy clippy-wasm doc units doctests tests page browser"
wanted=${*:-$all}
for name in $wanted; do
    case " $all " in *" $name "*) ;; *) echo "there is no stage $name; the stages are: $all" >&2 && exit 2 ;; esac
done

table=
summary() {
    printf '\n%-14s%8s\n%b%-14s%8d\n' stage seconds "$table" total "$(($(date +%s) - began))"
}
began=$(date +%s)
trap summary EXIT

stage() { # NAME COMMAND...
    name=$1
    shift
    case " $wanted " in *" $name "*) ;; *) return 0 ;; esac
    printf '\n== %s: %s\n' "$name" "$*"
    start=$(date +%s)
    status=0
    "$@" || status=$?
    word=
    [ $status = 0 ] || word="  failed"
    line=$(printf '%-14s%8d%s' "$name" "$(($(date +%s) - start))" "$word")
    echo "$line"
    table="$table$line\n"
    [ $status = 0 ] || exit $status
}

stage tools scripts/tools.sh test
stage fmt cargo fmt --check
# Clippy lints while it builds; `cargo clippy` would check all dependencies first, in a pass that no build can use. Here they
# are compiled as the tests need them, and this package alone once more, quickly: its unit and documentation tests run so.
quick() { # SUBCOMMAND OPTION...
    subcommand=$1
    shift
    RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS="-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__" \
        cargo "$subcommand" --locked --release --config profile.release.package.scorefield.opt-level=0 "$@"
}
rustdoc() { RUSTDOC="$PWD/scripts/rustdoc.sh" quick test --doc; }

stage clippy quick build --all-targets
wasm() { # PROGRAM...: the page's programs, each with its own features
    for program; do
        cargo clippy --locked --release --lib --bin "$program" --no-default-features --features "page-$program" \
            --target wasm32-unknown-unknown -- -D warnings || return
    done
}
stage clippy-wasm wasm gpu cpu
stage doc rustdoc
stage units quick test --lib
stage doctests quick test --doc
stage tests cargo test --locked --release --test tests
# Trunk and wasm-bindgen are compiled no earlier than here: nothing before needs them.
stage page make build
# They were ignored above: there was no page yet.
export SCOREFIELD_DIST=dist
stage browser cargo test --locked --release --test tests -- --test-threads 2 browser::
