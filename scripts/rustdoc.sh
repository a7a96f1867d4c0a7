#!/bin/sh
# Stands in for rustdoc where `cargo test --doc` calls it: documents the crate with the dependencies that the tests
# have compiled, with every warning an error, and runs no doctest. `cargo doc` would first check all of them, for minutes.
set -eu

before=
for argument; do
    shift
    case "$before $argument" in
        *" --test" | *--test-run-directory*) ;;
        *) set -- "$@" "$argument" ;;
    esac
    before=$argument
done
exec rustdoc "$@" -D warnings --out-dir "$CARGO_TARGET_DIR/doc"
