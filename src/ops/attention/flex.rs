//! Attention on the CPU, by blocks of queries whose weights stay in the L2 cache.

use burn::tensor::Tensor;

use crate::ops::cpu;

/// Queries of a block.
const QUERIES: usize = 64;

/// [`super::attention`] of a tensor in main memory, without gradients.
pub fn attention(qkv: Tensor<3>) -> Tensor<3> {
    let [b, n, pitch] = qkv.dims();
    let qkv = cpu::values(&qkv);
    let c = pitch / 3;
    let qkv = qkv.storage::<f32>();
    let scale = (c as f32).sqrt().recip();
    let mut y = vec![0.0; b * n * c];
    cpu::for_each_chunk(&mut y, n * c, |i, y| {
        let image = &qkv[i * n * pitch..][..n * pitch];
        let (keys, values) = (&image[c..], &image[2 * c..]);
        for (queries, y) in image.chunks(QUERIES * pitch).zip(y.chunks_mut(QUERIES * c)) {
            let m = queries.len() / pitch;
            cpu::with_scratch(m * n, |weights| {
                cpu::gemm([m, n, c], (queries, pitch, 1), (keys, 1, pitch), weights, false);
                softmax(weights, n, scale);
                cpu::gemm([m, c, n], (weights, n, 1), (values, pitch, 1), y, false);
            });
        }
    });
    cpu::tensor(y, [b, n, c])
}

/// Replaces each row of `n` scores by `softmax(scale·row)`.
fn softmax(rows: &mut [f32], n: usize, scale: f32) {
    cpu::vectorised(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(n) {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|s| *s = cpu::exp((*s - largest) * scale));
                let inverse_sum = row.iter().sum::<f32>().recip();
                row.iter_mut().for_each(|w| *w *= inverse_sum);
            }
        },
    );
}
