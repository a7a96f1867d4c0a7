//! Attention on the CPU, by blocks of queries whose weights stay in the L2 cache.

use burn::tensor::Tensor;

use crate::ops::host;

/// Queries of a block.
const QUERIES: usize = 64;

/// [`super::attention`] of a tensor in main memory.
pub fn attention(qkv: &Tensor<3>) -> Tensor<3> {
    let [b, n, pitch] = qkv.dims();
    let qkv = host::values(qkv);
    let c = pitch / 3;
    let qkv = qkv.slice();
    let scale = (c as f32).sqrt().recip();
    let mut y = vec![0.0; b * n * c];
    host::for_each_chunk(&mut y, n * c, |i, y| {
        let image = &qkv[i * n * pitch..][..n * pitch];
        let (keys, values) = (&image[c..], &image[2 * c..]);
        for (queries, y) in image.chunks(QUERIES * pitch).zip(y.chunks_mut(QUERIES * c)) {
            let m = queries.len() / pitch;
            host::with_scratch(m * n, |weights| {
                host::gemm([m, n, c], (queries, pitch, 1), (keys, 1, pitch), weights, false);
                softmax(weights, n, scale);
                host::gemm([m, c, n], (weights, n, 1), (values, pitch, 1), y, false);
            });
        }
    });
    host::tensor(y, [b, n, c])
}

/// [`super::attention_tangent`] of tensors in main memory, image by image.
pub fn tangent(qkv: &Tensor<3>, tangent: &Tensor<3>) -> Tensor<3> {
    let [b, n, pitch] = qkv.dims();
    let c = pitch / 3;
    let (qkv, tangent) = (host::values(qkv), host::values(tangent));
    let (qkv, tangent) = (qkv.slice(), tangent.slice());
    let scale = (c as f32).sqrt().recip();
    let mut y = vec![0.0; b * n * c];
    host::for_each_chunk(&mut y, n * c, |i, y| {
        let [image, change] = [qkv, tangent].map(|x| &x[i * n * pitch..][..n * pitch]);
        host::with_scratch(2 * n * n, |scratch| {
            let (weights, products) = scratch.split_at_mut(n * n);
            host::gemm([n, n, c], (image, pitch, 1), (&image[c..], 1, pitch), weights, false);
            softmax(weights, n, scale);
            host::gemm([n, n, c], (change, pitch, 1), (&image[c..], 1, pitch), products, false);
            host::gemm([n, n, c], (image, pitch, 1), (&change[c..], 1, pitch), products, true);
            softmax_gradient(weights, products, n, scale);
            host::gemm([n, c, n], (products, n, 1), (&image[2 * c..], pitch, 1), y, false);
            host::gemm([n, c, n], (weights, n, 1), (&change[2 * c..], pitch, 1), y, true);
        });
    });
    host::tensor(y, [b, n, c])
}

/// The gradient of [`attention`] for `qkv`.
///
/// With `P` the weights, `y = P·v` and `S = P∘(dy·vᵀ - rowsum(P∘(dy·vᵀ)))/sqrt c`:
/// `dq = S·k`, `dk = Sᵀ·q`, `dv = Pᵀ·dy`.
pub fn backward(qkv: &Tensor<3>, dy: &Tensor<3>) -> Tensor<3> {
    let [b, n, pitch] = qkv.dims();
    let c = pitch / 3;
    let (qkv, dy) = (host::values(qkv), host::values(dy));
    let (qkv, dy) = (qkv.slice(), dy.slice());
    let scale = (c as f32).sqrt().recip();
    let mut dqkv = vec![0.0; qkv.len()];
    host::for_each_chunk(&mut dqkv, n * pitch, |i, dqkv| {
        let (image, dy) = (&qkv[i * n * pitch..][..n * pitch], &dy[i * n * c..][..n * c]);
        let (keys, values) = (&image[c..], &image[2 * c..]);
        host::with_scratch(2 * n * n + n * c, |scratch| {
            let (weights, scratch) = scratch.split_at_mut(n * n);
            let (slopes, part) = scratch.split_at_mut(n * n);
            host::gemm([n, n, c], (image, pitch, 1), (keys, 1, pitch), weights, false);
            softmax(weights, n, scale);
            host::gemm([n, n, c], (dy, c, 1), (values, 1, pitch), slopes, false);
            softmax_gradient(weights, slopes, n, scale);
            let mut put = |which: usize, part: &[f32]| {
                let rows = dqkv.chunks_exact_mut(pitch).zip(part.chunks_exact(c));
                rows.for_each(|(row, part)| row[which * c..][..c].copy_from_slice(part));
            };
            host::gemm([n, c, n], (slopes, n, 1), (keys, pitch, 1), part, false);
            put(0, part);
            host::gemm([n, c, n], (slopes, 1, n), (image, pitch, 1), part, false);
            put(1, part);
            host::gemm([n, c, n], (weights, 1, n), (dy, c, 1), part, false);
            put(2, part);
        });
    });
    host::tensor(dqkv, [b, n, pitch])
}

/// Turns the gradients of `n` weights in each row of `slopes` into those of the scores they were made of; equally the
/// changes of the scores into those of the weights.
fn softmax_gradient(weights: &[f32], slopes: &mut [f32], n: usize, scale: f32) {
    host::vectorised(
        #[inline(always)]
        || {
            for (weights, slopes) in weights.chunks_exact(n).zip(slopes.chunks_exact_mut(n)) {
                let mean: f32 = weights.iter().zip(&*slopes).map(|(w, s)| w * s).sum();
                slopes.iter_mut().zip(weights).for_each(|(s, w)| *s = scale * w * (*s - mean));
            }
        },
    );
}

/// Replaces each row of `n` scores by `softmax(scale·row)`.
fn softmax(rows: &mut [f32], n: usize, scale: f32) {
    host::vectorised(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(n) {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|s| *s = host::exp((*s - largest) * scale));
                let inverse_sum = row.iter().sum::<f32>().recip();
                row.iter_mut().for_each(|w| *w *= inverse_sum);
            }
        },
    );
}
