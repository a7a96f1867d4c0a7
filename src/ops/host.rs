//! Helpers shared by the CPU halves of the ops: matrix product, work splitting, scratch memory.
//!
//! Invariant: a result never depends on the number of threads. Work is cut into blocks whose size
//! depends on the shapes alone, and partial sums are added in block order, which is what lets a
//! resumed training run repeat the first one bit for bit.

#[cfg(not(feature = "cpu"))]
mod absent;
#[cfg(feature = "cpu")]
mod memory;

use std::cell::RefCell;

#[cfg(not(feature = "cpu"))]
pub use absent::{Values, change, tensor, values};
#[cfg(feature = "cpu")]
pub use memory::{Values, change, tensor, values};

/// `c = a·b`, or `c += a·b` when `accumulate`.
///
/// `a` is `[m, k]` and `b` is `[k, n]`, each given with its (row, column) strides so that a
/// transpose costs nothing; `c` is `[m, n]`, row-major.
#[expect(unsafe_code, reason = "gemm takes raw pointers; the asserts below are its contract")]
pub fn gemm(
    [m, n, k]: [usize; 3],
    (a, a_row, a_col): (&[f32], usize, usize),
    (b, b_row, b_col): (&[f32], usize, usize),
    c: &mut [f32],
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(k > 0 && c.len() >= m * n);
    assert!(a.len() > (m - 1) * a_row + (k - 1) * a_col);
    assert!(b.len() > (k - 1) * b_row + (n - 1) * b_col);
    // SAFETY: the asserts bound every element that the strides can reach.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            accumulate,
            a.as_ptr(),
            a_col as isize,
            a_row as isize,
            b.as_ptr(),
            b_col as isize,
            b_row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Runs `f(block, chunk)` over consecutive chunks of `data`, in parallel where there are threads.
pub fn for_each_chunk(data: &mut [f32], chunk: usize, f: impl Fn(usize, &mut [f32]) + Send + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        data.par_chunks_mut(chunk).enumerate().for_each(|(i, part)| f(i, part));
    }
    #[cfg(target_family = "wasm")]
    data.chunks_mut(chunk).enumerate().for_each(|(i, part)| f(i, part));
}

/// [`for_each_chunk`] over several slices, each with its size of chunks and all of equally many.
pub fn for_each_parts<const N: usize>(
    parts: [(&mut [f32], usize); N],
    f: impl Fn(usize, [&mut [f32]; N]) + Send + Sync,
) {
    let mut parts = parts.map(|(part, chunk)| part.chunks_mut(chunk));
    let n = parts[0].len();
    let next = |_| parts.each_mut().map(|chunks| chunks.next().expect("equally many chunks"));
    for_each((0..n).map(next).enumerate().collect(), |(i, chunks)| f(i, chunks));
}

/// Does each job, in parallel where there are threads.
pub fn for_each<T: Send>(jobs: Vec<T>, f: impl Fn(T) + Send + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        jobs.into_par_iter().for_each(f);
    }
    #[cfg(target_family = "wasm")]
    jobs.into_iter().for_each(f);
}

/// Adds `x` to `sum`, value by value.
#[inline(always)]
pub fn add(sum: &mut [f32], x: &[f32]) {
    sum.iter_mut().zip(x).for_each(|(s, x)| *s += x);
}

/// Adds the rows of a `[n, len]` matrix, first to last.
pub fn sum_rows(rows: &[f32], len: usize) -> Vec<f32> {
    const CHUNK: usize = 1 << 12;
    let mut total = vec![0.0; len];
    for_each_chunk(&mut total, CHUNK, |i, total| {
        vectorised(
            #[inline(always)]
            || rows.chunks_exact(len).for_each(|row| add(total, &row[i * CHUNK..])),
        );
    });
    total
}

/// Lends a buffer of `len` floats that each thread keeps, so that hot loops do not allocate.
/// Its content is whatever the last borrower left. Who borrows while borrowing gets another one.
pub fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) });
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = f(&mut buffer[..len]);
    SCRATCH.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}

/// Runs a loop with the widest vector instructions of this processor.
#[inline(always)]
pub fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    struct Body<F>(F);
    impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Body<F> {
        type Output = R;
        #[inline(always)]
        fn call(self) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Body(body))
}

/// `e^x` without a branch or a call, so that loops over it vectorise; relative error below 3e-7
/// for `|x| <= 87`, saturating outside.
///
/// Cody-Waite reduction `x = n·ln 2 + r` and a degree-6 polynomial in `r`.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5·2^23: adding it rounds to the nearest integer
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.388_888_9e-3_f32;
    for c in [8.333_333e-3, 4.166_666_8e-2, 1.666_666_7e-1, 0.5, 1.0, 1.0] {
        p = p * r + c;
    }
    // The lowest bits of `shifted` are the integer n; in the place of the exponent it is 2^n.
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()))
}

/// `1/(1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_whole_range() {
        for i in -86_999..=86_999 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}) is off by {error:e}");
        }
    }

    #[test]
    fn gemm_multiplies_transposed_operands() {
        // a = [[1,2],[3,4],[5,6]], b = [[1,0],[2,1]]
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b_transposed = [1.0, 2.0, 0.0, 1.0];
        let mut c = [1.0; 6];
        gemm([3, 2, 2], (&a, 2, 1), (&b_transposed, 1, 2), &mut c, true);
        assert_eq!(c, [6.0, 3.0, 12.0, 5.0, 18.0, 7.0]);
    }
}
