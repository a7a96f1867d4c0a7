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
    let (x, bias) = (x.storage::<f32>(), bias.storage::<f32>());
    let y = match tiles(dims, c_out, geometry) {
        Some(tiles) if weights_stay => tiles.convolve(x, &winograd::kept(&tiles, &weight), bias),
        Some(tiles) => host::with_scratch(tiles.filter_len(), |u| {
            tiles.transform_filter(weight.storage(), u);
            tiles.convolve(x, u, bias)
        }),
        None => Windows::new(dims, geometry).convolve(x, weight.storage(), bias),
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
    let (x, dy) = (x.storage::<f32>(), dy.storage::<f32>());
    let mirrored = mirror(weight.storage::<f32>(), kernel * kernel, c_in, c_out);
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
    let mut mirrored = vec![0.0; weight.len()];
    for (tap, weight) in weight.chunks_exact(c_in * c_out).enumerate() {
        let tap = &mut mirrored[(area - 1 - tap) * c_in * c_out..][..c_in * c_out];
        for (i, weight) in weight.chunks_exact(c_out).enumerate() {
            weight.iter().enumerate().for_each(|(o, w)| tap[o * c_in + i] = *w);
        }
    }
    mirrored
}
