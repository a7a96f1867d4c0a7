//! The transforms of [`super`], each a small matrix applied to the rows and columns of a tile, for a vector of
//! channels at a time.
//!
//! The matrices evaluate and interpolate polynomials at 0, ±a, ±b and infinity. Lavin and Gray take a = 1 and b = 2;
//! with a = 1/√2 and b = √2 the results lose half as many digits: 64 channels of normal values come out with an rms
//! error of 7.6e-7, at their points 1.6e-6, by the definition in `f32` 4.2e-7.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::ops::Range;

use pulp::{Simd, WithSimd};

/// Output pixels on the side of a tile.
pub const TILE: usize = 4;
/// Input pixels on the side of a tile.
pub const WINDOW: usize = TILE + 2;
/// Matrix products of the algorithm.
pub const POINTS: usize = WINDOW * WINDOW;

/// The points a and b, and their squares, exactly.
const P: f32 = FRAC_1_SQRT_2;
const P_SQ: f32 = 0.5;
const Q: f32 = SQRT_2;
const Q_SQ: f32 = 2.0;
/// One over the product of a point's distances to the others, for ±a and for ±b.
const NORM_P: f32 = -2.0 / 3.0;
const NORM_Q: f32 = 1.0 / 6.0;

/// A matrix of `M` rows and `N` columns.
pub trait Matrix<const N: usize, const M: usize> {
    /// Its product with a column of vectors.
    fn times<S: Simd>(&self, simd: S, column: [S::f32s; N]) -> [S::f32s; M];
}

/// `k·x + y`
#[inline(always)]
fn fma<S: Simd>(simd: S, k: f32, x: S::f32s, y: S::f32s) -> S::f32s {
    simd.mul_add_e_f32s(simd.splat_f32s(k), x, y)
}

#[inline(always)]
fn scale<S: Simd>(simd: S, k: f32, x: S::f32s) -> S::f32s {
    simd.mul_f32s(simd.splat_f32s(k), x)
}

/// `even + odd` and `even - odd`: a polynomial at a point and at its negative, or the even and the odd part of both.
#[inline(always)]
fn pair<S: Simd>(simd: S, even: S::f32s, odd: S::f32s) -> [S::f32s; 2] {
    [simd.add_f32s(even, odd), simd.sub_f32s(even, odd)]
}

/// `Bᵀ`, for what a tile sees.
pub struct Bt;

impl Matrix<6, 6> for Bt {
    #[inline(always)]
    fn times<S: Simd>(&self, simd: S, d: [S::f32s; 6]) -> [S::f32s; 6] {
        let [a, minus_a] =
            pair(simd, fma(simd, -Q_SQ, d[2], d[4]), scale(simd, P, fma(simd, -Q_SQ, d[1], d[3])));
        let [b, minus_b] =
            pair(simd, fma(simd, -P_SQ, d[2], d[4]), scale(simd, Q, fma(simd, -P_SQ, d[1], d[3])));
        let zero = fma(simd, -(P_SQ + Q_SQ), d[2], simd.add_f32s(d[0], d[4]));
        let infinity = fma(simd, -(P_SQ + Q_SQ), d[3], simd.add_f32s(d[1], d[5]));
        [zero, a, minus_a, b, minus_b, infinity]
    }
}

/// `G`, for a filter.
pub struct G;

impl Matrix<3, 6> for G {
    #[inline(always)]
    fn times<S: Simd>(&self, simd: S, g: [S::f32s; 3]) -> [S::f32s; 6] {
        let even_a = scale(simd, NORM_P, fma(simd, P_SQ, g[2], g[0]));
        let even_b = scale(simd, NORM_Q, fma(simd, Q_SQ, g[2], g[0]));
        let [a, minus_a] = pair(simd, even_a, scale(simd, NORM_P * P, g[1]));
        let [b, minus_b] = pair(simd, even_b, scale(simd, NORM_Q * Q, g[1]));
        [g[0], a, minus_a, b, minus_b, g[2]]
    }
}

/// `Gᵀ`, for the gradient of a filter.
pub struct Gt;

impl Matrix<6, 3> for Gt {
    #[inline(always)]
    fn times<S: Simd>(&self, simd: S, s: [S::f32s; 6]) -> [S::f32s; 3] {
        let [even_a, odd_a] = pair(simd, s[1], s[2]);
        let [even_b, odd_b] = pair(simd, s[3], s[4]);
        [
            fma(simd, NORM_P, even_a, fma(simd, NORM_Q, even_b, s[0])),
            fma(simd, NORM_P * P, odd_a, scale(simd, NORM_Q * Q, odd_b)),
            fma(simd, NORM_P * P_SQ, even_a, fma(simd, NORM_Q * Q_SQ, even_b, s[5])),
        ]
    }
}

/// `Aᵀ`, for a tile of the output.
pub struct At;

impl Matrix<6, 4> for At {
    #[inline(always)]
    fn times<S: Simd>(&self, simd: S, m: [S::f32s; 6]) -> [S::f32s; 4] {
        let [even_a, odd_a] = pair(simd, m[1], m[2]);
        let [even_b, odd_b] = pair(simd, m[3], m[4]);
        [
            simd.add_f32s(m[0], simd.add_f32s(even_a, even_b)),
            fma(simd, P, odd_a, scale(simd, Q, odd_b)),
            fma(simd, P_SQ, even_a, scale(simd, Q_SQ, even_b)),
            fma(simd, P_SQ * P, odd_a, fma(simd, Q_SQ * Q, odd_b, m[5])),
        ]
    }
}

