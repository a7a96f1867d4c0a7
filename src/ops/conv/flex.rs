//! Convolution on the CPU.
//!
//! Each image becomes a matrix of its windows (im2col) that stays in the L2 cache between the copy and
//! the matrix product. Channels last makes a row of a window one run of memory.

mod add;
#[cfg(not(target_family = "wasm"))]
mod backward;

pub use add::add;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use crate::ops::cpu;

/// [`super::conv`] of tensors in main memory.
pub fn conv(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>, kernel: usize, stride: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::conv_nhwc(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        kernel,
        stride,
    ))
}

#[cfg_attr(not(target_family = "wasm"), backend_extension(Flex, Autodiff))]
#[cfg_attr(target_family = "wasm", backend_extension(Flex))]
trait ConvOps: Backend {
    fn conv_nhwc(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self>;
}

impl ConvOps for Flex {
    fn conv_nhwc(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        kernel: usize,
        stride: usize,
    ) -> FlexTensor {
        let windows = Windows::new(&x, kernel, stride);
        forward(&windows, &x.to_contiguous(), &weight.to_contiguous(), &bias.to_contiguous())
    }
}

/// The geometry of one convolution: which pixels each output pixel sees.
#[derive(Debug, Clone, Copy)]
struct Windows {
    batch: usize,
    height: usize,
    width: usize,
    c_in: usize,
    kernel: usize,
    stride: usize,
    out_height: usize,
    out_width: usize,
}

impl Windows {
    fn new(x: &FlexTensor, kernel: usize, stride: usize) -> Self {
        let [batch, height, width, c_in] = x.shape().dims();
        let out = |size: usize| (size + 2 * (kernel / 2) - kernel) / stride + 1;
        let (out_height, out_width) = (out(height), out(width));
        Self { batch, height, width, c_in, kernel, stride, out_height, out_width }
    }

    fn pixels_in(&self) -> usize {
        self.height * self.width * self.c_in
    }

    fn rows(&self) -> usize {
        self.out_height * self.out_width
    }

    fn columns(&self) -> usize {
        self.kernel * self.kernel * self.c_in
    }

    /// A 1x1 convolution reads its image as the matrix of windows that it already is.
    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1
    }

    /// Calls `f(window offset, pixel offset, length)` for every run of memory that a window row
    /// shares with the image; the pixel offset is `None` where the run is padding.
    #[inline(always)]
    fn for_each_run(&self, mut f: impl FnMut(usize, Option<usize>, usize)) {
        let (k, c, pad) = (self.kernel, self.c_in, self.kernel / 2);
        let mut at = 0;
        for oy in 0..self.out_height {
            for ox in 0..self.out_width {
                let x0 = ox * self.stride;
                let left = pad.saturating_sub(x0);
                let right = k.min(self.width + pad - x0);
                for ky in 0..k {
                    let y = oy * self.stride + ky;
                    if y < pad || y >= self.height + pad {
                        f(at, None, k * c);
                    } else {
                        let pixel = (y - pad) * self.width + x0 + left - pad;
                        f(at, None, left * c);
                        f(at + left * c, Some(pixel * c), (right - left) * c);
                        f(at + right * c, None, (k - right) * c);
                    }
                    at += k * c;
                }
            }
        }
    }

    /// Copies each window of `image` into a row of `columns` `[rows, k·k·c_in]`.
    fn im2col(&self, image: &[f32], columns: &mut [f32]) {
        self.for_each_run(|at, from, len| match from {
            Some(from) => columns[at..at + len].copy_from_slice(&image[from..from + len]),
            None => columns[at..at + len].fill(0.0),
        });
    }

    /// Lends the window matrix of one image.
    fn with_columns<R>(&self, image: &[f32], f: impl FnOnce(&[f32]) -> R) -> R {
        if self.is_pointwise() {
            return f(image);
        }
        cpu::with_scratch(self.rows() * self.columns(), |columns| {
            self.im2col(image, columns);
            f(columns)
        })
    }
}

fn forward(windows: &Windows, x: &FlexTensor, weight: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
    let (x, weight, bias) = (x.storage::<f32>(), weight.storage::<f32>(), bias.storage::<f32>());
    let (rows, columns, c_out) = (windows.rows(), windows.columns(), bias.len());
    let mut y = vec![0.0; windows.batch * rows * c_out];
    cpu::for_each_chunk(&mut y, rows * c_out, |i, y| {
        y.chunks_exact_mut(c_out).for_each(|pixel| pixel.copy_from_slice(bias));
        windows.with_columns(&x[i * windows.pixels_in()..][..windows.pixels_in()], |a| {
            cpu::gemm([rows, c_out, columns], (a, columns, 1), (weight, c_out, 1), y, true);
        });
    });
    cpu::tensor(y, [windows.batch, windows.out_height, windows.out_width, c_out])
}
