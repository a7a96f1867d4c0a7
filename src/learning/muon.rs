//! Muon (Jordan et al. 2024): a matrix of weights moves along its momentum with all singular values made about one, so that
//! directions which few gradients have move as far as those which most have.

use std::ops::Range;

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdjustLrFn, MuonConfig, Optimizer};
use burn::tensor::Tensor;

use super::optimiser::Layout;

/// What the momentum keeps of itself in a step, as published.
const MOMENTUM: f64 = 0.95;

/// Replaces in `weights` and `momentum`, where the matrices of `layout` are, what Adam has made of them by a step of Muon from
/// the weights and the momentum `before`.
///
/// With `rate·0.2·sqrt(max(rows, columns))` (Liu et al. 2025) a step is about as long as one of Adam, so `rate` can be the same.
/// The momentum is Nesterov's. The matrices that a layer multiplies by are moved; biases, scales and tables of classes stay Adam's.
pub fn step(
    layout: &Layout,
    [weights, momentum]: [&mut Tensor<1>; 2],
    before: [Tensor<1>; 2],
    gradient: Tensor<1>,
    rate: f64,
) {
    let [old_weights, old_momentum] = before;
    let new_momentum = old_momentum * MOMENTUM + gradient.clone();
    let direction = new_momentum.clone() * MOMENTUM + gradient;
    // Momentum is ours, since it lies in the same row as that of Adam: to burn it is the gradient.
    let muon = MuonConfig::new()
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
        .with_momentum(MomentumConfig { momentum: 0.0, dampening: 0.0, nesterov: false })
        .build();
    let moved = |place: &Range<usize>, shape: [usize; 2]| {
        let matrix = |row: &Tensor<1>| part(row, place).reshape(shape);
        let (moved, _) = muon.step(rate, matrix(&old_weights), matrix(&direction), None);
        moved.reshape([place.len()])
    };
    *weights = layout.mapped(|place, shape| match shape {
        Some(shape) => moved(place, shape),
        None => part(weights, place),
    });
    *momentum =
        layout.mapped(|place, shape| part(if shape.is_some() { &new_momentum } else { momentum }, place));
}

fn part(row: &Tensor<1>, place: &Range<usize>) -> Tensor<1> {
    row.clone().narrow(0, place.start, place.len())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use nalgebra::DMatrix;

    use super::*;
    use crate::network::layers::{Embedding, Init, Linear, TimeMlp, TimeSizes, TimeWidths};
    use crate::rng::Noise;

    fn values(row: &Tensor<1>) -> Vec<f32> {
        row.to_data().try_to_vec().unwrap()
    }

    fn noise(len: usize, seed: u64) -> Tensor<1> {
        Tensor::from_floats(Noise::new(seed).normal(0, 1, len).as_slice(), &Device::flex())
    }

    /// Algorithm 2 of Jordan et al. (2024) with its numbers, in f64: the matrix with singular values near one.
    fn orthogonal(matrix: &DMatrix<f64>) -> DMatrix<f64> {
        let mut x = matrix / matrix.norm();
        for _ in 0..5 {
            let square = &x * x.transpose();
            x = 3.4445 * &x + (-4.7750 * &square + 2.0315 * &square * &square) * &x;
        }
        x
    }

    #[test]
    fn matrices_take_the_published_steps_and_biases_stay_as_adam_left_them() {
        const SHAPE: [usize; 2] = [6, 4];
        let layer = Linear::new(SHAPE[0], SHAPE[1], &mut Init::new(1, &Device::flex()));
        let layout = Layout::of(&layer, &Device::flex());
        let (mut weights, rate) = (layout.row(&layer), 0.01);
        let len = weights.dims()[0];
        let matrix = |row: &Tensor<1>| {
            let values = values(row).into_iter().map(f64::from).take(SHAPE[0] * SHAPE[1]);
            DMatrix::from_row_iterator(SHAPE[0], SHAPE[1], values)
        };
        let (mut momentum, mut expected) = (weights.zeros_like(), matrix(&weights));
        let mut buffer = DMatrix::zeros(SHAPE[0], SHAPE[1]);
        for seed in 0..3 {
            let [gradient, adam, adams_moment] = [1, 2, 3].map(|k| noise(len, 10 * seed + k));
            let before = [weights, momentum];
            (weights, momentum) = (adam.clone(), adams_moment.clone());
            step(&layout, [&mut weights, &mut momentum], before, gradient.clone(), rate);

            buffer = buffer * 0.95 + matrix(&gradient);
            let direction = orthogonal(&(matrix(&gradient) + 0.95 * &buffer));
            let moved = direction.clone().svd(false, false).singular_values;
            assert!(moved.iter().all(|s| (0.6..1.3).contains(s)), "{moved}");
            expected -= rate * 0.2 * (SHAPE[0] as f64).sqrt() * direction;
            assert!((matrix(&weights) - &expected).amax() < 1e-6);
            assert!((matrix(&momentum) - &buffer).amax() < 1e-6);
            let bias = len - 64..len - 64 + SHAPE[1];
            assert_eq!(values(&weights)[bias.clone()], values(&adam)[bias.clone()]);
            assert_eq!(values(&momentum)[bias.clone()], values(&adams_moment)[bias]);
        }
    }

    #[test]
    fn a_table_of_classes_stays_as_adam_left_it() {
        let sizes = TimeSizes { features: 4, hidden: 8, classes: 5, class_table: true, moves: false };
        let mut widths = TimeWidths::default();
        widths.reserve(6);
        let init = &mut Init::new(1, &Device::flex());
        let mlp = TimeMlp::with(sizes, Embedding::Positional, &widths, init);
        let layout = Layout::of(&mlp, &Device::flex());
        let len = layout.row(&mlp).dims()[0];
        let zeros = Tensor::<1>::zeros([len], &Device::flex());
        let [mut weights, mut momentum] = [zeros.clone(), zeros.clone()];
        step(&layout, [&mut weights, &mut momentum], [zeros.clone(), zeros], noise(len, 1), 1.0);
        let moved = values(&weights).iter().filter(|weight| **weight != 0.0).count();
        assert_eq!(moved, 4 * 8 + 8 * 8 + 8 * 6, "the three layers, not the table");
    }
}
