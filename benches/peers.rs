//! PyTorch on the same networks, by `tests/peers/peers.py`, which also writes the networks as ONNX files.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::networks::Network;
use crate::report::{Engine, Report};
use crate::timing::Timing;

/// What the script prints, a line each.
#[derive(Debug, Deserialize)]
struct Result {
    version: String,
    threads: usize,
    network: String,
    device: String,
    precision: String,
    compiled: bool,
    relative_error: f64,
    flops: f64,
    /// Seconds of single passes, by batch.
    forward: HashMap<usize, Vec<f64>>,
    /// Seconds of single steps, where they were measured.
    training: Option<Vec<f64>>,
}

/// PyTorch on `cpu`, or on `cuda` if it finds a card. The script is written to the stage, since the checkout may be far away;
/// so may the Python of `peers`.
pub fn run(peers: &Path, device: &str, stage: &Path, networks: &[Network], report: &mut Report) {
    const SCRIPT: &str = include_str!("../tests/peers/peers.py");
    let batches: Vec<String> = networks.iter().map(|n| format!("{}={}", n.name, n.training_batch)).collect();
    let script = stage.join("peers.py");
    fs::write(&script, SCRIPT).expect("a place for the script");
    let mut child = Command::new(peers.join("venv/bin/python"))
        .arg(script)
        .arg(stage)
        .arg(device)
        .args(batches)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the peers' Python");
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let result = serde_json::from_str(&line.expect("text")).expect("what the script prints");
        add(result, networks, report);
        report.save();
    }
    assert!(child.wait().expect("its end").success(), "PyTorch failed; its own words are above");
}

fn add(result: Result, networks: &[Network], report: &mut Report) {
    report.fact("PyTorch", format!("{}, {} threads", result.version, result.threads));
    let engine = match (&*result.device, result.compiled, &*result.precision) {
        ("cpu", ..) => Engine::TORCH_CPU,
        (_, false, "fp32") => Engine::TORCH_CUDA,
        (_, false, "tf32") => Engine::TORCH_TF32,
        (_, false, _) => Engine::TORCH_BF16,
        (_, true, "fp32") => Engine::COMPILED,
        (_, true, "tf32") => Engine::COMPILED_TF32,
        (_, true, _) => Engine::COMPILED_BF16,
    };
    let network = networks.iter().find(|network| network.name == result.network).expect("a network of ours");
    // Its own count of operations, which leaves out nothing that ours counts.
    assert!((result.flops / network.flops - 1.0).abs() < 1e-6, "{}: {} FLOP", network.name, result.flops);
    report.agreed(engine, network, result.relative_error);
    report.forward(engine, network, |batch| Timing::of(result.forward[&batch].clone()));
    if let Some(seconds) = result.training {
        report.training(engine, network, Timing::of(seconds));
    }
}
