//! Nearest-neighbour upsampling by two.

use burn::tensor::Tensor;

use crate::ops::gradient::record;
use crate::ops::{host, is_flex};

/// Doubles height and width, each pixel repeated (nearest neighbour): `[b, h, w, c]` to `[b, 2h, 2w, c]`.
pub fn upsample(x: Tensor<4>) -> Tensor<4> {
    let plain = x.clone().without_autodiff();
    if !is_flex(&plain.device()) {
        return upsample_plain(x);
    }
    let [b, h, w, c] = x.dims();
    let y = {
        let plain = host::values(&plain);
        let plain = plain.slice();
        let mut y = vec![0.0; 4 * plain.len()];
        host::for_each_chunk(&mut y, 4 * w * c, |line, y| {
            let (first, second) = y.split_at_mut(2 * w * c);
            let pixels = plain[line * w * c..][..w * c].chunks_exact(c);
            for (pair, pixel) in first.chunks_exact_mut(2 * c).zip(pixels) {
                pair[..c].copy_from_slice(pixel);
                pair[c..].copy_from_slice(pixel);
            }
            second.copy_from_slice(first);
        });
        host::tensor(y, [b, 2 * h, 2 * w, c])
    };
    record([x.into_dispatch()], y, move |dy, _| {
        let dy = host::values(&dy);
        let dy = dy.slice();
        let mut dx = vec![0.0; dy.len() / 4];
        host::for_each_chunk(&mut dx, w * c, |line, dx| {
            let lines = dy[4 * line * w * c..][..4 * w * c].chunks_exact(2 * w * c);
            for pairs in lines.map(|line| line.chunks_exact(2 * c)) {
                for (dx, pair) in dx.chunks_exact_mut(c).zip(pairs) {
                    let (left, right) = pair.split_at(c);
                    dx.iter_mut().zip(left.iter().zip(right)).for_each(|(d, (l, r))| *d += l + r);
                }
            }
        });
        [Some(host::tensor::<4>(dx, [b, h, w, c]).into_dispatch())]
    })
}

/// [`upsample`] in burn's stock operations.
pub fn upsample_plain(x: Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let rows = x.reshape([b * h * w, 1, c]).repeat_dim(1, 2).reshape([b * h, 1, 2 * w * c]);
    rows.repeat_dim(1, 2).reshape([b, 2 * h, 2 * w, c])
}
