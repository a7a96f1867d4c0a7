//! What the tests share: the devices, the way a module lists its tests, and small tools.

use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use libtest_mimic::Trial;
use pollster::block_on;
use scorefield::checkup::lively;
use scorefield::device::{self, DeviceChoice};
use scorefield::images::DataRange;
use scorefield::model::{Learned, Preconditioned, Preconditioning, ScoreModel};
use scorefield::network::layers::Init;
use scorefield::network::{Network, UNetConfig};
use scorefield::objective::{MicroBatch, Step};
use scorefield::ops::takes_wgsl;
use scorefield::rng::{Domain, Noise};
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use scorefield::sde::{AnySde, EdmSde, SubVpSde, VeSde, VpSde};
use scorefield::toy::GaussianMixture;

/// Lists a module's tests: `trials! { cpu: [a, b], gpu: [c], alone: [d] }`. Those of `gpu` are shown as ignored where
/// no adapter takes WGSL; while one of `alone` runs, which measures time, no other does.
macro_rules! trials {
    (
        cpu: [$($cpu:ident),* $(,)?]
        $(, gpu: [$($gpu:ident),* $(,)?])?
        $(, alone: [$($alone:ident),* $(,)?])? $(,)?
    ) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            vec![
                $($crate::support::trial(module_path!(), stringify!($cpu), $cpu),)*
                $($($crate::support::gpu_trial(module_path!(), stringify!($gpu), $gpu),)*)?
                $($($crate::support::trial_alone(module_path!(), stringify!($alone), $alone),)*)?
            ]
        }
    };
}
pub(crate) use trials;

/// Shared by all tests, but for those that need the machine for themselves.
static MACHINE: RwLock<()> = RwLock::new(());

pub fn trial(module: &str, name: &str, test: fn()) -> Trial {
    named_trial(module, name, move || {
        let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        test();
    })
}

pub fn trial_alone(module: &str, name: &str, test: fn()) -> Trial {
    named_trial(module, name, move || {
        let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        test();
    })
}

fn named_trial(module: &str, name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    let module = module.split_once("::").map_or(module, |(_, path)| path);
    let name = format!("{module}::{name}");
    Trial::test(name.clone(), move || {
        let began = Instant::now();
        test();
        figure(format_args!("{name} took {:.1} s", began.elapsed().as_secs_f64()));
        Ok(())
    })
}

pub fn gpu_trial(module: &str, name: &str, test: fn()) -> Trial {
    trial(module, name, test).with_kind("gpu").with_ignored_flag(gpu_or_reason().is_err())
}

/// The GPU of this process, or why there is none. Opened once.
pub fn gpu_or_reason() -> &'static Result<Device, String> {
    static GPU: OnceLock<Result<Device, String>> = OnceLock::new();
    GPU.get_or_init(|| {
        let device = block_on(device::open(DeviceChoice::Gpu)).map_err(|e| e.to_string())?.device;
        match takes_wgsl(&device) {
            true => Ok(device),
            false => Err(format!("{device:?} does not take WGSL")),
        }
    })
}

/// The GPU.
pub fn gpu() -> Device {
    gpu_or_reason().as_ref().expect("a GPU").clone()
}

/// The CPU.
pub fn cpu() -> Device {
    Device::flex()
}

/// Whether measured values are asked for.
pub fn figures() -> bool {
    std::env::var_os("SCOREFIELD_FIGURES").is_some()
}

/// Prints a measured value if `SCOREFIELD_FIGURES` is set: what the bounds in the tests were chosen by.
pub fn figure(text: std::fmt::Arguments<'_>) {
    if figures() {
        eprintln!("  figure: {text}");
    }
}

/// Numbers for [`figure`].
pub fn brief(numbers: &[f64]) -> String {
    numbers.iter().map(|v| format!("{v:.1e}")).collect::<Vec<_>>().join(", ")
}

/// The values of a tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32 values")
}

/// A tensor on `device`.
pub fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::<1>::from_floats(values, device).reshape(shape)
}

