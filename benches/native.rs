//! The networks in this process: burn-flex on the CPU, and the GPU that wgpu finds.

use std::fs;
use std::time::Instant;

use burn::tensor::Device;
use pollster::block_on;
use scorefield::device::{self, DeviceChoice, Opened};
use scorefield::images::ImageSet;
use scorefield::model::ScoreModel;
use scorefield::network::UNetConfig;
use scorefield::ops::conv;
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use scorefield::training::{Batches, ScoreLesson, TrainConfig, Trainer};

use crate::networks::Network;
use crate::peaks;
use crate::report::{Engine, Report, is_software};
use crate::support::{self, tensor, values};
use crate::timing::{Timing, time, time_within};

pub fn cpu(networks: &[Network], report: &mut Report) {
    let opened = block_on(device::open(DeviceChoice::Cpu)).expect("a CPU");
    report.engine(Engine::NATIVE_CPU, &opened.name, peaks::cpu());
    for network in networks {
        forward(network, &opened.device, Engine::NATIVE_CPU, report);
        train(network, &opened.device, Engine::NATIVE_CPU, report);
    }
    convolutions(&opened, Engine::NATIVE_CPU, report);
    training_memory(report);
}

pub fn gpu(networks: &[Network], report: &mut Report) {
    let Ok(opened) = block_on(device::open(DeviceChoice::Gpu)) else {
        return eprintln!("no native GPU: wgpu finds no adapter");
    };
    report.engine(Engine::NATIVE_GPU, &opened.name, peaks::gpu(&opened.device));
    for network in networks {
        let found = first_estimate(&network.score_model(&opened.device));
        report.same(
            Engine::NATIVE_GPU,
            network,
            &found,
            &first_estimate(&network.score_model(&support::cpu())),
        );
        forward(network, &opened.device, Engine::NATIVE_GPU, report);
        train(network, &opened.device, Engine::NATIVE_GPU, report);
    }
    convolutions(&opened, Engine::NATIVE_GPU, report);
}

/// The 3x3 convolutions of the reference U-Nets by themselves, and of other networks where they matter.
fn convolutions(Opened { device, name: adapter, .. }: &Opened, engine: Engine, report: &mut Report) {
    // Who is further ahead of the device than its queue is long spins while waiting: a core that a software adapter would
    // need. A card is idle whenever all is awaited.
    let ahead = if is_software(adapter) { 16 } else { 128 };
    let others: &[_] = if engine == Engine::NATIVE_GPU { &OTHER_CONVOLUTIONS } else { &[] };
    for convolution in CONVOLUTIONS.iter().chain(others) {
        let ms = convolution.time(2.0, ahead, device).median_ms;
        report.convolution(engine, &convolution.to_string(), convolution.flops(), ms);
    }
}

/// A 3x3 convolution to as many channels.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    channels: usize,
    side: usize,
    batch: usize,
}

const CONVOLUTIONS: [Convolution; 3] = [
    Convolution { channels: 16, side: 32, batch: 16 },
    Convolution { channels: 32, side: 32, batch: 16 },
    Convolution { channels: 64, side: 16, batch: 16 },
];

/// Of the shipped networks, and of those of the papers.
pub const OTHER_CONVOLUTIONS: [Convolution; 5] = [
    Convolution { channels: 32, side: 14, batch: 64 },
    Convolution { channels: 64, side: 14, batch: 64 },
    Convolution { channels: 64, side: 7, batch: 64 },
    Convolution { channels: 128, side: 32, batch: 16 },
    Convolution { channels: 256, side: 16, batch: 16 },
];

impl std::fmt::Display for Convolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { channels, side, batch } = self;
        write!(f, "{channels} channels at {side}x{side}, batch {batch}")
    }
}

impl Convolution {
    pub fn flops(&self) -> f64 {
        (2 * self.batch * self.side.pow(2) * 9 * self.channels.pow(2)) as f64
    }

