//! Muon (Jordan et al. 2024): a matrix of weights moves along its momentum with all singular values made about one, so that
//! directions which few gradients have move as far as those which most have.

use std::collections::{BTreeMap, HashMap};

use burn::module::ParamId;
use burn::tensor::Tensor;

use super::optimiser::Layout;
use crate::ops::upload;

/// What the momentum keeps of itself in a step, as published.
const MOMENTUM: f64 = 0.95;
/// The quintic polynomial `a·x + b·x³ + c·x⁵` that leads singular values from (0, 1] to about one, as published: in five
/// rounds all but the smallest thousandth.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
const ROUNDS: usize = 5;
/// Nothing is divided by a smaller norm than this.
const LEAST_NORM: f64 = 1e-12;

/// Replaces in `weights` and `momentum`, where the matrices of `layout` are, what Adam has made of them by a step of Muon from
/// the weights and the momentum `before`.
///
/// With `rate·0.2·sqrt(max(rows, columns))` (Liu et al. 2025) a step is about as long as one of Adam, whatever the matrix's size.
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
    let new_weights = old_weights - orthogonal(layout, &direction) * rate;
    for (row, new) in [(weights, new_weights), (momentum, new_momentum)] {
        *row = row.clone().mask_where(layout.in_matrices(), new);
    }
}

/// The matrices of `row` with singular values near `0.2·sqrt(max(rows, columns))`, and zeros between them.
///
/// `p(x·xᵀ)·x` being what a round makes of `x`, all rounds together multiply it by one matrix, which depends on `x·xᵀ` alone. So
/// the rounds are products of squares of the shorter side, and those of matrices of the same shorter side are done at once.
fn orthogonal(layout: &Layout, row: &Tensor<1>) -> Tensor<1> {
    let mut by_side: BTreeMap<usize, Vec<(ParamId, [usize; 2], Tensor<2>)>> = BTreeMap::new();
    for (id, place, shape @ [rows, columns]) in layout.matrices() {
        let matrix = row.clone().narrow(0, place.start, place.len()).reshape(shape);
        let wide = if rows > columns { matrix.transpose() } else { matrix };
        by_side.entry(rows.min(columns)).or_default().push((id, shape, wide));
    }
    let mut directions = HashMap::new();
    for (side, matrices) in by_side {
        let square = |(.., x): &(_, _, Tensor<2>)| x.clone().matmul(x.clone().transpose()).unsqueeze::<3>();
        let length = |(_, shape, _): &(_, [usize; 2], _)| 0.2 * (shape[0].max(shape[1]) as f32).sqrt();
        let lengths: Vec<f32> = matrices.iter().map(length).collect();
        let multipliers = multipliers(Tensor::cat(matrices.iter().map(square).collect(), 0))
            * upload(&lengths, [lengths.len(), 1, 1], &row.device());
        for (k, (id, [rows, columns], x)) in matrices.into_iter().enumerate() {
            let moved = multipliers.clone().narrow(0, k, 1).reshape([side, side]).matmul(x);
            let moved = if rows > columns { moved.transpose() } else { moved };
            directions.insert(id, moved.reshape([rows * columns]));
        }
    }
    layout.row_of(|id| directions.remove(&id))
}

