//! Pooling on the CPU: along the columns, then along the rows.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{Pool, REACH, SIDE};
use crate::ops::host;

/// The windows of a tensor in main memory, without autodiff.
pub fn run(pool: Pool, x: &Tensor<4>) -> Tensor<4> {
    let [_, h, w, c] = x.dims();
    each_image(x, [x], |[x], y| {
        host::with_scratch(h * w * c, |columns| {
            along(pool, x, w * c, columns);
            for (x, y) in columns.chunks_exact(w * c).zip(y.chunks_exact_mut(w * c)) {
                along(pool, x, c, y);
            }
        });
    })
}

/// The gradient of [`run`] for `x`, `dy` being that of its result.
///
/// A sum of neighbours is its own transpose; of a maximum, the gradient goes to the first pixel that is the largest.
pub fn gradient(pool: Pool, x: &Tensor<4>, dy: &Tensor<4>) -> Tensor<4> {
    if pool == Pool::Mean {
        return run(pool, dy);
    }
    let [_, h, w, c] = x.dims();
    let (image, line) = (h * w * c, w * c);
    each_image(x, [x, dy], |[x, dy], dx| {
        host::with_scratch(4 * image, |scratch| {
            let (columns, scratch) = scratch.split_at_mut(image);
            let (dcolumns, scratch) = scratch.split_at_mut(image);
            let (best, place) = scratch.split_at_mut(image);
            along(pool, x, line, columns);
            dcolumns.fill(0.0);
            let rows = columns.chunks_exact(line).zip(dy.chunks_exact(line));
            for ((x, dy), dx) in rows.zip(dcolumns.chunks_exact_mut(line)) {
                to_largest(x, c, dy, dx, [&mut best[..line], &mut place[..line]]);
            }
            to_largest(x, line, dcolumns, dx, [best, place]);
        });
    })
}

/// A tensor like `shape`, each image of which `f` makes of the same of `inputs`.
fn each_image<const N: usize>(
    shape: &Tensor<4>,
    inputs: [&Tensor<4>; N],
    f: impl Fn([&[f32]; N], &mut [f32]) + Send + Sync,
) -> Tensor<4> {
    let [b, h, w, c] = shape.dims();
    let image = h * w * c;
    let inputs = inputs.map(host::values);
    let inputs = inputs.each_ref().map(|input| input.slice());
    let mut y = vec![0.0; b * image];
    host::for_each_chunk(&mut y, image.max(1), |i, y| {
        let images = inputs.map(|input| &input[i * image..][..image]);
        f(images, y);
    });
    host::tensor(y, [b, h, w, c])
}

/// Where in `total` values the lines `shift` further on are, and the lines that see them.
#[inline(always)]
fn shifted(total: usize, line: usize, shift: isize) -> [Range<usize>; 2] {
    let by = (shift.unsigned_abs() * line).min(total);
    match shift < 0 {
        true => [0..total - by, by..total],
        false => [by..total, 0..total - by],
    }
}

/// The neighbours, first to last.
fn shifts() -> impl Iterator<Item = isize> {
    (0..SIDE).map(|tap| tap as isize - REACH as isize)
}

/// One side of the windows: over lines of `line` values.
fn along(pool: Pool, x: &[f32], line: usize, y: &mut [f32]) {
    host::vectorised(
        #[inline(always)]
        || {
            y.copy_from_slice(x);
            for shift in shifts().filter(|shift| *shift != 0) {
                let [from, to] = shifted(x.len(), line, shift);
                match pool {
                    Pool::Mean => host::add(&mut y[to], &x[from]),
                    Pool::Max => y[to].iter_mut().zip(&x[from]).for_each(|(y, x)| *y = y.max(*x)),
                }
            }
            if pool == Pool::Mean {
                y.iter_mut().for_each(|y| *y /= SIDE as f32);
            }
        },
    );
}

/// Adds `dy`, that of the maxima along one side, to `dx` where they are; `best` and `place` are scratch.
fn to_largest(x: &[f32], line: usize, dy: &[f32], dx: &mut [f32], [best, place]: [&mut [f32]; 2]) {
    host::vectorised(
        #[inline(always)]
        || {
            best.fill(f32::NEG_INFINITY);
            place.fill(0.0);
            for shift in shifts() {
                let [from, to] = shifted(x.len(), line, shift);
                for ((best, place), x) in best[to.clone()].iter_mut().zip(&mut place[to]).zip(&x[from]) {
                    let larger = *x > *best;
                    *best = if larger { *x } else { *best };
                    *place = if larger { shift as f32 } else { *place };
                }
            }
            for shift in shifts() {
                let [from, to] = shifted(x.len(), line, shift);
                for ((dx, place), dy) in dx[from].iter_mut().zip(&place[to.clone()]).zip(&dy[to]) {
                    *dx += if *place == shift as f32 { *dy } else { 0.0 };
                }
            }
        },
    );
}
