//! `make bench`: what the networks cost, natively and in a browser, beside the same networks in other engines.
//!
//! Every number is measured in this one run. The result is `benches/results.json` and, for people, `BENCHMARKS.md`.
//! Without a built page (`SCOREFIELD_DIST`) or without peers (`SCOREFIELD_PEERS`) those parts are left out. While working
//! on one part, name it (`cargo bench --bench bench -- browser`): the page for people is then printed, not written.
//! `scripts/card.sh` runs this program far from where it was built. It then writes one file, that of
//! `SCOREFIELD_RESULTS`, after every number, so that what was found outlasts a stop.

mod browser;
#[expect(dead_code, reason = "the browser tests use more of it")]
#[path = "../tests/browser/harness.rs"]
mod harness;
mod native;
mod networks;
mod peaks;
mod peers;
mod published;
mod report;
#[expect(dead_code, reason = "the browser tests use more of it")]
#[path = "../tests/browser/site.rs"]
mod site;
#[expect(dead_code, unused_imports, unused_macros, reason = "the tests use more of it")]
#[path = "../tests/support.rs"]
mod support;
mod timing;
mod tuning;

use std::path::{Path, PathBuf};

use report::Report;

/// Where the page finds the networks, and the peers find inputs and expected outputs.
const STAGE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/bench");
/// Where the results belong in the checkout.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn main() {
    let peers = std::env::var_os("SCOREFIELD_PEERS").map(PathBuf::from);
    let away = std::env::var_os("SCOREFIELD_RESULTS").map(PathBuf::from);
    let stage = match &away {
        Some(_) => std::env::temp_dir().join("scorefield-bench"),
        None => STAGE.into(),
    };
    let networks = networks::all();
    networks::stage(&networks, &stage);

    // Cargo adds an option of its own.
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);

    let mut report = Report::begin(away.clone());
    // As the program does: see `cli::main`.
    if wanted("cpu") {
        rayon::scope(|_| native::cpu(&networks, &mut report));
    }
    if wanted("gpu") {
        rayon::scope(|_| native::gpu(&networks, &mut report));
    }
    for (part, device) in [("pytorch", "cpu"), ("cuda", "cuda")] {
        if let Some(peers) = peers.as_ref().filter(|_| wanted(part)) {
            peers::run(peers, device, &stage, &networks, &mut report);
        }
    }
    if let Some(peers) = peers.as_ref().filter(|_| wanted("published")) {
        rayon::scope(|_| published::run(peers, &stage, &mut report));
        if let Some(dist) = site::dist() {
            browser::published(&dist, &stage, peers, &mut report);
        }
    }
    if let Some(dist) = site::dist().filter(|_| wanted("browser")) {
        browser::run(&dist, &stage, &networks, &mut report);
    }
    if let Some(peers) = peers.as_ref().filter(|_| wanted("onnxruntime")) {
        browser::onnxruntime(&stage, peers, &networks, &mut report);
    }
    // Not among the parts of a whole run: it answers what the kernels should be, not what they are.
    if parts.iter().any(|part| part == "tuning") {
        tuning::run(&networks, &mut report);
    }
    match (away, parts.is_empty()) {
        (Some(_), _) => report.save(),
        (None, true) => report.write(&networks, Path::new(ROOT)),
        (None, false) => report.print(&networks),
    }
    report.assert_steady();
}
