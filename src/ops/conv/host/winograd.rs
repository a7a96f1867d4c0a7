//! 3x3 convolution on the CPU by Winograd's minimal filtering, F(4x4, 3x3) (Lavin and Gray 2016).
//!
//! A tile of 4x4 output pixels takes 36 products for each pair of channels, where the definition takes 144:
//! `y = Aᵀ·(sum over input channels of (G·g·Gᵀ)∘(Bᵀ·d·B))·A` for the filter `g` and the 6x6 pixels `d` that the tile
//! sees. The sum at each of the 36 places is a matrix product over the tiles.

mod kept;
mod transform;

use std::ops::Range;

pub use kept::kept;

use super::{BLOCK, add_pixels};
use crate::ops::host;
use transform::{A, At, Bt, G, Gt, Layout, POINTS, Place, Planes, TILE, WINDOW, transform};

/// Tiles of a band, about: enough rows for a matrix product, few enough for the L2 cache.
const BAND: usize = 32;
/// Channels below which the transforms cost more than they save.
const FEWEST_CHANNELS: usize = 8;
/// Input channels whose filters a thread takes at a time: what they are transformed to fits into its cache.
const CHANNELS: usize = 32;
/// Pairs of channels from which a band's matrix products are worth dividing among threads.
const WIDE: usize = 1 << 13;
/// Between planes, lest the same place in all of them falls into the same set of the cache.
const GAP: usize = 16;

/// A convolution's images in tiles.
#[derive(Debug, Clone, Copy)]
pub struct Tiles {
    batch: usize,
    height: usize,
    width: usize,
    c_in: usize,
    c_out: usize,
    down: usize,
    across: usize,
    /// Of a band: whole images, or some rows of tiles of one.
    images: usize,
    rows: usize,
}

/// What one thread does at a time.
#[derive(Debug, Clone, Copy)]
struct Band {
    /// The first image and how many.
    image: usize,
    images: usize,
    /// The first row of tiles in each and how many.
    top: usize,
    rows: usize,
}

impl Tiles {
    /// `None` where the definition is as fast.
    pub fn new([batch, height, width]: [usize; 3], [c_in, c_out]: [usize; 2]) -> Option<Self> {
        let (down, across) = (height.div_ceil(TILE), width.div_ceil(TILE));
        let tiles = down * across;
        // The last tiles of a row and of a column may lie outside for the most part.
        if 2 * POINTS * tiles > 9 * height * width || c_in.min(c_out) < FEWEST_CHANNELS {
            return None;
        }
        let (images, rows) = match tiles <= BAND {
            true => (BAND / tiles, down),
            false => (1, (BAND / across).max(1)),
        };
        Some(Self { batch, height, width, c_in, c_out, down, across, images, rows })
    }

    fn bands(&self) -> impl Iterator<Item = Band> {
        let Self { batch, down, images, rows, .. } = *self;
        (0..batch).step_by(images).flat_map(move |image| {
            let images = images.min(batch - image);
            (0..down).step_by(rows).map(move |top| Band { image, images, top, rows: rows.min(down - top) })
        })
    }

