//! What the tests share: the devices, the way a module lists its tests, and small tools.

use std::sync::OnceLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use libtest_mimic::Trial;
use scorefield::analytic::GaussianMixture;
use scorefield::model::{DataRange, Preconditioned, Preconditioning, ScoreModel};
use scorefield::network::layers::Init;
use scorefield::network::{UNet, UNetConfig};
use scorefield::ops::takes_wgsl;
use scorefield::rng::{Domain, Noise};
use scorefield::sde::AnySde;

/// Lists a module's tests: `trials! { cpu: [a, b], gpu: [c] }`. Those of `gpu` are shown as ignored where
/// no adapter takes WGSL.
macro_rules! trials {
    (cpu: [$($cpu:ident),* $(,)?] $(, gpu: [$($gpu:ident),* $(,)?])? $(,)?) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            vec![
                $($crate::support::trial(module_path!(), stringify!($cpu), $cpu),)*
                $($($crate::support::gpu_trial(module_path!(), stringify!($gpu), $gpu),)*)?
            ]
        }
    };
}
pub(crate) use trials;

pub fn trial(module: &str, name: &str, test: fn()) -> Trial {
    let module = module.split_once("::").map_or(module, |(_, path)| path);
    Trial::test(format!("{module}::{name}"), move || {
        test();
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
        let device = Device::wgpu_options().init().map_err(|e| e.to_string())?;
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

/// Prints a measured value if `SCOREFIELD_FIGURES` is set: what the bounds in the tests were chosen by.
pub fn figure(text: std::fmt::Arguments<'_>) {
    if std::env::var_os("SCOREFIELD_FIGURES").is_some() {
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

/// A mixture as a model on the CPU whose pixel values are its own values.
pub fn analytic(mixture: &GaussianMixture, sde: AnySde) -> ScoreModel {
    ScoreModel::new(Box::new(mixture.clone()), sde, DataRange::UNIT, [mixture.dim(), 1, 1], &cpu())
}

/// A U-Net on `device` none of whose weights is zero: a fresh one returns zero whatever it is given. The
/// same weights on every device.
pub fn lively_unet(config: &UNetConfig, channels: usize, seed: u64, device: &Device) -> UNet {
    struct Stir {
        noise: Noise,
        draw: u32,
    }
    impl ModuleMapper for Stir {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.draw += 1;
            param.map(|old| {
                // Vectors are biases and scales; a matrix keeps the variance of its input.
                let dims = old.dims();
                let size = if D == 1 { 0.1 } else { (dims[0] as f64).sqrt().recip() * 0.7 };
                let z = self.noise.normal(self.draw, 1, dims.iter().product());
                let z: Vec<f32> = z.into_iter().map(|z| z * size as f32).collect();
                let stir = tensor(&z, dims, &old.device());
                if D == 1 { old + stir } else { stir }
            })
        }
    }
    let network = UNet::new(config, channels, channels, &mut Init::new(seed, device));
    network.map(&mut Stir { noise: Noise::new(seed).domain(Domain::Probe), draw: 0 })
}

/// The smallest U-Net that has every kind of layer: two levels, attention, a patch stem.
pub fn small_unet() -> UNetConfig {
    UNetConfig { channels: 8, multipliers: vec![1, 2], attention_levels: vec![1], ..UNetConfig::default() }
}

/// [`lively_unet`] as a model.
pub fn lively_model(config: &UNetConfig, sde: AnySde, shape: [usize; 3], device: &Device) -> ScoreModel {
    let network = lively_unet(config, shape[0], 5, device);
    let preconditioning = Preconditioning::Edm { sigma_data: 0.5 };
    let denoiser = Preconditioned { network, preconditioning, sde };
    ScoreModel::new(Box::new(denoiser), sde, DataRange::CENTRED, shape, device)
}

/// The twenty test digits of the page, two of each class, as bytes `[20, 28, 28]`.
pub fn digits() -> Vec<u8> {
    let file: serde_json::Value = serde_json::from_str(include_str!("../web/digits.json")).expect("JSON");
    BASE64.decode(file["pixels"].as_str().expect("a string")).expect("base64")
}
