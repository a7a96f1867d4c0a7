//! Softmax attention of every pixel to all pixels.

use burn::tensor::{Tensor, activation::softmax};

/// `softmax(q·kᵀ/sqrt c)·v` for `qkv` `[b, n, 3c]`, whose rows hold query, key and value of one pixel.
///
/// Returns `[b, n, c]`. Time grows with `n²`; memory too, except where a kernel works in tiles.
pub fn attention(qkv: Tensor<3>) -> Tensor<3> {
    attention_plain(qkv)
}

/// [`attention`] in burn's stock operations: the oracle of the tests.
pub fn attention_plain(qkv: Tensor<3>) -> Tensor<3> {
    let [_, _, c] = qkv.dims();
    let c = c / 3;
    let part = |i: usize| qkv.clone().narrow(2, i * c, c);
    let weights = softmax(part(0).matmul(part(1).swap_dims(1, 2)) / (c as f64).sqrt(), 2);
    weights.matmul(part(2))
}
