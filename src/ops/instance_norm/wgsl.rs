//! InstanceNorm++ on a GPU: how `shaders/channel_means.wgsl` and `shaders/instance_norm.wgsl` are launched.

use burn::tensor::Tensor;

use super::{EPSILON, InstanceNorm, others};
use crate::ops::launch::wgsl::{self, Kernel, Launch, params, shader};

params! {
    struct MeanParams {
        pixels: u32,
        channels: u32,
    }
}

params! {
    struct Params {
        pixels: u32,
        channels: u32,
        stride: u32,
        others: f32,
        epsilon: f32,
    }
}

const THREADS: usize = 64;

fn mean_kernel() -> Kernel {
    shader!("channel_means")
}

fn kernel() -> Kernel {
    shader!("instance_norm")
}

/// The normalisation in two dispatches: every channel wants the means of the others. `None` on other devices, and for
/// numbers of channels that are no multiple of four.
pub fn run(x: &Tensor<4>, norm: &InstanceNorm) -> Option<Tensor<4>> {
    let ([b, h, w, c], [rows, _]) = (x.dims(), norm.gamma.dims());
    if !c.is_multiple_of(4) || h * w == 0 {
        return None;
    }
    let (pixels, channels) = ((h * w) as u32, (c / 4) as u32);
    let groups = wgsl::row(b * c / 4)?;
    let launch = Launch::new(&x.device(), mean_kernel(), THREADS)?.input("x", x.clone());
    let means: Tensor<2> = launch.run_for("means", [b, c], &MeanParams { pixels, channels }, groups);
    let stride = if rows > 1 { channels } else { 0 };
    let params = Params { pixels, channels, stride, others: others(c) as f32, epsilon: EPSILON };
    let launch = Launch::new(&x.device(), kernel(), THREADS)?
        .input("x", x.clone())
        .input("means", means)
        .input("gamma", norm.gamma.clone())
        .input("alpha", norm.alpha.clone())
        .input("beta", norm.beta.clone());
    Some(launch.run_for("y", [b, h, w, c], &params, groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        wgsl::check::<MeanParams>(mean_kernel(), THREADS);
        wgsl::check::<Params>(kernel(), THREADS);
    }
}
