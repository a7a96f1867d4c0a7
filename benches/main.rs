//! `make bench`: what the networks cost, natively and in a browser, beside the same networks in other engines.
//!
//! Every number is measured in this one run. The result is `benches/results.json` and, for people, `BENCHMARKS.md`.
//! Without a built page (`SCOREFIELD_DIST`) or without peers (`SCOREFIELD_PEERS`) those parts are left out. While working
//! on one part, name it (`cargo bench --bench bench -- browser`): the page for people is then printed, not written.

mod browser;
#[expect(dead_code, reason = "the browser tests use more of it")]
#[path = "../tests/browser/harness.rs"]
mod harness;
mod native;
mod networks;
mod peaks;
mod peers;
mod report;
#[expect(dead_code, reason = "the browser tests use more of it")]
#[path = "../tests/browser/site.rs"]
mod site;
#[expect(dead_code, unused_imports, unused_macros, reason = "the tests use more of it")]
#[path = "../tests/support.rs"]
mod support;
mod timing;

use std::path::{Path, PathBuf};

use report::Report;

/// Where the page finds the networks, and the peers find inputs and expected outputs.
const STAGE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/bench");

fn main() {
    let peers = std::env::var_os("SCOREFIELD_PEERS").map(PathBuf::from);
    let stage = Path::new(STAGE);
    let networks = networks::all();
    networks::stage(&networks, stage);

    // Cargo adds an option of its own.
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);

    let mut report = Report::begin();
    if wanted("native") {
        // As the program does: see `cli::main`.
        rayon::scope(|_| native::run(&networks, &mut report));
    }
    if let Some(peers) = peers.as_ref().filter(|_| wanted("pytorch")) {
        peers::run(peers, stage, &networks, &mut report);
    }
    if let Some(dist) = site::dist().filter(|_| wanted("browser")) {
        browser::run(&dist, stage, &networks, &mut report);
    }
    if let Some(peers) = peers.as_ref().filter(|_| wanted("onnxruntime")) {
        browser::onnxruntime(stage, peers, &networks, &mut report);
    }
    match parts.is_empty() {
        true => report.write(&networks, Path::new(env!("CARGO_MANIFEST_DIR"))),
        false => report.print(&networks),
    }
    report.assert_steady();
}
