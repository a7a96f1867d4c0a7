//! Convolution on the CPU: 3x3 in tiles, where that is faster, all others by their windows.

mod windows;
mod winograd;

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

use super::Filter;
use crate::ops::host;
use windows::Windows;
use winograd::Tiles;

/// Tiles of the images of a 3x3 convolution of stride 1 with so many channels; `geometry` is kernel, stride and padding.
fn tiles([batch, height, width, c_in]: [usize; 4], c_out: usize, geometry: [usize; 3]) -> Option<Tiles> {
    match geometry {
        [3, 1, 1] => Tiles::new([batch, height, width], [c_in, c_out]),
        _ => None,
    }
}

/// The convolution of a tensor in main memory. Where the weights stay as they are, much of the work with them is done
/// once.
pub fn forward(x: &Tensor<4>, filter: &Filter, weights_stay: bool) -> Tensor<4> {
    let (dims, [_, c_out], stride) = (x.dims(), filter.weight.dims(), filter.stride);
    let geometry = [filter.kernel, stride, filter.pad];
    let (x, weight, bias) = (host::values(x), host::values(&filter.weight), host::values(&filter.bias));
    let (x, bias) = (x.slice(), bias.slice());
    let y = match tiles(dims, c_out, geometry) {
        Some(tiles) if weights_stay => tiles.convolve(x, &winograd::kept(&tiles, &weight), bias),
        Some(tiles) => host::with_scratch(tiles.filter_len(), |u| {
            tiles.transform_filter(weight.slice(), u);
            tiles.convolve(x, u, bias)
        }),
        None => Windows::new(dims, geometry).convolve(x, weight.slice(), bias),
    };
    let [batch, height, width, _] = dims;
    host::tensor(y, [batch, height.div_ceil(stride), width.div_ceil(stride), c_out])
}

/// Images whose weight gradients are summed in one block: a constant, so that the order of the
/// additions does not depend on the machine.
const BLOCK: usize = 4;

/// Gradients of `x`, weight and bias for `dy` spread to the size of `x`.
pub fn gradients(x: &Tensor<4>, filter: &Filter, dy: Tensor<4>) -> [DispatchTensor; 3] {
    let ([batch, height, width, c_in], [rows, c_out], kernel) =
        (x.dims(), filter.weight.dims(), filter.kernel);
    let (x, dy, weight) = (host::values(x), host::values(&dy), host::values(&filter.weight));
    let (x, dy) = (x.slice(), dy.slice());
    let mirrored = mirror(weight.slice(), kernel * kernel, c_in, c_out);
    let dims = [batch, height, width, c_out];
    let geometry = [kernel, 1, kernel - 1 - filter.pad];
    let [dx, dw, db] = match tiles(dims, c_in, geometry) {
        Some(tiles) => tiles.gradients(x, dy, &mirrored),
        None => Windows::new(dims, geometry).gradients(x, dy, &mirrored, c_in),
    };
    [
        host::tensor::<4>(dx, [batch, height, width, c_in]).into_dispatch(),
        host::tensor::<2>(dw, [rows, c_out]).into_dispatch(),
        host::tensor::<1>(db, [c_out]).into_dispatch(),
    ]
}

/// Adds the pixels of `dy` to the gradient of a bias.
fn add_pixels(db: &mut [f32], dy: &[f32]) {
    host::vectorised(
        #[inline(always)]
        || dy.chunks_exact(db.len()).for_each(|pixel| host::add(db, pixel)),
    );
}

/// `[k·k, c_in, c_out]` to `[k·k, c_out, c_in]`, the taps in the opposite order. On the host, as burn's flip and
/// permutation of tensors would take 4 % of a training step.
fn mirror(weight: &[f32], area: usize, c_in: usize, c_out: usize) -> Vec<f32> {
    /// Rows that are written to side by side: each value read is then in the cache, and so is where it goes.
    const ROWS: usize = 16;
    let mut mirrored = vec![0.0; weight.len()];
    host::for_each_chunk(&mut mirrored, c_in * c_out, |tap, mirrored| {
        let weight = &weight[(area - 1 - tap) * c_in * c_out..][..c_in * c_out];
        for (k, rows) in mirrored.chunks_mut(ROWS * c_in).enumerate() {
            for (i, weight) in weight.chunks_exact(c_out).enumerate() {
                let weight = &weight[k * ROWS..];
                rows.chunks_exact_mut(c_in).zip(weight).for_each(|(row, w)| row[i] = *w);
            }
        }
    });
    mirrored
}
