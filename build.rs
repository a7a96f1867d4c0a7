//! What Cargo.toml cannot say.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The page's program carries no names of functions: a quarter of its download. (A profile's `strip` does not
    // reach the linker for wasm.)
    println!("cargo::rustc-link-arg-bin=page=--strip-all");
    // Cargo compares times, not contents: where checkouts share one folder of build output, it would take an older
    // one for compiled already after a newer one was.
    println!("cargo::rerun-if-env-changed=SCOREFIELD_CHECKOUT");
}
