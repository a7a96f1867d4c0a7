//! InstanceNorm++ and its gradients on the CPU.

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

use super::{EPSILON, InstanceNorm, others};
use crate::ops::host;

/// The normalisation of a tensor in main memory, without autodiff.
pub fn run(x: &Tensor<4>, norm: &InstanceNorm) -> Tensor<4> {
    let ([_, h, w, c], [rows, _]) = (x.dims(), norm.gamma.dims());
    let shape = x.shape();
    let x = host::values(x);
    let x = x.slice();
    let weights = [&norm.gamma, &norm.alpha, &norm.beta].map(host::values);
    let weights = weights.each_ref().map(|row| row.slice());
    let mut y = vec![0.0; x.len()];
    host::for_each_chunk(&mut y, (h * w * c).max(1), |i, y| {
        let image = &x[i * h * w * c..][..h * w * c];
        let weights = weights.map(|row| &row[i % rows * c..][..c]);
        host::vectorised(
            #[inline(always)]
            || normalise(image, weights, y),
        );
    });
    host::tensor(y, shape)
}

/// Gradients of [`run`] for `x`, `gamma`, `alpha` and `beta`.
///
/// With `n` the normalised input, `m` the normalised mean and sums over the `P` pixels of a channel: `dbeta = sum dy`,
/// `dgamma = sum dy·n + alpha·m·dbeta`, `dalpha = gamma·m·dbeta`, `dm = gamma·alpha·dbeta` and
/// `dx = gamma·inverse_std·(dy - mean(dy) - n·mean(dy·n)) + dmean/P`.
pub fn gradients(x: &Tensor<4>, norm: &InstanceNorm, dy: &Tensor<4>) -> [DispatchTensor; 4] {
    let ([b, h, w, c], [rows, _]) = (x.dims(), norm.gamma.dims());
    let (shape, size) = (x.shape(), h * w * c);
    let (x, dy) = (host::values(x), host::values(dy));
    let weights = [&norm.gamma, &norm.alpha].map(host::values);
    let (x, dy) = (x.slice(), dy.slice());
    let weights = weights.each_ref().map(|row| row.slice());
    // One row per image: its dgamma, dalpha and dbeta.
    let (mut dx, mut sums) = (vec![0.0; b * size], vec![0.0; b * 3 * c]);
    host::for_each_parts([(&mut dx, size.max(1)), (&mut sums, (3 * c).max(1))], |i, [dx, sums]| {
        let (image, dy) = (&x[i * size..][..size], &dy[i * size..][..size]);
        let weights = weights.map(|row| &row[i % rows * c..][..c]);
        host::vectorised(
            #[inline(always)]
            || image_gradients(image, weights, dy, dx, sums),
        );
    });
    let sums = if rows == 1 { host::sum_rows(&sums, 3 * c) } else { sums };
    let row = |which: usize| {
        let rows_of = sums.chunks_exact(3 * c).flat_map(|row| &row[which * c..][..c]);
        host::tensor::<2>(rows_of.copied().collect(), [rows, c]).into_dispatch()
    };
    [host::tensor::<4>(dx, shape).into_dispatch(), row(0), row(1), row(2)]
}

/// What an image is normalised by: a value for each channel.
struct Statistics {
    mean: Vec<f32>,
    inverse_std: Vec<f32>,
    /// The mean, normalised over the channels.
    m: Vec<f32>,
    /// Of the means over the channels.
    inverse_spread: f32,
}

impl Statistics {
    #[inline(always)]
    fn of(image: &[f32], c: usize) -> Self {
        let pixels = (image.len() / c) as f32;
        let mut mean = vec![0.0; c];
        image.chunks_exact(c).for_each(|pixel| host::add(&mut mean, pixel));
        mean.iter_mut().for_each(|mean| *mean /= pixels);
        let mut squares = vec![0.0; c];
        for pixel in image.chunks_exact(c) {
            for ((square, x), mean) in squares.iter_mut().zip(pixel).zip(&mean) {
                *square += (x - mean) * (x - mean);
            }
        }
        let inverse_std = squares.iter().map(|s| (s / pixels + EPSILON).sqrt().recip()).collect();
        let centre = mean.iter().sum::<f32>() / c as f32;
        let variance = mean.iter().map(|m| (m - centre) * (m - centre)).sum::<f32>() / others(c) as f32;
        let inverse_spread = (variance + EPSILON).sqrt().recip();
        let m = mean.iter().map(|mean| (mean - centre) * inverse_spread).collect();
        Self { mean, inverse_std, m, inverse_spread }
    }
}

