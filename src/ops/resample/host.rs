//! Resampling on the CPU.

use burn::tensor::Tensor;

use super::Windows;
use crate::ops::host;

/// The pixels that make up pixel `i` of a side of `size` pixels, with their weights.
fn window(windows: &Windows, i: usize, size: usize) -> impl Iterator<Item = (usize, f32)> + Clone {
    let Windows { stride, divisor, back, taps, weights, .. } = *windows;
    let first = (stride * i).div_ceil(divisor);
    let weights = weights[i % divisor];
    (0..taps).filter_map(move |tap| {
        let place = (first + tap).checked_sub(back)?;
        (place < size).then_some((place, weights[tap]))
    })
}

/// The sums of all windows of a tensor in main memory.
pub fn run(windows: &Windows, x: &Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let [out_h, out_w] = [h, w].map(|side| windows.out(side));
    let x = host::values(x);
    let x = x.slice();
    let mut y = vec![0.0; b * out_h * out_w * c];
    host::for_each_chunk(&mut y, (out_w * c).max(1), |line, y| {
        let (image, row) = (line / out_h, line % out_h);
        host::vectorised(
            #[inline(always)]
            || {
                for (column, y) in y.chunks_exact_mut(c).enumerate() {
                    for (row, a) in window(windows, row, h) {
                        for (column, b) in window(windows, column, w) {
                            let pixel = &x[((image * h + row) * w + column) * c..][..c];
                            y.iter_mut().zip(pixel).for_each(|(y, x)| *y += a * b * x);
                        }
                    }
                }
            },
        );
    });
    host::tensor(y, [b, out_h, out_w, c])
}
