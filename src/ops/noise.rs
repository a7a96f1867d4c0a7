//! Noise on any device: the numbers of [`rng`](crate::rng), made where they are used.
//!
//! On a device that takes WGSL, `shaders/noise.wgsl` fills the tensor without a transfer; everywhere else the
//! host computes it and uploads. A source has no input tensor to pick a backend from, so this asks the device
//! itself instead of going through a backend extension.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::launch::wgsl::{self, Launch, params, shader};
use crate::rng::Noise;

/// Standard normal values on `device`.
///
/// The same as [`Noise::normal`], bit for bit where the host computes them and within `1e-5` where the kernel
/// does. No readback. The tensor has no autodiff: beside tensors that have it, it is a constant.
///
/// # Shapes
/// returns `[n, len]`, `f32`; row `i` is sample [`noise.first() + i`](Noise::first).
pub fn normal(noise: &Noise, draw: u32, n: usize, len: usize, device: &Device) -> Tensor<2> {
    fill(noise, draw, [n, len], device, Distribution::Normal)
}

/// Uniform values in `[0, 1)` on `device`, multiples of 2⁻²⁴.
///
/// The same bits as [`Noise::uniform`] on every device. No readback, no autodiff.
///
/// # Shapes
/// returns `[n, len]`, `f32`; row `i` is sample [`noise.first() + i`](Noise::first).
pub fn uniform(noise: &Noise, draw: u32, n: usize, len: usize, device: &Device) -> Tensor<2> {
    fill(noise, draw, [n, len], device, Distribution::Uniform)
}

#[derive(Clone, Copy)]
enum Distribution {
    Normal,
    Uniform,
}

fn fill(noise: &Noise, draw: u32, [n, len]: [usize; 2], device: &Device, kind: Distribution) -> Tensor<2> {
    let device = device.clone().without_autodiff();
    if n * len > 0
        && let Some(launch) = Launch::new(&device, shader!("noise"), THREADS)
    {
        let groups = wgsl::rows((n * len.div_ceil(4)).div_ceil(THREADS));
        return launch.run_for("values", [n, len], &Params::new(noise, draw, [n, len], kind), groups);
    }
    let values = match kind {
        Distribution::Normal => noise.normal(draw, n, len),
        Distribution::Uniform => noise.uniform(draw, n, len),
    };
    Tensor::from_data(TensorData::new(values, [n, len]), (&device, DType::F32))
}

const THREADS: usize = 64;

params! {
    struct Params {
        seed_low: u32,
        sample: u32,
        draw: u32,
        seed_high: u32,
        domain: u32,
        is_uniform: u32,
        rows: u32,
        len: u32,
    }
}

impl Params {
    fn new(noise: &Noise, draw: u32, [rows, len]: [usize; 2], kind: Distribution) -> Self {
        let ([seed_low, sample], [_, draw, seed_high, domain]) = noise.place(draw);
        let is_uniform = u32::from(matches!(kind, Distribution::Uniform));
        let [rows, len] = [rows as u32, len as u32];
        Self { seed_low, sample, draw, seed_high, domain, is_uniform, rows, len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_is_valid() {
        wgsl::check::<Params>(shader!("noise"), THREADS);
    }
}
