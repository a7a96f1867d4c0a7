//! PyTorch on the same networks, by `tests/peers/peers.py`, which also writes the networks as ONNX files.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::networks::Network;
use crate::report::{Engine, Report};
use crate::timing::Timing;

/// What the script prints.
#[derive(Debug, Deserialize)]
struct Measured {
    version: String,
    threads: usize,
    results: Vec<Result>,
}

#[derive(Debug, Deserialize)]
struct Result {
    network: String,
    device: String,
    relative_error: f64,
    flops: f64,
    /// Seconds of single passes, by batch.
    forward: HashMap<usize, Vec<f64>>,
    /// Seconds of single steps.
    training: Vec<f64>,
}

pub fn run(peers: &Path, stage: &Path, networks: &[Network], report: &mut Report) {
    let batches: Vec<String> = networks.iter().map(|n| format!("{}={}", n.name, n.training_batch)).collect();
    let output = Command::new(peers.join("venv/bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/peers.py"))
        .arg(stage)
        .args(batches)
        .stderr(Stdio::inherit())
        .output()
        .expect("the peers' Python");
    assert!(output.status.success(), "PyTorch failed; its own words are above");
    let measured: Measured = serde_json::from_slice(&output.stdout).expect("what the script prints");
    report.fact("PyTorch", format!("{}, {} threads", measured.version, measured.threads));
    for result in measured.results {
        let engine = if result.device == "cpu" { Engine::TORCH_CPU } else { Engine::TORCH_CUDA };
        let network =
            networks.iter().find(|network| network.name == result.network).expect("a network of ours");
        // Its own count of operations, which leaves out nothing that ours counts.
        assert!((result.flops / network.flops - 1.0).abs() < 1e-6, "{}: {} FLOP", network.name, result.flops);
        report.agreed(engine, network, result.relative_error);
        report.forward(engine, network, |batch| Timing::of(result.forward[&batch].clone()));
        report.training(engine, network, Timing::of(result.training));
    }
}