    /// Each band with its part of the output `y`.
    fn split<'a>(&self, y: &'a mut [f32]) -> Vec<(Band, &'a mut [f32])> {
        let row = self.width * self.c_out;
        let images = self.images * self.height * row;
        let band = if self.rows == self.down { images } else { self.rows * TILE * row };
        self.bands().zip(y.chunks_mut(images).flat_map(|images| images.chunks_mut(band))).collect()
    }

    /// Where the planes of a transformed filter lie.
    fn transformed_filter(&self) -> Planes {
        Planes::transformed(self.c_in, self.c_out)
    }

    /// Values of a transformed filter.
    pub fn filter_len(&self) -> usize {
        POINTS * self.transformed_filter().plane
    }

    /// Writes to `u` what [`Self::convolve`] takes of a filter `[9·c_in, c_out]`.
    pub fn transform_filter(&self, weight: &[f32], u: &mut [f32]) {
        let Self { c_in, c_out, .. } = *self;
        let parts = runs::<POINTS>(u, self.transformed_filter().plane, c_in * c_out, CHANNELS * c_out);
        host::for_each(parts, |(k, mut u)| {
            let channels = self.part(k);
            let planes = Planes::transformed(channels.len(), c_out);
            host::with_scratch(POINTS * planes.plane, |part| {
                let weight = &weight[channels.start * c_out..];
                transform(G, channels.len(), (weight, self.filter()), (part, planes), None);
                copy(part, planes.plane, &mut u);
            });
        });
    }

    /// The convolution of `x` `[b, h, w, c_in]` with a transformed filter: `[b, h, w, c_out]`.
    pub fn convolve(&self, x: &[f32], u: &[f32], bias: &[f32]) -> Vec<f32> {
        let Self { batch, height, width, c_in, c_out, .. } = *self;
        let mut y = vec![0.0; batch * height * width * c_out];
        host::for_each(self.split(&mut y), |(band, y)| {
            let n = band.tiles(self);
            let (v_planes, m_planes) = (Planes::transformed(n, c_in), Planes::transformed(n, c_out));
            host::with_scratch(POINTS * (v_planes.plane + m_planes.plane), |scratch| {
                let (v, m) = scratch.split_at_mut(POINTS * v_planes.plane);
                transform(Bt, n, (x, band.within(self, 1, c_in)), (v, v_planes), None);
                let planes =
                    v.chunks_exact(v_planes.plane).zip(u.chunks_exact(self.transformed_filter().plane));
                self.for_each_point(planes.zip(m.chunks_exact_mut(m_planes.plane)), |((v, u), m)| {
                    host::gemm([n, c_out, c_in], (v, c_in, 1), (u, c_out, 1), m, false);
                });
                transform(At, n, (m, m_planes), (y, band.apart(self, c_out)), Some(bias));
            });
        });
        y
    }

    /// The gradients of a convolution's input, weight and bias, `self` being the tiles of `dy` and `mirrored` its filter
    /// in reverse.
    pub fn gradients(&self, x: &[f32], dy: &[f32], mirrored: &[f32]) -> [Vec<f32>; 3] {
        let Self { batch, height, width, c_in: c_out, c_out: c_in, .. } = *self;
        let dx = host::with_scratch(self.filter_len(), |u| {
            self.transform_filter(mirrored, u);
            self.convolve(dy, u, &vec![0.0; c_in])
        });
        let (weight, image) = (9 * c_in * c_out, height * width);
        let row = weight + c_out;
        let block = BLOCK.max(self.images);
        let mut partial = vec![0.0; batch.div_ceil(block) * row];
        host::for_each_chunk(&mut partial, row, |i, partial| {
            let (dw, db) = partial.split_at_mut(weight);
            let (first, n) = (i * block, block.min(batch - i * block));
            let (x, dy) = (&x[first * image * c_in..], &dy[first * image * c_out..][..n * image * c_out]);
            Self { batch: n, c_in, c_out, ..*self }.filter_gradient(x, dy, dw);
            add_pixels(db, dy);
        });
        let mut dw = host::sum_rows(&partial, row);
        let db = dw.split_off(weight);
        [dx, dw, db]
    }

    /// The gradient of the filter of a convolution for `dy`, that of its result:
    /// `Gᵀ·(sum over tiles of (Bᵀ·d·B)∘(A·dy·Aᵀ))·G`, some input channels for each thread.
    fn filter_gradient(&self, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        let Self { c_in, c_out, .. } = *self;
        let most = BAND.max(self.across);
        let planes = |c| Planes::transformed(most, c).plane;
        let s_planes = Planes::transformed(CHANNELS.min(c_in), c_out);
        let sums = POINTS * s_planes.plane;
        host::with_scratch(c_in.div_ceil(CHANNELS) * sums + POINTS * planes(c_out), |scratch| {
            let (s, d) = scratch.split_at_mut(c_in.div_ceil(CHANNELS) * sums);
            s.fill(0.0);
            for band in self.bands() {
                let n = band.tiles(self);
                let d_planes = Planes::transformed(n, c_out);
                transform(A, n, (dy, band.within(self, 0, c_out)), (d, d_planes), None);
                let d = &*d;
                host::for_each_chunk(s, sums, |k, s| {
                    let channels = self.part(k);
                    let v_planes = Planes::transformed(n, channels.len());
                    host::with_scratch(POINTS * v_planes.plane, |v| {
                        let part = channels.len();
                        let windows = band.within(self, 1, c_in).of(channels);
                        transform(Bt, n, (x, windows), (v, v_planes), None);
                        let planes = v.chunks_exact(v_planes.plane).zip(d.chunks_exact(d_planes.plane));
                        for ((v, d), s) in planes.zip(s.chunks_exact_mut(s_planes.plane)) {
                            host::gemm([part, c_out, n], (v, 1, part), (d, c_out, 1), s, true);
                        }
                    });
                });
            }
            let s = &*s;
            host::for_each(runs::<9>(dw, c_in * c_out, c_in * c_out, CHANNELS * c_out), |(k, mut dw)| {
                let part = self.part(k).len();
                let g_planes = Planes { side: 3, plane: part * c_out, channels: c_out };
                host::with_scratch(9 * g_planes.plane, |g| {
                    transform(Gt, part, (&s[k * sums..], s_planes), (g, g_planes), None);
                    copy(g, g_planes.plane, &mut dw);
                });
            });
        });
    }

    /// The input channels that are a thread's.
    fn part(&self, k: usize) -> Range<usize> {
        k * CHANNELS..self.c_in.min((k + 1) * CHANNELS)
    }

    /// Does the product at each of the 36 places: of few images, where there may be but one band, divided among threads if the
    /// work is worth it.
    fn for_each_point<T: Send>(&self, products: impl Iterator<Item = T>, multiply: impl Fn(T) + Send + Sync) {
        match self.batch <= BLOCK && self.c_in * self.c_out >= WIDE {
            true => host::for_each(products.collect(), multiply),
            false => products.for_each(multiply),
        }
    }

    /// The filter `[9·c_in, c_out]`: a tile for each input channel.
    fn filter(&self) -> Planes {
        Planes { side: 3, plane: self.c_in * self.c_out, channels: self.c_out }
    }
}