    /// Of a chain of such convolutions, `ahead` of them on their way at once, the last one read back; in about so many
    /// seconds.
    pub fn time(&self, seconds: f64, ahead: usize, device: &Device) -> Timing {
        let Self { channels, side, batch } = *self;
        let normal = |draw, len| Noise::new(9).normal(draw, 1, len);
        let x = tensor(&normal(0, batch * side * side * channels), [batch, side, side, channels], device);
        // Small enough for a chain of any length.
        let weight = tensor(&normal(1, 9 * channels * channels), [9 * channels, channels], device) * 0.01;
        let bias = tensor(&normal(2, channels), [channels], device);
        time_within(seconds, |n| {
            let begun = Instant::now();
            let y = (1..=n).fold(x.clone(), |x, i| {
                let y = conv(x, weight.clone(), bias.clone(), 3, 1);
                if i % ahead == 0 {
                    device.sync().expect("a device");
                }
                y
            });
            values(y);
            begun.elapsed().as_secs_f64()
        })
    }
}

/// What 5,000 training steps leave behind in this process, after 500 that warm up.
fn training_memory(report: &mut Report) {
    let config = TrainConfig {
        batch: 4,
        network: UNetConfig { channels: 8, multipliers: vec![1, 1], ..UNetConfig::default() }.into(),
        ..TrainConfig::default()
    };
    let images = noise_images([1, 8, 8], 64);
    let lesson = ScoreLesson::new(&config, &images).expect("a lesson");
    let mut trainer = Trainer::new(lesson, &support::cpu());
    let mut batches = Batches::new(&images, 0, config.batch, false);
    let mut resident = |steps: usize| {
        for _ in 0..steps {
            block_on(trainer.step(&mut batches)).expect("a finite loss");
        }
        resident_bytes()
    };
    if let (Some(before), Some(after)) = (resident(500), resident(5000)) {
        report.memory(Engine::NATIVE_CPU.device, "resident memory", "5,000 training steps", [before, after]);
    }
}

/// Memory of this process that is in RAM; `None` where the system does not say.
fn resident_bytes() -> Option<f64> {
    memory_of("VmRSS:")
}

/// The most that ever was.
pub fn resident_peak() -> Option<f64> {
    memory_of("VmHWM:")
}

fn memory_of(line: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|text| text.strip_prefix(line))?;
    Some(1024.0 * line.trim().strip_suffix(" kB")?.parse::<f64>().ok()?)
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
pub fn first_estimate(model: &ScoreModel) -> Vec<f32> {
    sample(model, 2, 1).1
}

fn noise_images([channels, height, width]: [usize; 3], n: usize) -> ImageSet {
    let pixels = Noise::new(1).uniform(0, n, channels * height * width);
    ImageSet {
        name: "noise".into(),
        licence: "none".into(),
        channels,
        height,
        width,
        pixels: pixels.into_iter().map(|u| (255.0 * u) as u8).collect(),
        labels: None,
        class_names: Vec::new(),
    }
}

fn train(network: &Network, device: &Device, engine: Engine, report: &mut Report) {
    report.training(engine, network, training_step(network, device, 2.0));
}

/// A step of a network's training, in about so many seconds.
pub fn training_step(network: &Network, device: &Device, seconds: f64) -> Timing {
    let batch = network.training_batch;
    // By Adam, as the peers' step is.
    let usual = TrainConfig { muon: false, ..TrainConfig::default() };
    let config = TrainConfig { batch, network: network.config.clone().into(), ..usual };
    step_of(&config, network.shape, device, seconds)
}

/// A step of such a training, of images of this shape.
pub fn step_of(config: &TrainConfig, shape: [usize; 3], device: &Device, seconds: f64) -> Timing {
    let images = noise_images(shape, 2 * config.batch);
    let lesson = ScoreLesson::new(config, &images).expect("a lesson");
    let mut trainer = Trainer::new(lesson, device);
    let mut batches = Batches::new(&images, 0, config.batch, false);
    time_within(seconds, |steps| {
        let begun = Instant::now();
        for _ in 0..steps {
            block_on(trainer.step(&mut batches)).expect("a finite loss");
        }
        begun.elapsed().as_secs_f64()
    })
}
