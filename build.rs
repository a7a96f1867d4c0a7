//! The page's program carries no names of functions: a quarter of its download. (A profile's `strip` does not reach
//! the linker for wasm.)

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bin=page=--strip-all");
}
