//! The networks in this process: burn-flex on the CPU, and the GPU that wgpu finds.

use std::time::Instant;

use burn::tensor::Device;
use pollster::block_on;
use scorefield::data::ImageSet;
use scorefield::device::{self, DeviceChoice};
use scorefield::model::ScoreModel;
use scorefield::rng::Noise;
use scorefield::sampler::{Run, Sampler};
use scorefield::training::{Batches, Problem, TrainConfig, Trainer};

use crate::networks::Network;
use crate::peaks;
use crate::report::{Engine, Report};
use crate::support::{cpu, values};
use crate::timing::time;

pub fn run(networks: &[Network], report: &mut Report) {
    let opened = block_on(device::open(DeviceChoice::Cpu)).expect("a CPU");
    report.engine(Engine::NATIVE_CPU, &opened.name, peaks::cpu());
    for network in networks {
        forward(network, &opened.device, Engine::NATIVE_CPU, report);
        train(network, report);
    }
    let Ok(opened) = block_on(device::open(DeviceChoice::Gpu)) else {
        return eprintln!("no native GPU: wgpu finds no adapter");
    };
    report.engine(Engine::NATIVE_GPU, &opened.name, peaks::gpu());
    for network in networks {
        let found = first_estimate(network, &opened.device);
        report.same(Engine::NATIVE_GPU, network, &found, &first_estimate(network, &cpu()));
        forward(network, &opened.device, Engine::NATIVE_GPU, report);
    }
}

fn forward(network: &Network, device: &Device, engine: Engine, report: &mut Report) {
    let model = network.score_model(device);
    report.forward(engine, network, |batch| time(|nfe| sample(&model, batch, nfe).0));
}

/// Images by Heun's method in `nfe` evaluations, an odd number: the seconds and the images.
fn sample(model: &ScoreModel, batch: usize, nfe: usize) -> (f64, Vec<f32>) {
    let options = serde_json::json!({"n_steps": nfe.div_ceil(2)});
    let sampler =
        Sampler::with_options("heun", options.as_object().expect("an object")).expect("its options");
    let begun = Instant::now();
    let solution =
        block_on(sampler.sample(model, &Noise::new(7), batch, &mut Run::default())).expect("finite images");
    assert_eq!(solution.nfe, nfe);
    let images = values(solution.images);
    (begun.elapsed().as_secs_f64(), images)
}

/// Two images in one evaluation: the network's output, preconditioned. What devices have to agree on.
pub fn first_estimate(network: &Network, device: &Device) -> Vec<f32> {
    sample(&network.score_model(device), 2, 1).1
}

fn train(network: &Network, report: &mut Report) {
    let [channels, height, width] = network.shape;
    let n = 2 * network.training_batch;
    let pixels = Noise::new(1).uniform(0, n, channels * height * width);
    let images = ImageSet {
        name: "noise".into(),
        licence: "none".into(),
        channels,
        height,
        width,
        pixels: pixels.into_iter().map(|u| (255.0 * u) as u8).collect(),
        labels: None,
    };
    let batch = network.training_batch;
    let config = TrainConfig { batch, network: network.config.clone(), ..TrainConfig::default() };
    let mut trainer = Trainer::new(&config, Problem::measure(&config, &images), &cpu());
    let mut batches = Batches::new(&images, 0, batch, false);
    let timing = time(|steps| {
        let begun = Instant::now();
        for _ in 0..steps {
            block_on(trainer.step(&mut batches)).expect("a finite loss");
        }
        begun.elapsed().as_secs_f64()
    });
    report.training(Engine::NATIVE_CPU, network, timing);
}
