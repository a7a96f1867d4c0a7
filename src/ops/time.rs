//! The noise level's way into a network: two dense layers with SiLU, and a linear one for all its blocks.

use burn::tensor::Tensor;

use super::conv;
use super::launch::wgsl::{self, Kernel, Launch, params, shader};
use super::silu::{silu, silu_plain};

/// Weights `[inputs, outputs]` and bias `[outputs]` of a dense layer.
pub type Dense = (Tensor<2>, Tensor<1>);

/// `linear(silu(linear(silu(linear(features)))))` of `features` `[rows, inputs]`.
///
/// The hidden layers have the same number of units; the last has the channels of all blocks side by side.
pub fn time_mlp(features: Tensor<2>, layers: [Dense; 3]) -> Tensor<2> {
    run(&features, &layers).unwrap_or_else(|| match super::uses_flex(&features.device()) {
        true => mlp(features, layers, linear, silu),
        false => time_mlp_plain(features, layers),
    })
}

/// [`time_mlp`] in burn's stock operations: the oracle of the tests.
pub fn time_mlp_plain(features: Tensor<2>, layers: [Dense; 3]) -> Tensor<2> {
    mlp(features, layers, |x, (weight, bias)| x.matmul(weight) + bias.unsqueeze(), silu_plain)
}

fn mlp(
    features: Tensor<2>,
    [first, second, blocks]: [Dense; 3],
    linear: fn(Tensor<2>, Dense) -> Tensor<2>,
    silu: fn(Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    linear(silu(linear(silu(linear(features, first)), second)), blocks)
}

/// A dense layer, `x·W + b` of `[rows, inputs]`: a 1x1 convolution, each row a pixel.
pub fn linear(x: Tensor<2>, (weight, bias): Dense) -> Tensor<2> {
    let ([rows, inputs], [_, outputs]) = (x.dims(), weight.dims());
    conv(x.reshape([1, 1, rows, inputs]), weight, bias, 1, 1).reshape([rows, outputs])
}

params! {
    struct Params {
        outputs: u32,
        inputs: u32,
    }
}

const THREADS: usize = 64;
/// Two layers of this many units take 8 kB of workgroup memory, of which every device has twice as much.
const MOST_HIDDEN: usize = 1024;

fn kernel(hidden: usize) -> Kernel {
    shader!("time").value("hidden", hidden / 4)
}

fn run(features: &Tensor<2>, [first, second, blocks]: &[Dense; 3]) -> Option<Tensor<2>> {
    let ([rows, inputs], [hidden, channels]) = (features.dims(), blocks.0.dims());
    if [inputs, hidden, channels].iter().any(|size| !size.is_multiple_of(4)) || hidden > MOST_HIDDEN {
        return None;
    }
    let params = Params { outputs: (channels / 4) as u32, inputs: (inputs / 4) as u32 };
    let [rows_of_groups, ..] = wgsl::row(rows)?;
    let columns = (channels / 4).div_ceil(THREADS);
    let launch = Launch::new(&features.device(), kernel(hidden), THREADS)?
        .input("features", features.clone())
        .input("weight1", first.0.clone())
        .input("bias1", first.1.clone())
        .input("weight2", second.0.clone())
        .input("bias2", second.1.clone())
        .input("weight", blocks.0.clone())
        .input("bias", blocks.1.clone());
    Some(launch.run_for("shifts", [rows, channels], &params, [columns, rows_of_groups, 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        wgsl::check::<Params>(kernel(64), THREADS);
    }
}
