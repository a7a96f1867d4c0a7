//! InstanceNorm++ on the CPU.

use burn::tensor::Tensor;

use super::{EPSILON, InstanceNorm, others};
use crate::ops::host;

/// The normalisation of a tensor in main memory, without autodiff.
pub fn run(x: &Tensor<4>, norm: &InstanceNorm) -> Tensor<4> {
    let ([_, h, w, c], [rows, _]) = (x.dims(), norm.gamma.dims());
    let shape = x.shape();
    let x = host::values(x);
    let x = x.storage::<f32>();
    let rows_of = [&norm.gamma, &norm.alpha, &norm.beta].map(host::values);
    let rows_of = rows_of.each_ref().map(|row| row.storage::<f32>());
    let mut y = vec![0.0; x.len()];
    host::for_each_chunk(&mut y, (h * w * c).max(1), |i, y| {
        let image = &x[i * h * w * c..][..h * w * c];
        let [gamma, alpha, beta] = rows_of.map(|row| &row[i % rows * c..][..c]);
        host::vectorised(
            #[inline(always)]
            || normalise(image, [gamma, alpha, beta], y),
        );
    });
    host::tensor(y, shape)
}

/// One image.
#[inline(always)]
fn normalise(image: &[f32], [gamma, alpha, beta]: [&[f32]; 3], y: &mut [f32]) {
    let c = gamma.len();
    let pixels = (image.len() / c) as f32;
    let mut means = vec![0.0; c];
    image.chunks_exact(c).for_each(|pixel| host::add(&mut means, pixel));
    means.iter_mut().for_each(|mean| *mean /= pixels);
    let mut squares = vec![0.0; c];
    for pixel in image.chunks_exact(c) {
        for ((square, x), mean) in squares.iter_mut().zip(pixel).zip(&means) {
            *square += (x - mean) * (x - mean);
        }
    }
    let mean = means.iter().sum::<f32>() / c as f32;
    let variance = means.iter().map(|m| (m - mean) * (m - mean)).sum::<f32>() / others(c) as f32;
    let inverse_std = (variance + EPSILON).sqrt().recip();
    let scales: Vec<f32> =
        squares.iter().zip(gamma).map(|(s, g)| g * (s / pixels + EPSILON).sqrt().recip()).collect();
    let shifts: Vec<f32> =
        (0..c).map(|i| gamma[i] * alpha[i] * (means[i] - mean) * inverse_std + beta[i]).collect();
    for (y, x) in y.chunks_exact_mut(c).zip(image.chunks_exact(c)) {
        // The mean goes first: a nearly constant image would lose its digits to a·x + b.
        for ((((y, x), mean), scale), shift) in y.iter_mut().zip(x).zip(&means).zip(&scales).zip(&shifts) {
            *y = (x - mean) * scale + shift;
        }
    }
}
