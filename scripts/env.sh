# shellcheck shell=sh
# Sourced, from the repository root, by the Makefile and the other scripts: where tools and build output live.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/scorefield
# Outside the checkout, so that a fresh clone builds on what an older one compiled.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
tools=$cache/tools
export PATH="$tools/bin:$PATH"
# RUSTFLAGS in the environment would replace those of .cargo/config.toml, and with them the wasm SIMD.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
# Without a display Mesa's Vulkan layer prints errors that are none (src/main.rs).
[ -n "${XDG_RUNTIME_DIR:-}${WAYLAND_DISPLAY:-}" ] || export WAYLAND_DISPLAY=/dev/null