/// The same run of each of `N` planes, run by run, with its number: of the first `len` values of each.
fn runs<const N: usize>(
    values: &mut [f32],
    plane: usize,
    len: usize,
    run: usize,
) -> Vec<(usize, [&mut [f32]; N])> {
    let mut planes = values.chunks_mut(plane).map(|plane| plane[..len].chunks_mut(run));
    let mut planes: [_; N] = std::array::from_fn(|_| planes.next().expect("so many planes"));
    let next = |k| (k, planes.each_mut().map(|runs| runs.next().expect("as many runs in each plane")));
    (0..len.div_ceil(run)).map(next).collect()
}

/// Copies the beginning of each plane to its run.
fn copy(values: &[f32], plane: usize, to: &mut [&mut [f32]]) {
    to.iter_mut()
        .zip(values.chunks_exact(plane))
        .for_each(|(to, from)| to.copy_from_slice(&from[..to.len()]));
}

impl Planes {
    /// Those of `tiles` transformed tiles.
    fn transformed(tiles: usize, channels: usize) -> Self {
        Self { side: WINDOW, plane: tiles * channels + GAP, channels }
    }
}

/// The tiles of a band in an image of `c` channels, or the windows that they see: `margin` pixels more on each side.
struct Pixels<'a> {
    tiles: &'a Tiles,
    band: Band,
    /// Pixels before the band's first image.
    origin: isize,
    margin: usize,
    /// Of the images, and which of them.
    c: usize,
    channels: Range<usize>,
}

impl Pixels<'_> {
    /// Some channels of them.
    fn of(self, channels: Range<usize>) -> Self {
        Self { channels, ..self }
    }
}

impl Layout for Pixels<'_> {
    #[inline(always)]
    fn channels(&self) -> usize {
        self.channels.len()
    }

    #[inline(always)]
    fn place(&self, tile: usize) -> Place {
        let Self { tiles: &Tiles { height, width, across, .. }, band, origin, margin, c, .. } = *self;
        let row = tile / across;
        let (image, y, x) = (row / band.rows, TILE * (band.top + row % band.rows), TILE * (tile % across));
        let inside = |first: usize, size: usize| {
            margin.saturating_sub(first)..(size + margin - first).min(TILE + 2 * margin)
        };
        let first = origin + ((image * height + y) * width + x) as isize - (margin * (width + 1)) as isize;
        Place {
            first: first * c as isize + self.channels.start as isize,
            row: width * c,
            column: c,
            rows: inside(y, height),
            columns: inside(x, width),
        }
    }
}

impl Band {
    fn tiles(&self, tiles: &Tiles) -> usize {
        self.images * self.rows * tiles.across
    }

    /// In all images.
    fn within<'a>(self, tiles: &'a Tiles, margin: usize, c: usize) -> Pixels<'a> {
        let origin = (self.image * tiles.height * tiles.width) as isize;
        Pixels { tiles, band: self, origin, margin, c, channels: 0..c }
    }

    /// In its part of them.
    fn apart<'a>(self, tiles: &'a Tiles, c: usize) -> Pixels<'a> {
        let origin = -((self.top * TILE * tiles.width) as isize);
        Pixels { tiles, band: self, origin, margin: 0, c, channels: 0..c }
    }
}
