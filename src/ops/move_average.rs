//! The moving average of the weights: of all of them, in one pass over memory.

use burn::tensor::Tensor;

use super::{combine, host, is_flex};

/// Moves `average` `[n]` towards `weights` `[n]`: `rate·average + (1 - rate)·weights`. Both are without autodiff.
pub fn move_average(average: &mut Tensor<1>, weights: &Tensor<1>, rate: f64) {
    if is_flex(&average.device()) {
        return move_on_host(average, weights, rate);
    }
    let image = |row: &Tensor<1>| row.clone().unsqueeze::<4>();
    let moved = combine(&[(image(average), &[rate]), (image(weights), &[1.0 - rate])]);
    *average = moved.reshape(average.dims());
}

fn move_on_host(average: &mut Tensor<1>, weights: &Tensor<1>, rate: f64) {
    /// Values that a thread takes at once.
    const CHUNK: usize = 1 << 13;
    let (weights, [rate, rest]) = (host::values(weights), [rate, 1.0 - rate].map(|share| share as f32));
    host::change(average, |average| {
        host::for_each_chunk(average, CHUNK, |i, average| {
            let weights = &weights.slice()[i * CHUNK..];
            host::vectorised(
                #[inline(always)]
                || {
                    average
                        .iter_mut()
                        .zip(weights)
                        .for_each(|(average, w)| *average = rate * *average + rest * w)
                },
            );
        });
    });
}