/// `A`, for the gradient of such a tile.
pub struct A;

impl Matrix<4, 6> for A {
    #[inline(always)]
    fn times<S: Simd>(&self, simd: S, y: [S::f32s; 4]) -> [S::f32s; 6] {
        let [a, minus_a] =
            pair(simd, fma(simd, P_SQ, y[2], y[0]), scale(simd, P, fma(simd, P_SQ, y[3], y[1])));
        let [b, minus_b] =
            pair(simd, fma(simd, Q_SQ, y[2], y[0]), scale(simd, Q, fma(simd, Q_SQ, y[3], y[1])));
        [y[0], a, minus_a, b, minus_b, y[3]]
    }
}

/// Where a tile lies in a slice: its value in row `i` and column `j` begins at `first + i·row + j·column`, and is zero
/// outside of `rows` and `columns`.
pub struct Place {
    pub first: isize,
    pub row: usize,
    pub column: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

impl Place {
    /// Where each value begins, if it is there.
    #[inline(always)]
    fn all<const N: usize>(&self) -> [[Option<usize>; N]; N] {
        let mut all = [[None; N]; N];
        for (i, row) in all.iter_mut().enumerate() {
            for (j, at) in row.iter_mut().enumerate() {
                if self.rows.contains(&i) && self.columns.contains(&j) {
                    *at = Some((self.first + (i * self.row + j * self.column) as isize) as usize);
                }
            }
        }
        all
    }
}

/// A vector, or the last channels and zeros.
#[inline(always)]
fn load<S: Simd>(simd: S, x: &[f32]) -> S::f32s {
    match S::as_simd_f32s(x) {
        ([all], []) => *all,
        _ => simd.partial_load_f32s(x),
    }
}

/// As many values as there is room for.
#[inline(always)]
fn store<S: Simd>(simd: S, y: &mut [f32], values: S::f32s) {
    match S::as_mut_simd_f32s(y) {
        ([all], []) => *all = values,
        _ => simd.partial_store_f32s(y, values),
    }
}

/// Finds tiles by their number.
pub trait Layout {
    /// Channels of a value.
    fn channels(&self) -> usize;

    /// Where tile number `tile` lies.
    fn place(&self, tile: usize) -> Place;
}

/// Each value of a tile in a plane of its own, where tile follows tile.
#[derive(Debug, Clone, Copy)]
pub struct Planes {
    /// On the side of a tile.
    pub side: usize,
    /// Values from plane to plane.
    pub plane: usize,
    pub channels: usize,
}

impl Layout for Planes {
    #[inline(always)]
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn place(&self, tile: usize) -> Place {
        let Self { side, plane, channels } = *self;
        let first = (tile * channels) as isize;
        Place { first, row: side * plane, column: plane, rows: 0..side, columns: 0..side }
    }
}

/// `M·x·Mᵀ + bias` for the tiles `x` of `from`, written to those of `to`, with the widest vectors of this processor.
pub fn transform<const N: usize, const M: usize>(
    matrix: impl Matrix<N, M>,
    tiles: usize,
    from: (&[f32], impl Layout),
    to: (&mut [f32], impl Layout),
    bias: Option<&[f32]>,
) {
    pulp::Arch::new().dispatch(Transform { matrix, tiles, from, to, bias });
}

struct Transform<'a, T, X, Y, const N: usize, const M: usize> {
    matrix: T,
    tiles: usize,
    from: (&'a [f32], X),
    to: (&'a mut [f32], Y),
    bias: Option<&'a [f32]>,
}

impl<T: Matrix<N, M>, X: Layout, Y: Layout, const N: usize, const M: usize> WithSimd
    for Transform<'_, T, X, Y, N, M>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { matrix, tiles, from: (x, from), to: (y, to), bias } = self;
        let channels = from.channels();
        let zero = simd.splat_f32s(0.0);
        for tile in 0..tiles {
            let (from, to) = (from.place(tile).all::<N>(), to.place(tile).all::<M>());
            for c in (0..channels).step_by(S::F32_LANES) {
                let n = S::F32_LANES.min(channels - c);
                let mut rows = [[zero; M]; N];
                for (row, from) in rows.iter_mut().zip(&from) {
                    let mut values = [zero; N];
                    for (value, from) in values.iter_mut().zip(from) {
                        if let Some(at) = from {
                            *value = load(simd, &x[at + c..][..n]);
                        }
                    }
                    *row = matrix.times(simd, values);
                }
                let bias = match bias {
                    Some(bias) => load(simd, &bias[c..][..n]),
                    None => zero,
                };
                for j in 0..M {
                    let mut column = [zero; N];
                    for (value, row) in column.iter_mut().zip(&rows) {
                        *value = row[j];
                    }
                    for (value, to) in matrix.times(simd, column).into_iter().zip(&to) {
                        if let Some(at) = to[j] {
                            store(simd, &mut y[at + c..][..n], simd.add_f32s(value, bias));
                        }
                    }
                }
            }
        }
    }
}
