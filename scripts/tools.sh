#!/bin/sh
# Installs what is missing: the programs that build the page (`tools.sh page`), what the tests and checks need beside
# those (`tools.sh test`), what tests the tests (`tools.sh mutants`), or the engines of many machines (`tools.sh scale`).
set -eu
cd "$(dirname "$0")/.."
. scripts/env.sh

trunk_version=0.21.14
mutants_version=27.1.0
# wasm-bindgen's program and crate must be of the same version: the lock file knows it.
bindgen_version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/.*"\(.*\)"/\1/p;}' Cargo.lock)

have() { command -v "$1" >/dev/null 2>&1; }
one_of() { for name; do have "$name" && return; done; false; }
exists() { for file; do [ -e "$file" ] && return; done; false; }
stop() { echo "scorefield: $*" >&2; exit 1; }

# Debian packages
packages=
want() { packages="$packages $*"; }
one_of cc clang || want gcc libc6-dev
if [ "${1:-}" = test ]; then
    one_of "${CHROMIUM:-chromium}" chromium-browser google-chrome || want chromium
    have spirv-val || want spirv-tools
    if [ "$(uname)" = Linux ]; then
        exists /usr/lib/*/libvulkan.so.1 /usr/lib*/libvulkan.so.1 || want libvulkan1
        exists /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json || want mesa-vulkan-drivers
    fi
fi
if [ "${1:-}" = scale ]; then
    have mpicc || want libopenmpi-dev
    have mpirun || want openmpi-bin
    exists /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* || want libclang-dev
    have slurmctld || want slurm-wlm
    have munged || want munge
    have parallel || want parallel
    have python3 && python3 -c "import ensurepip" 2>/dev/null || want python3-venv
fi
if [ -n "$packages" ]; then
    root=sudo
    [ "$(id -u)" != 0 ] || root="env" # which changes nothing
    have apt-get || stop "there is no apt-get here; please install the equivalent of these Debian packages:$packages"
    have $root || stop "installing needs root, and there is no sudo; please run as root: apt-get install$packages"
    # shellcheck disable=SC2086 # a list of words
    { $root apt-get -q update && $root DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends $packages; } ||
        stop "apt-get could not install$packages (its own words are above; is there a network?)"
fi

# Rust's parts
have cargo || stop "there is no cargo here; please install Rust from https://rustup.rs"
rustup_add() { # KIND NAME
    have rustup || stop "Rust's $1 $2 is missing, and there is no rustup to add it; please install it"
    rustup "$1" add "$2" || stop "rustup could not add the $1 $2 (its own words are above; is there a network?)"
}
[ -d "$(rustc --print target-libdir --target wasm32-unknown-unknown)" ] || rustup_add target wasm32-unknown-unknown
if [ "${1:-}" = test ] || [ "${1:-}" = scale ]; then
    cargo fmt --version >/dev/null 2>&1 || rustup_add component rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup_add component clippy
fi

# Programs from crates.io
installed() { [ "$($1 --version 2>/dev/null | cut -d' ' -f2)" = "$2" ]; }
crate() { # PROGRAM CRATE VERSION [OPTION...]
    installed "$1" "$3" && return
    program=$1 name=$2 version=$3
    shift 3
    echo "scorefield: compiling $name $version into $tools, once; it takes minutes"
    # Their own target folder goes when they are done; ours stays free of their hundreds of crates.
    (unset CARGO_TARGET_DIR && cargo install -q --force --root "$tools" "$name" --version "$version" "$@") ||
        stop "cargo could not install $name $version (its own words are above; is there a network?)"
    installed "$program" "$version" || stop "$name $version was installed, but another is found first: $(command -v "${program%% *}")"
}
case ${1:-} in
page)
    (
        # A bundler gains nothing from the fat LTO of Trunk's own profile, which takes minutes.
        export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1
        # Without default features it has no TLS, so it cannot download tools behind our back.
        crate trunk trunk "$trunk_version" --locked --no-default-features
    )
    # Not --locked: its lock file may name a crate version that cannot be had.
    crate wasm-bindgen wasm-bindgen-cli "$bindgen_version"
    ;;
scale)
    validate=$cache/kubernetes
    [ -x "$validate/bin/kubernetes-validate" ] || {
        python3 -m venv "$validate" && "$validate/bin/pip" install -q "kubernetes-validate==1.37.0"
    } || stop "pip could not install kubernetes-validate (its own words are above; is there a network?)"
    ;;
mutants) crate "cargo mutants" cargo-mutants "$mutants_version" --locked ;;
esac
