//! The filter of a convolution's gradient for its input.

use burn::tensor::{DType, Tensor};

use super::Filter;
use crate::ops::launch::wgsl::{self, Launch, params, shader};

params! {
    struct Params {
        area: u32,
        c_in: u32,
        c_out: u32,
    }
}

const THREADS: usize = 64;

/// The filter `[k·k·c_out, c_in]` of stride 1 that leads back from the output to the input: taps in the opposite order,
/// channels exchanged, no bias.
pub fn mirrored(filter: &Filter) -> Filter {
    let device = filter.weight.device();
    let area = filter.kernel * filter.kernel;
    let [rows, c_out] = filter.weight.dims();
    let c_in = rows / area;
    let (weight, bias) = match Launch::new(&device, shader!("mirror"), THREADS) {
        Some(launch) => {
            let params = Params { area: area as u32, c_in: c_in as u32, c_out: c_out as u32 };
            // Weights of a loaded model may be in half precision.
            let launch = launch.input("weight", filter.weight.clone().cast(DType::F32));
            let (launch, weight) = launch.output("mirrored", [area * c_out, c_in]);
            let (launch, bias) = launch.output("bias", [c_in]);
            launch.run(&params, wgsl::rows((rows * c_out).div_ceil(THREADS)));
            (weight, bias)
        }
        None => {
            let taps = filter.weight.clone().reshape([area, c_in, c_out]);
            let weight = taps.flip([0]).swap_dims(1, 2).reshape([area * c_out, c_in]);
            (weight, Tensor::zeros([c_in], &device))
        }
    };
    Filter { weight, bias, kernel: filter.kernel, stride: 1, pad: filter.kernel - 1 - filter.pad }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        wgsl::check::<Params>(shader!("mirror"), THREADS);
    }
}