/// One image.
#[inline(always)]
fn normalise(image: &[f32], [gamma, alpha, beta]: [&[f32]; 3], y: &mut [f32]) {
    let c = gamma.len();
    let Statistics { mean, inverse_std, m, .. } = Statistics::of(image, c);
    let scales: Vec<f32> = gamma.iter().zip(&inverse_std).map(|(gamma, s)| gamma * s).collect();
    let shifts: Vec<f32> = (0..c).map(|i| gamma[i] * alpha[i] * m[i] + beta[i]).collect();
    for (y, x) in y.chunks_exact_mut(c).zip(image.chunks_exact(c)) {
        // The mean goes first: a nearly constant image would lose its digits to a·x + b.
        for ((((y, x), mean), scale), shift) in y.iter_mut().zip(x).zip(&mean).zip(&scales).zip(&shifts) {
            *y = (x - mean) * scale + shift;
        }
    }
}

/// The gradients of one image: `dx`, and the rows of the weights side by side.
#[inline(always)]
fn image_gradients(image: &[f32], [gamma, alpha]: [&[f32]; 2], dy: &[f32], dx: &mut [f32], sums: &mut [f32]) {
    let c = gamma.len();
    let pixels = (image.len() / c) as f32;
    let Statistics { mean, inverse_std, m, inverse_spread } = Statistics::of(image, c);
    let (dgamma, sums) = sums.split_at_mut(c);
    let (dalpha, dbeta) = sums.split_at_mut(c);
    for (x, dy) in image.chunks_exact(c).zip(dy.chunks_exact(c)) {
        add_products([x, &mean, &inverse_std, dy], dgamma, dbeta);
    }
    let mean_dy_n: Vec<f32> = dgamma.iter().map(|sum| sum / pixels).collect();
    let mean_dy: Vec<f32> = dbeta.iter().map(|sum| sum / pixels).collect();
    let dm: Vec<f32> = (0..c).map(|i| gamma[i] * alpha[i] * dbeta[i]).collect();
    for i in 0..c {
        dgamma[i] += alpha[i] * m[i] * dbeta[i];
        dalpha[i] = gamma[i] * m[i] * dbeta[i];
    }
    let along = dm.iter().zip(&m).map(|(dm, m)| dm * m).sum::<f32>() / others(c) as f32;
    let mean_dm = dm.iter().sum::<f32>() / c as f32;
    let shift: Vec<f32> =
        dm.iter().zip(&m).map(|(dm, m)| (dm - mean_dm - m * along) * inverse_spread / pixels).collect();
    let slope: Vec<f32> = gamma.iter().zip(&inverse_std).map(|(gamma, s)| gamma * s).collect();
    for ((x, dy), dx) in image.chunks_exact(c).zip(dy.chunks_exact(c)).zip(dx.chunks_exact_mut(c)) {
        input_gradient([x, &mean, &inverse_std, dy, &mean_dy, &mean_dy_n, &slope, &shift], dx);
    }
}

/// Adds `dy·n` and `dy` of one pixel.
///
/// Slices of one length that do not overlap, which the compiler learns here, are what it vectorises.
#[inline(always)]
fn add_products(inputs: [&[f32]; 4], dy_n: &mut [f32], sum: &mut [f32]) {
    let c = dy_n.len();
    let [x, mean, inverse_std, dy] = inputs.map(|input| &input[..c]);
    let sum = &mut sum[..c];
    for j in 0..c {
        dy_n[j] += dy[j] * (x[j] - mean[j]) * inverse_std[j];
        sum[j] += dy[j];
    }
}

/// `dx` of one pixel.
#[inline(always)]
fn input_gradient(inputs: [&[f32]; 8], dx: &mut [f32]) {
    let c = dx.len();
    let [x, mean, inverse_std, dy, mean_dy, mean_dy_n, slope, shift] = inputs.map(|input| &input[..c]);
    for j in 0..c {
        let n = (x[j] - mean[j]) * inverse_std[j];
        dx[j] = slope[j] * (dy[j] - mean_dy[j] - n * mean_dy_n[j]) + shift[j];
    }
}
