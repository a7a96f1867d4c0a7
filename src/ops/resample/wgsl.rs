//! Resampling on a GPU: how `shaders/resample.wgsl` is launched.

use burn::tensor::Tensor;

use super::Windows;
use crate::ops::launch::wgsl::{self, Kernel, Launch, params, shader};

params! {
    struct Params {
        channels: u32,
        in_height: u32,
        in_width: u32,
        height: u32,
        width: u32,
        stride: u32,
        divisor: u32,
        back: u32,
        taps: u32,
        values: u32,
        pad0: u32,
        pad1: u32,
        weights: [[f32; 4]; 2],
    }
}

const THREADS: usize = 64;

fn kernel(lanes: usize) -> Kernel {
    shader!("resample").switch("SCALAR", lanes == 1)
}

/// The sums of all windows, in one dispatch; `None` on other devices.
pub fn run(windows: &Windows, x: &Tensor<4>) -> Option<Tensor<4>> {
    let [b, in_height, in_width, c] = x.dims();
    let [height, width] = [in_height, in_width].map(|side| windows.out(side));
    let lanes = if c.is_multiple_of(4) { 4 } else { 1 };
    let values = b * height * width * c / lanes;
    if values == 0 {
        return None;
    }
    let params = Params {
        channels: (c / lanes) as u32,
        in_height: in_height as u32,
        in_width: in_width as u32,
        height: height as u32,
        width: width as u32,
        stride: windows.stride as u32,
        divisor: windows.divisor as u32,
        back: windows.back as u32,
        taps: windows.taps as u32,
        values: values as u32,
        pad0: 0,
        pad1: 0,
        weights: windows.weights,
    };
    let launch = Launch::new(&x.device(), kernel(lanes), THREADS)?.input("x", x.clone());
    Some(launch.run_for("y", [b, height, width, c], &params, wgsl::rows(values.div_ceil(THREADS))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        for lanes in [1, 4] {
            wgsl::check::<Params>(kernel(lanes), THREADS);
        }
    }
}
