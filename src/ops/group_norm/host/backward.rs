//! Gradients of group normalisation and SiLU on the CPU.

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

use super::{Norm, share_in_group, shift_of, statistics};
use crate::ops::host;

/// Gradients of [`super::forward`] for `x`, `shift`, `gamma` and `beta`.
///
/// With `n` the normalised input, `h = gamma·n + beta` and `dh = dy·silu'(h)`:
/// `dbeta = sum dh`, `dgamma = sum dh·n`, and per group of `N` values
/// `dx = inverse_std·(gamma·dh - mean(gamma·dh) - n·mean(gamma·dh·n))`; `dshift` is the sum of `dx` over pixels.
///
/// Without the SiLU, `dh = dy`.
pub fn backward(
    x: &Tensor<4>,
    shift: &Tensor<2>,
    norm: &Norm,
    silu: bool,
    dy: &Tensor<4>,
) -> [DispatchTensor; 4] {
    match silu {
        true => apply(
            x,
            shift,
            norm,
            #[inline(always)]
            |h| {
                let s = host::sigmoid(h);
                s + h * s * (1.0 - s)
            },
            dy,
        ),
        false => apply(
            x,
            shift,
            norm,
            #[inline(always)]
            |_| 1.0,
            dy,
        ),
    }
}

/// [`backward`] for an activation of this slope.
fn apply(
    x: &Tensor<4>,
    shift: &Tensor<2>,
    norm: &Norm,
    slope: impl Fn(f32) -> f32 + Send + Sync,
    dy: &Tensor<4>,
) -> [DispatchTensor; 4] {
    let (shape, shift_shape, groups, epsilon) = (x.shape(), shift.dims(), norm.groups, norm.epsilon);
    let [b, h, w, c] = x.dims();
    let size = h * w * c;
    let (x, shift, dy) = (host::values(x), host::values(shift), host::values(dy));
    let (gamma, beta) = (host::values(&norm.gamma), host::values(&norm.beta));
    let [x, shift, gamma, beta, dy] = [&x, &shift, &gamma, &beta, &dy].map(|tensor| tensor.slice());

    // One row per image: its dgamma, dbeta and dshift.
    let (mut dx, mut sums) = (vec![0.0; b * size], vec![0.0; b * 3 * c]);
    host::for_each_parts([(&mut dx, size), (&mut sums, 3 * c)], |i, [dx, sums]| {
        let (image, dy) = (&x[i * size..][..size], &dy[i * size..][..size]);
        let (dgamma, sums) = sums.split_at_mut(c);
        let (dbeta, dshift) = sums.split_at_mut(c);
        let (mut mean, mut inverse_std) = (vec![0.0; c], vec![0.0; c]);
        host::vectorised(
            #[inline(always)]
            || {
                statistics(image, shift_of(shift, i, c), (groups, epsilon), &mut mean, &mut inverse_std);
                // dx holds dh between the two loops.
                for ((dx, dy), x) in dx.chunks_exact_mut(c).zip(dy.chunks_exact(c)).zip(image.chunks_exact(c))
                {
                    activation_gradient([x, &mean, &inverse_std, gamma, beta, dy], &slope, dx, dgamma, dbeta);
                }
                let count = (size / groups) as f32;
                let mut mean_dh: Vec<f32> = dbeta.iter().zip(gamma).map(|(d, g)| d * g).collect();
                let mut mean_dh_n: Vec<f32> = dgamma.iter().zip(gamma).map(|(d, g)| d * g).collect();
                share_in_group(&mut mean_dh, c / groups, |sum| sum / count);
                share_in_group(&mut mean_dh_n, c / groups, |sum| sum / count);
                for (dx, x) in dx.chunks_exact_mut(c).zip(image.chunks_exact(c)) {
                    input_gradient([x, &mean, &inverse_std, gamma, &mean_dh, &mean_dh_n], dx, dshift);
                }
            },
        );
    });

    let total = host::sum_rows(&sums, 3 * c);
    let dshift = match shift_shape[0] {
        1 => total[2 * c..].to_vec(),
        _ => sums.chunks_exact(3 * c).flat_map(|row| &row[2 * c..]).copied().collect(),
    };
    let (dgamma, dbeta) = (total[..c].to_vec(), total[c..2 * c].to_vec());
    [
        host::tensor::<4>(dx, shape).into_dispatch(),
        host::tensor::<2>(dshift, shift_shape).into_dispatch(),
        host::tensor::<1>(dgamma, [c]).into_dispatch(),
        host::tensor::<1>(dbeta, [c]).into_dispatch(),
    ]
}

/// `dh` of one pixel, and its share of `dgamma` and `dbeta`.
///
/// Slices of one length that do not overlap, which the compiler learns here, are what it vectorises.
#[inline(always)]
fn activation_gradient(
    inputs: [&[f32]; 6],
    slope: impl Fn(f32) -> f32,
    dh: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let c = dh.len();
    let [x, mean, inverse_std, gamma, beta, dy] = inputs.map(|input| &input[..c]);
    let (dgamma, dbeta) = (&mut dgamma[..c], &mut dbeta[..c]);
    for j in 0..c {
        let n = (x[j] - mean[j]) * inverse_std[j];
        dh[j] = dy[j] * slope(gamma[j] * n + beta[j]);
        dgamma[j] += dh[j] * n;
        dbeta[j] += dh[j];
    }
}

/// Turns `dh` of one pixel into `dx`, and adds it to `dshift`.
#[inline(always)]
fn input_gradient(inputs: [&[f32]; 6], dx: &mut [f32], dshift: &mut [f32]) {
    let c = dx.len();
    let [x, mean, inverse_std, gamma, mean_dh, mean_dh_n] = inputs.map(|input| &input[..c]);
    let dshift = &mut dshift[..c];
    for j in 0..c {
        let n = (x[j] - mean[j]) * inverse_std[j];
        dx[j] = inverse_std[j] * (gamma[j] * dx[j] - mean_dh[j] - n * mean_dh_n[j]);
        dshift[j] += dx[j];
    }
}