/// The largest difference relative to the largest value of `expected`.
#[track_caller]
pub fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().chain(expected).all(|v| v.is_finite()), "a value is not finite");
    let size = expected.iter().map(|v| v.abs()).fold(0.0, f32::max).max(f32::MIN_POSITIVE);
    f64::from(found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / size)
}

/// The slope of the line through `(ln x, ln y)`, by least squares.
pub fn log_log_slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let logs = || points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let (mean_x, mean_y) = (logs().map(|p| p.0).sum::<f64>() / n, logs().map(|p| p.1).sum::<f64>() / n);
    let covariance: f64 = logs().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    covariance / logs().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>()
}

/// All diffusions. The sigma_max of VE is 40 times the largest distance in the 2-D data below, as
/// technique 1 would not be needed for 2-D data but keeps the prior's missing mean below 1 % of the data's
/// deviation.
pub fn sdes() -> [(AnySde, &'static str); 4] {
    [
        (AnySde::Ve(VeSde { sigma_min: 0.01, sigma_max: 50.0, ..VeSde::default() }), "VE"),
        (AnySde::Vp(VpSde::default()), "VP"),
        (AnySde::SubVp(SubVpSde::default()), "sub-VP"),
        (AnySde::Edm(EdmSde::default()), "EDM"),
    ]
}

/// One component of a 2-D target: weight, mean, covariance (xx, xy, yy).
pub type Part = (f64, [f64; 2], [f64; 3]);

pub const GAUSSIAN: &[Part] = &[(1.0, [0.4, -0.3], [0.30, 0.18, 0.20])];
/// The means are 2.2 apart, ten deviations: every sample belongs to one component without doubt.
pub const MIXTURE: &[Part] =
    &[(0.2, [-1.0, -0.6], [0.05, 0.02, 0.04]), (0.8, [0.8, 0.7], [0.04, -0.01, 0.06])];

pub fn mixture(parts: &[Part]) -> GaussianMixture {
    let weights: Vec<f64> = parts.iter().map(|part| part.0).collect();
    let means: Vec<Vec<f64>> = parts.iter().map(|part| part.1.to_vec()).collect();
    let covariances: Vec<_> =
        parts.iter().map(|(_, _, [a, b, c])| vec![vec![*a, *b], vec![*b, *c]]).collect();
    GaussianMixture::new(&weights, &means, &covariances).unwrap()
}

/// Exact samples of a target with added noise of deviation `sigma`.
pub fn exact(parts: &[Part], sigma: f64, seed: u64, n: usize) -> Vec<[f64; 2]> {
    mixture(parts).sample(&Noise::new(seed), n, sigma).chunks_exact(2).map(|x| [x[0], x[1]]).collect()
}

/// Mean distance of a point of `a` to one of `b`.
fn mean_distance(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    let from =
        |x: &[f64; 2]| b.iter().map(|y| ((x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2)).sqrt()).sum::<f64>();
    a.iter().map(from).sum::<f64>() / (a.len() * b.len()) as f64
}

/// Exact samples that others are compared with.
pub struct Truth {
    points: Vec<[f64; 2]>,
    /// The mean distance of two of them.
    width: f64,
    /// The energy distance of other exact sets to these, the mean of eight.
    pub floor: f64,
}

impl Truth {
    /// `n` samples of a target with added noise of deviation `sigma`, to be compared with sets of `others`.
    pub fn new(parts: &[Part], sigma: f64, n: usize, others: usize) -> Self {
        let points = exact(parts, sigma, 1, n);
        let mut truth = Self { width: mean_distance(&points, &points), points, floor: 0.0 };
        let sets = (2..10).map(|seed| exact(parts, sigma, seed, others));
        truth.floor = sets.map(|set| truth.energy_distance(&set)).sum::<f64>() / 8.0;
        truth
    }

    /// The energy distance `2·E|X - Y| - E|X - X'| - E|Y - Y'|` (Székely and Rizzo 2013); for sets of one distribution about
    /// `E|X - X'|·(1/n + 1/m)`.
    pub fn energy_distance(&self, set: &[[f64; 2]]) -> f64 {
        2.0 * mean_distance(set, &self.points) - mean_distance(set, set) - self.width
    }
}

/// The sampler of that name with these options.
pub fn named(name: &str, options: serde_json::Value) -> Sampler {
    Sampler::with_options(name, options.as_object().unwrap()).unwrap()
}

/// Every sampler of scores with the options for a few evaluations, as few as it can do with.
pub fn cheap() -> Vec<Sampler> {
    let few = |sampler: &Sampler| (12..=64).find_map(|nfe| sampler.within(nfe)).expect("options for 64 NFE");
    Sampler::fitting(Learned::Score).iter().map(few).collect()
}

/// The options of a sampler without its name, as requests have them.
pub fn options_of(sampler: &Sampler) -> serde_json::Map<String, serde_json::Value> {
    let serde_json::Value::Object(mut options) = serde_json::to_value(sampler).unwrap() else {
        panic!("{sampler:?} is no object");
    };
    options.remove("name");
    options
}

/// Samples as pixel values.
pub fn draw(sampler: &Sampler, model: &ScoreModel, noise: Noise, n: usize) -> Vec<f32> {
    let solution = block_on(sampler.sample(model, &noise, n, &mut Run::default())).unwrap();
    values(solution.images)
}

/// Mean and standard error of some numbers.
pub fn estimate(numbers: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = numbers.clone().count() as f64;
    let mean = numbers.clone().sum::<f64>() / n;
    let variance = numbers.map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// A mixture as a model on the CPU whose pixel values are its own values.
pub fn analytic(mixture: &GaussianMixture, sde: AnySde) -> ScoreModel {
    ScoreModel::new(Box::new(mixture.clone()), sde, DataRange::UNIT, [mixture.dim(), 1, 1], &cpu())
}

/// Step `index` of ten of a run of this seed, on images of standard deviation 0.5.
pub fn step_on(x0: Tensor<4>, index: usize, seed: u64) -> Step<'static> {
    let part = MicroBatch::whole(x0.dims()[0]);
    Step {
        index,
        of: 10,
        part,
        x0,
        labels: &[],
        moved: &[],
        references: None,
        sigma_data: 0.5,
        dropout: 0.0,
        seed,
    }
}

/// A U-Net on `device` none of whose weights is zero: a fresh one returns zero whatever it is given. The
/// same weights on every device.
pub fn lively_unet(config: &UNetConfig, channels: usize, seed: u64, device: &Device) -> Network {
    let network = Network::new(&config.clone().into(), channels, channels, &mut Init::new(seed, device));
    lively(network, Noise::new(seed).domain(Domain::Probe))
}

/// The smallest U-Net that has every kind of layer: two levels, attention, a patch stem.
/// The module with weights that gradients are recorded for, where its device has autodiff.
pub fn learning<M: Module>(module: M) -> M {
    struct Learning;
    impl ModuleMapper for Learning {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            // Anew, since one that was computed cannot be recorded.
            param.map(|weight| match weight.is_autodiff() {
                true => Tensor::from_inner(weight.inner()).require_grad(),
                false => weight,
            })
        }
    }
    module.map(&mut Learning)
}

pub fn small_unet() -> UNetConfig {
    UNetConfig { channels: 8, multipliers: vec![1, 2], attention_levels: vec![1], ..UNetConfig::default() }
}

/// [`lively_unet`] as a model.
pub fn lively_model(config: &UNetConfig, sde: AnySde, shape: [usize; 3], device: &Device) -> ScoreModel {
    let network = lively_unet(config, shape[0], 5, device);
    let preconditioning = Preconditioning::Edm { sigma_data: 0.5 };
    let denoiser = Preconditioned::new(network, preconditioning, sde);
    ScoreModel::new(Box::new(denoiser), sde, DataRange::CENTRED, shape, device)
}

/// The twenty test digits of the page, two of each class, as bytes `[20, 28, 28]`.
pub fn digits() -> Vec<u8> {
    let file: serde_json::Value = serde_json::from_str(include_str!("../web/digits.json")).expect("JSON");
    BASE64.decode(file["pixels"].as_str().expect("a string")).expect("base64")
}
