//! The noise level's way into a network: two dense layers with SiLU, and a linear one for all its blocks.

use burn::tensor::{Tensor, activation::silu};

use super::conv;
use super::wgsl::{self, Launch, params, shader};

/// Weights `[inputs, outputs]` and bias `[outputs]` of a dense layer.
pub type Dense = (Tensor<2>, Tensor<1>);

/// `linear(silu(linear(silu(linear(features)))))` of `features` `[rows, inputs]`.
///
/// The hidden layers have the same number of units; the last has the channels of all blocks side by side.
pub fn time_mlp(features: Tensor<2>, layers: [Dense; 3]) -> Tensor<2> {
    run(&features, &layers).unwrap_or_else(|| match super::uses_flex(&features.device()) {
        true => mlp(features, layers, linear),
        false => time_mlp_plain(features, layers),
    })
}

/// [`time_mlp`] in burn's stock operations: the oracle of the tests.
pub fn time_mlp_plain(features: Tensor<2>, layers: [Dense; 3]) -> Tensor<2> {
    mlp(features, layers, |x, (weight, bias)| x.matmul(weight) + bias.unsqueeze())
}

fn mlp(
    features: Tensor<2>,
    [first, second, blocks]: [Dense; 3],
    linear: fn(Tensor<2>, Dense) -> Tensor<2>,
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
        inputs: u32,
        outputs: u32,
    }
}

const MOST_THREADS: usize = 256;
/// Workgroups of a row, at most: each of them computes the hidden layers.
const MOST_GROUPS: usize = 16;

fn run(features: &Tensor<2>, layers: &[Dense; 3]) -> Option<Tensor<2>> {
    let [first, second, blocks] = layers.each_ref().map(|(weight, bias)| (weight.clone(), bias.clone()));
    let ([rows, inputs], [hidden, channels]) = (features.dims(), blocks.0.dims());
    let threads = hidden / 4;
    let in_quads = [inputs, hidden, channels].iter().all(|size| size.is_multiple_of(4));
    if !in_quads || threads > MOST_THREADS {
        return None;
    }
    wgsl::row(rows)?; // as many as are allowed
    let groups = (channels / 4).div_ceil(threads).min(MOST_GROUPS);
    let launch = Launch::new(&features.device(), shader!("time"), threads)?
        .input("features", features.clone())
        .input("weight1", first.0)
        .input("bias1", first.1)
        .input("weight2", second.0)
        .input("bias2", second.1)
        .input("weight3", blocks.0)
        .input("bias3", blocks.1);
    let params = Params { inputs: (inputs / 4) as u32, outputs: (channels / 4) as u32 };
    Some(launch.run_for("shifts", [rows, channels], &params, [groups, rows, 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_is_valid() {
        wgsl::check::<Params>(shader!("time"), 32);
    }
}
