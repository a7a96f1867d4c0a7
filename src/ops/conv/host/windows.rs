//! Convolution by its definition.
//!
//! Each image becomes a matrix of its windows (im2col) that stays in the L2 cache between the copy and
//! the matrix product. Channels last makes a row of a window one run of memory.

use super::{BLOCK, add_pixels};
use crate::ops::host;

/// The geometry of one convolution: which pixels each output pixel sees.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    batch: usize,
    height: usize,
    width: usize,
    c_in: usize,
    kernel: usize,
    stride: usize,
    pad: usize,
    out_height: usize,
    out_width: usize,
}

impl Windows {
    pub fn new([batch, height, width, c_in]: [usize; 4], [kernel, stride, pad]: [usize; 3]) -> Self {
        let (out_height, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
        Self { batch, height, width, c_in, kernel, stride, pad, out_height, out_width }
    }

    /// Values of an input image.
    fn image(&self) -> usize {
        self.height * self.width * self.c_in
    }

    fn rows(&self) -> usize {
        self.out_height * self.out_width
    }

    fn columns(&self) -> usize {
        self.kernel * self.kernel * self.c_in
    }

    /// Copies each window of `image` into a row of `columns` `[rows, k·k·c_in]`.
    fn im2col(&self, image: &[f32], columns: &mut [f32]) {
        let (k, c, pad) = (self.kernel, self.c_in, self.pad);
        let mut lines = columns.chunks_exact_mut(k * c);
        for oy in 0..self.out_height {
            for ox in 0..self.out_width {
                let x0 = ox * self.stride;
                let left = pad.saturating_sub(x0);
                let right = k.min(self.width + pad - x0);
                for (ky, line) in (0..k).zip(&mut lines) {
                    let y = oy * self.stride + ky;
                    if y < pad || y >= self.height + pad {
                        line.fill(0.0);
                        continue;
                    }
                    let pixel = (y - pad) * self.width + x0 + left - pad;
                    line[..left * c].fill(0.0);
                    line[left * c..right * c].copy_from_slice(&image[pixel * c..][..(right - left) * c]);
                    line[right * c..].fill(0.0);
                }
            }
        }
    }

    /// Lends the window matrix of one image. A 1x1 convolution's is the image.
    fn with_columns<R>(&self, image: &[f32], f: impl FnOnce(&[f32]) -> R) -> R {
        if self.kernel == 1 && self.stride == 1 {
            return f(image);
        }
        host::with_scratch(self.rows() * self.columns(), |columns| {
            self.im2col(image, columns);
            f(columns)
        })
    }

    /// The convolution of `x` with `weight` `[k·k·c_in, c_out]`.
    pub fn convolve(&self, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let (rows, columns, c_out) = (self.rows(), self.columns(), bias.len());
        let mut y = vec![0.0; self.batch * rows * c_out];
        host::for_each_chunk(&mut y, rows * c_out, |i, y| {
            y.chunks_exact_mut(c_out).for_each(|pixel| pixel.copy_from_slice(bias));
            self.with_columns(&x[i * self.image()..][..self.image()], |a| {
                host::gemm([rows, c_out, columns], (a, columns, 1), (weight, c_out, 1), y, true);
            });
        });
        y
    }

    /// The gradients of a convolution's input, weight and bias, `self` being the windows of `dy` and `mirrored` its filter
    /// in reverse.
    ///
    /// Both large ones are products with the windows of `dy`, which are copied once.
    pub fn gradients(&self, x: &[f32], dy: &[f32], mirrored: &[f32], c_in: usize) -> [Vec<f32>; 3] {
        let (rows, columns, c_out) = (self.rows(), self.columns(), self.c_in);
        let (image, row) = (rows * c_in, columns * c_in + c_out);
        let mut dx = vec![0.0; self.batch * image];
        let mut partial = vec![0.0; self.batch.div_ceil(BLOCK) * row];
        host::for_each_parts([(&mut dx, BLOCK * image), (&mut partial, row)], |block, [dx, partial]| {
            let (dw, db) = partial.split_at_mut(columns * c_in);
            for (i, dx) in dx.chunks_exact_mut(image).enumerate() {
                let i = block * BLOCK + i;
                let (x, dy) = (&x[i * image..][..image], &dy[i * self.image()..][..self.image()]);
                self.with_columns(dy, |a| {
                    host::gemm([rows, c_in, columns], (a, columns, 1), (mirrored, c_in, 1), dx, false);
                    host::gemm([c_in, columns, rows], (x, 1, c_in), (a, columns, 1), dw, true);
                });
                add_pixels(db, dy);
            }
        });
        let mut dw = host::sum_rows(&partial, row);
        let db = dw.split_off(columns * c_in);
        // As a filter from `dy` to `x`, dw is [c_in, k·k·c_out]: the same exchange leads back.
        [dx, unmirror(&dw, self.kernel * self.kernel, c_in, c_out), db]
    }
}

/// `[c_in, k·k, c_out]` to `[k·k, c_in, c_out]`, the taps in the opposite order.
fn unmirror(gradient: &[f32], area: usize, c_in: usize, c_out: usize) -> Vec<f32> {
    let mut weight = Vec::with_capacity(gradient.len());
    for tap in (0..area).rev() {
        for i in 0..c_in {
            weight.extend_from_slice(&gradient[(i * area + tap) * c_out..][..c_out]);
        }
    }
    weight
}
