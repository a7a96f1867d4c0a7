//! Group normalisation and SiLU on the CPU, where the pair costs as much as a convolution when burn runs
//! them as a dozen separate loops.

mod backward;

pub use backward::backward;

use burn::tensor::Tensor;

use super::Norm;
use crate::ops::host;

/// What to subtract from every channel of an image, and the inverse standard deviation of its group.
///
/// All values of a channel get its `shift` first. Subtracting `mean - shift` does both in one.
#[inline(always)]
fn statistics(
    image: &[f32],
    shift: &[f32],
    (groups, epsilon): (usize, f32),
    mean: &mut [f32],
    inverse_std: &mut [f32],
) {
    let channels = shift.len();
    let per_group = channels / groups;
    let count = (image.len() / groups) as f32;
    let pixels = (image.len() / channels) as f32;
    mean.fill(0.0);
    for pixel in image.chunks_exact(channels) {
        mean.iter_mut().zip(pixel).for_each(|(m, v)| *m += v);
    }
    mean.iter_mut().zip(shift).for_each(|(m, s)| *m += pixels * s);
    share_in_group(mean, per_group, |sum| sum / count);
    mean.iter_mut().zip(shift).for_each(|(m, s)| *m -= s);
    inverse_std.fill(0.0);
    for pixel in image.chunks_exact(channels) {
        for ((s, v), m) in inverse_std.iter_mut().zip(pixel).zip(&*mean) {
            *s += (v - m) * (v - m);
        }
    }
    share_in_group(inverse_std, per_group, |sum| (sum / count + epsilon).sqrt().recip());
}

/// Replaces each channel's sum by `f(sum over its group)`.
#[inline(always)]
fn share_in_group(channels: &mut [f32], per_group: usize, f: impl Fn(f32) -> f32) {
    for group in channels.chunks_exact_mut(per_group) {
        let value = f(group.iter().sum());
        group.fill(value);
    }
}

/// The row of `shift` `[n or 1, c]` that belongs to image `i`.
fn shift_of(shift: &[f32], i: usize, c: usize) -> &[f32] {
    &shift[i * c % shift.len()..][..c]
}

/// `norm(x + shift)` of a tensor in main memory, with or without the SiLU.
pub fn forward(x: &Tensor<4>, shift: &Tensor<2>, norm: &Norm, silu: bool) -> Tensor<4> {
    match silu {
        true => apply(
            x,
            shift,
            norm,
            #[inline(always)]
            |h| h * host::sigmoid(h),
        ),
        false => apply(
            x,
            shift,
            norm,
            #[inline(always)]
            |h| h,
        ),
    }
}

fn apply(
    x: &Tensor<4>,
    shift: &Tensor<2>,
    norm: &Norm,
    activation: impl Fn(f32) -> f32 + Send + Sync,
) -> Tensor<4> {
    let shape = x.shape();
    let ([_, h, w, c], groups) = (x.dims(), (norm.groups, norm.epsilon));
    let (x, shift) = (host::values(x), host::values(shift));
    let (gamma, beta) = (host::values(&norm.gamma), host::values(&norm.beta));
    let [x, shift, gamma, beta] = [&x, &shift, &gamma, &beta].map(|tensor| tensor.slice());
    let mut y = vec![0.0; x.len()];
    host::for_each_chunk(&mut y, h * w * c, |i, y| {
        let image = &x[i * h * w * c..][..h * w * c];
        let (mut scale, mut mean) = (vec![0.0; c], vec![0.0; c]);
        host::vectorised(
            #[inline(always)]
            || {
                statistics(image, shift_of(shift, i, c), groups, &mut mean, &mut scale);
                scale.iter_mut().zip(gamma).for_each(|(s, g)| *s *= g);
                for (y, x) in y.chunks_exact_mut(c).zip(image.chunks_exact(c)) {
                    // The mean goes first: a nearly constant image would lose its digits to a·x + b.
                    for ((((y, x), m), a), b) in y.iter_mut().zip(x).zip(&mean).zip(&scale).zip(beta) {
                        *y = activation((x - m) * a + b);
                    }
                }
            },
        );
    });
    host::tensor(y, shape)
}
