//! The corrector's step: a norm and a sum in one pass, since each sample's norm decides its step.

use burn::tensor::Tensor;

use super::launch::wgsl::{self, Launch, params, shader};

/// What fixes the size of a [`langevin`] step.
#[derive(Debug, Clone, Copy)]
pub struct StepSize {
    /// Multiplies the inverse of the score's root mean square.
    pub factor: f64,
    /// Values that are added, in thought, to the score before its mean square is taken, and the sum of their squares.
    pub prior: (f64, f64),
}

/// `x + 2·root²·score + 2·root·z` with `root = factor/rms(score)` of each sample.
///
/// All tensors are `[n, c, h, w]`.
pub fn langevin(x: Tensor<4>, score: Tensor<4>, z: Tensor<4>, size: StepSize) -> Tensor<4> {
    let shape = x.dims();
    let [n, c, h, w] = shape;
    let launch = wgsl::row(n).and_then(|_| Launch::new(&x.device(), shader!("langevin"), THREADS));
    let Some(launch) = launch else {
        return langevin_plain(x, score, z, size);
    };
    let (prior_len, prior_square) = size.prior;
    let params = Params {
        len: (c * h * w) as u32,
        factor: size.factor as f32,
        prior_len: prior_len as f32,
        prior_square: prior_square as f32,
    };
    launch.input("x", x).input("score", score).input("z", z).run_for("out", shape, &params, [n, 1, 1])
}

/// [`langevin`] in burn's stock operations: the oracle of the tests.
pub fn langevin_plain(x: Tensor<4>, score: Tensor<4>, z: Tensor<4>, size: StepSize) -> Tensor<4> {
    let [n, c, h, w] = score.dims();
    let (prior_len, prior_square) = size.prior;
    let flat = score.clone().reshape([n, c * h * w]);
    let square = (flat.clone() * flat).sum_dim(1) + prior_square;
    let rms = (square / ((c * h * w) as f64 + prior_len)).sqrt();
    let root = (rms.recip() * size.factor).reshape([n, 1, 1, 1]);
    x + score * (root.clone() * root.clone() * 2.0) + z * root * 2.0
}

const THREADS: usize = 128;

params! {
    struct Params {
        len: u32,
        factor: f32,
        prior_len: f32,
        prior_square: f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_is_valid() {
        wgsl::check::<Params>(shader!("langevin"), THREADS);
    }
}
