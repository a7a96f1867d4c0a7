//! What Cargo.toml cannot say.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The page's programs carry no names of functions: a quarter of its download. (A profile's `strip` does not
    // reach the linker for wasm.)
    println!("cargo::rustc-link-arg-bin=gpu=--strip-all");
    println!("cargo::rustc-link-arg-bin=cpu=--strip-all");
    // Cargo compares times, not contents: where checkouts share one folder of build output, it would take an older
    // one for compiled already after a newer one was.
    println!("cargo::rerun-if-env-changed=SCOREFIELD_CHECKOUT");
    println!("cargo::rustc-env=SCOREFIELD_REVISION={}", revision());
}

/// The version and, where this folder is a git checkout of its own, the commit; marked where files differ from it.
fn revision() -> String {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    // As a part of somebody else's repository it has no revision of its own.
    if git(&["rev-parse", "--show-cdup"]).as_deref() != Some("") {
        return version;
    }
    // Whatever moves the checkout adds a line to HEAD's log; the rest is what a build is made of.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists());
    for path in log.as_deref().into_iter().chain(["Cargo.toml", "Cargo.lock", "shaders", "src"]) {
        println!("cargo::rerun-if-changed={path}");
    }
    match git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]) {
        Some(commit) => format!("{version} {commit}"),
        None => version,
    }
}

/// What git says in this folder, if it is there and content.
fn git(arguments: &[&str]) -> Option<String> {
    // Somebody may be committing at the same time.
    let output = Command::new("git").arg("--no-optional-locks").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
