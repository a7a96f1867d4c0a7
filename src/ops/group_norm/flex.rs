//! Group normalisation and SiLU on the CPU, where the pair costs as much as a convolution when burn runs
//! them as a dozen separate loops.

#[cfg(not(target_family = "wasm"))]
mod backward;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::{EPSILON, Norm};
use crate::ops::cpu;

/// [`super::group_norm_silu`] of a tensor in main memory.
pub fn group_norm_silu(x: Tensor<4>, norm: &Norm) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::group_norm_silu_nhwc(
        x.into_dispatch(),
        norm.gamma.clone().into_dispatch(),
        norm.beta.clone().into_dispatch(),
        norm.groups,
    ))
}

#[cfg_attr(not(target_family = "wasm"), backend_extension(Flex, Autodiff))]
#[cfg_attr(target_family = "wasm", backend_extension(Flex))]
trait GroupNormOps: Backend {
    fn group_norm_silu_nhwc(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
    ) -> FloatTensor<Self>;
}

impl GroupNormOps for Flex {
    fn group_norm_silu_nhwc(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, groups: usize) -> FlexTensor {
        forward(&x.to_contiguous(), &gamma.to_contiguous(), &beta.to_contiguous(), groups)
    }
}

/// Mean and inverse standard deviation of every channel's group, for one image.
#[inline(always)]
fn statistics(image: &[f32], channels: usize, groups: usize, mean: &mut [f32], inverse_std: &mut [f32]) {
    let per_group = channels / groups;
    let count = (image.len() / groups) as f32;
    mean.fill(0.0);
    for pixel in image.chunks_exact(channels) {
        mean.iter_mut().zip(pixel).for_each(|(m, v)| *m += v);
    }
    share_in_group(mean, per_group, |sum| sum / count);
    inverse_std.fill(0.0);
    for pixel in image.chunks_exact(channels) {
        for ((s, v), m) in inverse_std.iter_mut().zip(pixel).zip(&*mean) {
            *s += (v - m) * (v - m);
        }
    }
    share_in_group(inverse_std, per_group, |sum| (sum / count + EPSILON).sqrt().recip());
}

/// Replaces each channel's sum by `f(sum over its group)`.
#[inline(always)]
fn share_in_group(channels: &mut [f32], per_group: usize, f: impl Fn(f32) -> f32) {
    for group in channels.chunks_exact_mut(per_group) {
        let value = f(group.iter().sum());
        group.fill(value);
    }
}

fn forward(x: &FlexTensor, gamma: &FlexTensor, beta: &FlexTensor, groups: usize) -> FlexTensor {
    let shape = x.shape();
    let [_, h, w, c] = shape.dims();
    let (x, gamma, beta) = (x.storage::<f32>(), gamma.storage::<f32>(), beta.storage::<f32>());
    let mut y = vec![0.0; x.len()];
    cpu::for_each_chunk(&mut y, h * w * c, |i, y| {
        let image = &x[i * h * w * c..][..h * w * c];
        let (mut scale, mut mean) = (vec![0.0; c], vec![0.0; c]);
        cpu::vectorised(
            #[inline(always)]
            || {
                statistics(image, c, groups, &mut mean, &mut scale);
                scale.iter_mut().zip(gamma).for_each(|(s, g)| *s *= g);
                for (y, x) in y.chunks_exact_mut(c).zip(image.chunks_exact(c)) {
                    // The mean goes first: a nearly constant image would lose its digits to a·x + b.
                    for ((((y, x), m), a), b) in y.iter_mut().zip(x).zip(&mean).zip(&scale).zip(beta) {
                        let h = (x - m) * a + b;
                        *y = h * cpu::sigmoid(h);
                    }
                }
            },
        );
    });
    cpu::tensor(y, shape)
}
