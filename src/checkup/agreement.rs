//! What the kernels of a device find, against what the CPU finds. The page's program for a GPU has no code for the CPU: what
//! that finds comes from the other program, or was written down.

use burn::tensor::{Device, Tensor};
use serde::Serialize;

use super::lively;
use crate::network::layers::Init;
use crate::network::{Context, Network, NetworkConfig, UNetConfig};
use crate::ops::{
    GROUP_NORM_EPSILON, InstanceNorm, Joined, Norm, Resample, StepSize, Taps, attention, combine, conv, elu,
    error_norm, group_norm_silu, instance_norm, langevin, noise, read, upload, upsample,
};
use crate::rng::{Domain, Noise};
use crate::{Error, Result};

/// How far a device may be off, relative to the largest value: some hundred times what the order of sums makes, and a
/// hundredth of what one wrong index does.
pub const TOLERANCE: f64 = 1e-3;

/// How far a device is off in one thing.
#[derive(Debug, Clone, Serialize)]
pub struct Agreement {
    /// What was computed.
    pub what: &'static str,
    /// The largest difference to the CPU over the largest value there; infinite where a value is not finite.
    pub off: f64,
}

impl Agreement {
    /// Whether it is within [`TOLERANCE`].
    pub fn is_good(&self) -> bool {
        self.off < TOLERANCE
    }
}

/// Something to compute on any device, from the same numbers.
type Probe = (&'static str, fn(&Device) -> Tensor<4>);

/// Random numbers as `[b, h, w, c]`.
fn numbers<const D: usize>(draw: u32, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = Noise::new(0).domain(Domain::Checkup).normal(draw, 1, shape.iter().product());
    upload(&values, shape, device)
}

/// Odd sizes, so that no kernel's tiles fit.
const IMAGES: [usize; 4] = [2, 13, 11, 16];

fn convolved(kernel: usize, stride: usize, device: &Device) -> Tensor<4> {
    let weight = numbers(1, [kernel * kernel * 16, 24], device) / 12.0;
    conv(numbers(0, IMAGES, device), weight, numbers(2, [24], device), kernel, stride)
}

fn norm(channels: usize, device: &Device) -> Norm {
    Norm {
        gamma: numbers(1, [channels], device),
        beta: numbers(2, [channels], device),
        groups: 4,
        epsilon: GROUP_NORM_EPSILON,
    }
}

const PROBES: [Probe; 15] = [
    ("noise", |device| noise::normal(&Noise::new(7), 0, 3, 4 * 37, device).reshape([3, 4, 37, 1])),
    ("convolution 1x1", |device| convolved(1, 1, device)),
    ("convolution 3x3", |device| convolved(3, 1, device)),
    ("convolution 3x3, every second pixel", |device| convolved(3, 2, device)),
    ("upsampling", |device| upsample(numbers(0, IMAGES, device))),
    ("group normalisation", |device| group_norm_silu(numbers(0, IMAGES, device).into(), &norm(16, device))),
    ("group normalisation of two images", |device| {
        let images = Joined::new(numbers(0, IMAGES, device), numbers(3, IMAGES, device));
        group_norm_silu(images, &norm(32, device))
    }),
    ("instance normalisation", |device| {
        let [gamma, alpha, beta] = [1, 2, 3].map(|draw| numbers(draw, [1, 16], device));
        instance_norm(numbers(0, IMAGES, device), InstanceNorm { gamma, alpha, beta })
    }),
    ("exponential linear unit", |device| elu(numbers(0, IMAGES, device))),
    ("halving by FIR", |device| Resample::Halve(Taps::Fir).apply(numbers(0, [2, 12, 10, 16], device))),
    ("doubling by FIR", |device| Resample::Double(Taps::Fir).apply(numbers(0, IMAGES, device))),
    ("attention", |device| attention(numbers(0, [2, 49, 3 * 16], device)).unsqueeze()),
    ("sum of images", |device| {
        let [x, y] = [0, 1].map(|draw| numbers(draw, IMAGES, device));
        combine(&[(x, &[0.5, -2.0]), (y, &[3.0])])
    }),
    ("Langevin step", |device| {
        let [x, score, z] = [0, 1, 2].map(|draw| numbers(draw, IMAGES, device));
        langevin(x, score, z, StepSize { factor: 0.2, prior: (0.0, 0.0) })
    }),
    ("error of a step", |device| {
        let [x, next, error] = [0, 1, 2].map(|draw| numbers(draw, IMAGES, device));
        error_norm([x, next, error], 0.01, 0.1).unsqueeze()
    }),
];

/// A network with every kind of layer that a score network has.
const NETWORK: Probe = ("a small network", |device| {
    let sizes = UNetConfig {
        channels: 16,
        multipliers: vec![1, 2],
        attention_levels: vec![1],
        patch: 1,
        ..UNetConfig::default()
    };
    let network = Network::new(&NetworkConfig::from(sizes), 1, 1, &mut Init::new(0, device));
    let network = lively(network, Noise::new(1).domain(Domain::Checkup));
    // The noise kernel's own numbers: nothing else is drawn on a GPU. As many as fill a subgroup at either resolution.
    let x = noise::normal(&Noise::new(7), 0, 8, 16 * 14, device).reshape([8, 1, 16, 14]);
    network.forward(x, &[-0.3], Context::default())
});

/// What the CPU finds of [`NETWORK`], as little-endian `f32`; a test finds it again.
const KNOWN: &[u8] = include_bytes!("network.f32");

/// What `device` finds of every kind of kernel, and of a small network, which is last.
///
/// # Errors
/// [`Error::Device`] if the device is lost.
pub async fn findings(device: &Device) -> Result<Vec<Vec<f32>>> {
    let mut all = Vec::new();
    for (_, compute) in PROBES.into_iter().chain([NETWORK]) {
        all.push(read(compute(device)).await?);
    }
    Ok(all)
}

/// How far the [`findings`] of a device are off those of the CPU.
pub fn agreement(found: &[Vec<f32>], expected: &[Vec<f32>]) -> Vec<Agreement> {
    let pairs = found.iter().zip(expected);
    let names = PROBES.iter().chain([&NETWORK]).map(|(what, _)| *what);
    names.zip(pairs).map(|(what, (found, expected))| compare(what, found, expected)).collect()
}

/// Finds out whether `device` computes what the CPU does, by one evaluation of a small network for eight images.
///
/// Some hundred milliseconds on a graphics card, nearly all of it for compiling; remember the answer.
///
/// # Errors
/// [`Error::Device`] with this advice if it does not: another device has to be used.
pub async fn verify(device: &Device, advice: &str) -> Result<Agreement> {
    let (what, compute) = NETWORK;
    let known =
        KNOWN.chunks_exact(4).map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]));
    let found = compare(what, &read(compute(device)).await?, &known.collect::<Vec<_>>());
    if found.is_good() {
        return Ok(found);
    }
    let problem = format!("computes wrongly: {} comes out {} off the CPU's", found.what, percent(found.off));
    Err(Error::device("gpu", problem, advice))
}

fn percent(off: f64) -> String {
    match off.is_finite() {
        true => format!("{:.2} %", 100.0 * off),
        false => "infinitely far".into(),
    }
}

fn compare(what: &'static str, found: &[f32], expected: &[f32]) -> Agreement {
    if found.len() != expected.len() {
        return Agreement { what, off: f64::INFINITY };
    }
    let largest = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let off = found.iter().zip(expected).fold(0.0_f64, |most, (found, expected)| {
        let off = f64::from((found - expected).abs() / largest);
        if off.is_finite() { most.max(off) } else { f64::INFINITY }
    });
    Agreement { what, off }
}