/// What each `x` is multiplied by, for `squares` `x·xᵀ`, `[n, side, side]`.
fn multipliers(squares: Tensor<3>) -> Tensor<3> {
    let [n, side, _] = squares.dims();
    let eye = Tensor::<2>::eye(side, &squares.device()).unsqueeze::<3>();
    // The trace is the squared norm of `x`.
    let norm_sq = (squares.clone() * eye.clone()).reshape([n, side * side]).sum_dim(1);
    let norm_sq = norm_sq.clamp_min(LEAST_NORM * LEAST_NORM).reshape([n, 1, 1]);
    let [a, b, c] = QUINTIC;
    let of =
        |square: &Tensor<3>| square.clone().matmul(square.clone()) * c + square.clone() * b + eye.clone() * a;
    let mut square = squares / norm_sq.clone();
    let mut factor = of(&square);
    let mut all = factor.clone();
    for _ in 1..ROUNDS {
        square = factor.clone().matmul(square).matmul(factor);
        factor = of(&square);
        all = factor.clone().matmul(all);
    }
    all / norm_sq.sqrt()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use nalgebra::{DMatrix, DVector};

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
        for shape @ [rows, columns] in [[6, 4], [4, 6], [576, 64]] {
            let layer = Linear::new(rows, columns, &mut Init::new(1, &Device::flex()));
            let layout = Layout::of(&layer, &Device::flex());
            let (mut weights, rate) = (layout.row(&layer), 0.01);
            let len = weights.dims()[0];
            let matrix = |row: &Tensor<1>| {
                let values = values(row).into_iter().map(f64::from).take(rows * columns);
                DMatrix::from_row_iterator(rows, columns, values)
            };
            let (mut momentum, mut expected) = (weights.zeros_like(), matrix(&weights));
            let mut buffer = DMatrix::zeros(rows, columns);
            for seed in 0..3 {
                let [gradient, adam, adams_moment] = [1, 2, 3].map(|k| noise(len, 10 * seed + k));
                let before = [weights, momentum];
                (weights, momentum) = (adam.clone(), adams_moment.clone());
                step(&layout, [&mut weights, &mut momentum], before, gradient.clone(), rate);

                buffer = buffer * 0.95 + matrix(&gradient);
                let direction = orthogonal(&(matrix(&gradient) + 0.95 * &buffer));
                let moved = direction.clone().svd(false, false).singular_values;
                assert!(moved.iter().all(|s| (0.6..1.3).contains(s)), "{moved}");
                expected -= rate * 0.2 * (rows.max(columns) as f64).sqrt() * direction;
                assert!((matrix(&weights) - &expected).amax() < 2e-6, "{shape:?}");
                assert!((matrix(&momentum) - &buffer).amax() < 1e-6, "{shape:?}");
                let bias = len - 64..len - 64 + columns;
                assert_eq!(values(&weights)[bias.clone()], values(&adam)[bias.clone()]);
                assert_eq!(values(&momentum)[bias.clone()], values(&adams_moment)[bias]);
            }
        }
    }

    /// Of singular values from 1 to 1e-5, as gradients have them: the squares of the small ones are lost in `f32`, what they
    /// are multiplied by is not.
    #[test]
    fn small_singular_values_grow_as_they_do_in_f64() {
        const SIDE: usize = 24;
        let layer = Linear::new(2 * SIDE, SIDE, &mut Init::new(1, &Device::flex()));
        let layout = Layout::of(&layer, &Device::flex());
        let [left, right] = [1, 2].map(|seed| {
            let random = values(&noise(2 * SIDE * SIDE, seed)).into_iter().map(f64::from);
            DMatrix::from_iterator(2 * SIDE, SIDE, random).qr().q()
        });
        let right = right.rows(0, SIDE).into_owned().qr().q();
        let falling = DVector::from_fn(SIDE, |i, _| 10f64.powf(-5.0 * i as f64 / (SIDE - 1) as f64));
        let matrix = &left * DMatrix::from_diagonal(&falling) * right.transpose();
        let mut row: Vec<f32> = matrix.transpose().iter().map(|v| *v as f32).collect();
        row.resize(layout.row(&layer).dims()[0], 0.0);
        let row = Tensor::from_floats(row.as_slice(), &Device::flex());
        let found = values(&super::orthogonal(&layout, &row)).into_iter().map(f64::from);
        let found = DMatrix::from_row_iterator(2 * SIDE, SIDE, found.take(2 * SIDE * SIDE));
        let off = (found / (0.2 * (2.0 * SIDE as f64).sqrt()) - orthogonal(&matrix)).amax();
        assert!(off < 2e-3, "off by {off}");
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
