//! A published network at its full size, `google/ddpm-cifar10-32` with random weights, beside `diffusers`, whose folder is
//! what is read here, and in Chromium beside onnxruntime-web; and NCSNv2's for CIFAR-10 by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use burn::module::Module;
use pollster::block_on;
use safetensors::tensor::SafeTensors;
use scorefield::device::{self, DeviceChoice};
use scorefield::network::layers::Init;
use scorefield::network::{Context, Network, NetworkConfig, RefineNetConfig};
use scorefield::rng::Noise;
use scorefield::training::TrainConfig;
use scorefield::weights::Architecture;
use scorefield::weights::import::Bundle;
use serde::{Deserialize, Serialize};

use crate::native::{resident_peak, step_of};
use crate::networks::{self, agree};
use crate::report::Report;
use crate::support::{tensor, values};
use crate::timing::{Timing, time_within};

/// What the script prints.
#[derive(Debug, Deserialize)]
struct Theirs {
    version: String,
    forward: BTreeMap<usize, Vec<f64>>,
    training: Vec<f64>,
    training_batch: usize,
    peak: f64,
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub struct Published {
    pub network: &'static str,
    pub what: String,
    pub device: &'static str,
    pub ours: Timing,
    /// The other program and what it takes.
    pub theirs: Option<(&'static str, Timing)>,
}

/// The name of its folder, of its file for the page and of the one for onnxruntime-web.
pub const DDPM: &str = "ddpm-cifar10-32";
const NCSNV2: &str = "ncsnv2, CIFAR-10";
const CPU: &str = "native CPU";
const DIFFUSERS: &str = "diffusers";

pub fn forward_of(batch: usize) -> String {
    format!("forward, batch {batch}")
}

pub fn run(peers: &Path, stage: &Path, report: &mut Report) {
    const SCRIPT: &str = include_str!("../tests/peers/published.py");
    let (script, folder) = (stage.join("published.py"), stage.join(DDPM));
    fs::write(&script, SCRIPT).expect("a place for the script");
    let output = Command::new(peers.join("venv/bin/python"))
        .args([&script, &folder])
        .stderr(Stdio::inherit())
        .output()
        .expect("the peers' Python");
    assert!(output.status.success(), "diffusers failed; its own words are above");
    let theirs: Theirs = serde_json::from_slice(&output.stdout).expect("what the script prints");
    report.fact("diffusers", theirs.version);

    let opened = block_on(device::open(DeviceChoice::Cpu)).expect("a CPU");
    let file = Bundle::open(&folder).and_then(|bundle| bundle.model()).expect("a published model");
    let Architecture::Score { network: config, .. } = file.card.architecture.clone() else { unreachable!() };
    let fresh = |config: &NetworkConfig| Network::new(config, 3, 3, &mut Init::new(0, &opened.device));
    networks::stage_model(&file.to_bytes().expect("finite weights"), &file.card, stage);
    let network = file.fill(fresh(&config)).expect("its own weights");
    let example = fs::read(folder.join("example.safetensors")).expect("an example");
    let example = SafeTensors::deserialize(&example).expect("an example");
    let numbers = |name: &str| -> Vec<f32> {
        let view = example.tensor(name).expect("a tensor of the example");
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
    };
    let forward = |network: &Network, x: &[f32]| {
        let x = tensor(x, [x.len() / 3072, 3, 32, 32], &opened.device);
        values(network.forward(x, &[500.0], Context::default()))
    };
    let error = agree(DDPM, &forward(&network, &numbers("x")), &numbers("y"));
    report.fact("ddpm-cifar10-32 agrees with diffusers to", format!("{error:.1e}"));
    let timed = |network: &Network, batch: usize| {
        let x = Noise::new(3).normal(0, batch, 3072);
        time_within(4.0, |n| {
            let begun = Instant::now();
            (0..n).for_each(|_| drop(forward(network, &x)));
            begun.elapsed().as_secs_f64()
        })
    };
    for (batch, seconds) in theirs.forward {
        let theirs = Some((DIFFUSERS, Timing::of(seconds)));
        let ours = timed(&network, batch);
        report.published(Published { network: DDPM, what: forward_of(batch), device: CPU, ours, theirs });
    }
    if let Some(peak) = resident_peak() {
        let megabytes = |bytes: f64| format!("{:.0} MB", bytes / 1e6);
        let fact = format!("{}, diffusers {}", megabytes(peak), megabytes(theirs.peak));
        report.fact("peak memory up to there", fact);
    }
    let weights = network.num_params();
    drop(network);
    let batch = theirs.training_batch;
    let config = TrainConfig { batch, network: config, muon: false, ..TrainConfig::default() };
    let ours = step_of(&config, [3, 32, 32], &opened.device, 8.0);
    let what = format!("training step, batch {batch}, of {weights} weights");
    let theirs = Some((DIFFUSERS, Timing::of(theirs.training)));
    report.published(Published { network: DDPM, what, device: CPU, ours, theirs });

    let ncsnv2 = fresh(&RefineNetConfig::ncsnv2().into());
    for batch in [1, 16] {
        let ours = timed(&ncsnv2, batch);
        report.published(Published {
            network: NCSNV2,
            what: forward_of(batch),
            device: CPU,
            ours,
            theirs: None,
        });
    }
}
