//! Pictures for people: arrays in [0, 1] to bytes, many images in one grid.
//!
//! Layout is the same natively and in the page; files are native only.

#[cfg(not(target_family = "wasm"))]
pub mod chart;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod npy;
mod outline;
#[cfg(not(target_family = "wasm"))]
mod profile;

#[cfg(not(target_family = "wasm"))]
pub use native::{Fit, decode, load_image, save_png};
#[cfg(not(target_family = "wasm"))]
pub use npy::{load_npy, save_npy};
pub use outline::outlines;

use crate::error::{Error, Result};

/// The byte that a value in [0, 1] is shown as: `255 x` rounded, values outside clipped, NaN black.
pub fn to_byte(x: f32) -> u8 {
    // casts from float saturate, and NaN becomes 0
    (x * 255. + 0.5) as u8
}

/// An RGB picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Pictures of one height side by side; lower ones end in white.
    pub fn beside(pictures: &[Self]) -> Self {
        let width = pictures.iter().map(|picture| picture.width).sum();
        let height = pictures.iter().map(|picture| picture.height).max().unwrap_or(0);
        let row_of =
            |picture: &Self, y: usize| match picture.rgb.chunks_exact(3 * picture.width.max(1)).nth(y) {
                Some(row) => row.to_vec(),
                None => vec![255; 3 * picture.width],
            };
        let rgb =
            (0..height).flat_map(|y| pictures.iter().flat_map(move |picture| row_of(picture, y))).collect();
        Self { width, height, rgb }
    }

    /// The same picture with opaque alpha, `[height, width, 4]`, as a canvas wants it.
    pub fn rgba(&self) -> Vec<u8> {
        self.rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect()
    }
}

/// How images are laid out in one picture, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Images in a row; without it the grid is as near to a square as possible.
    pub columns: Option<usize>,
    /// Pixels between images, before scaling.
    pub gap: usize,
    /// Every pixel becomes a square of this side, so that tiny images can be seen.
    pub scale: usize,
    /// Colour of gaps and of places without an image.
    pub background: [u8; 3],
}

impl Default for Grid {
    fn default() -> Self {
        Self { columns: None, gap: 2, scale: 1, background: [255; 3] }
    }
}

impl Grid {
    /// The smallest scale that makes images of side `side` at least 64 pixels wide.
    pub fn scale_for(side: usize) -> usize {
        64usize.div_ceil(side.max(1))
    }

    /// Images in a row for `n` of them.
    ///
    /// The smallest count that leaves no more rows than columns, so 16 images are 4 by 4 and 18 are 5 by 4.
    pub fn columns(&self, n: usize) -> usize {
        let square = n.isqrt() + usize::from(n.isqrt().pow(2) < n);
        self.columns.unwrap_or(square).clamp(1, n.max(1))
    }

    /// Draws images of `shape` `[n, c, h, w]`, `c` 1 or 3, values in [0, 1].
    ///
    /// # Errors
    /// [`Error::Config`] if the shape does not fit the values, there is no image, there are two or more than
    /// three channels, or the picture would have more than 2^28 pixels.
    pub fn draw(&self, images: &[f32], shape: [usize; 4]) -> Result<Picture> {
        let [n, channels, height, width] = shape;
        let len = shape.iter().try_fold(1usize, |len, &axis| len.checked_mul(axis));
        if len != Some(images.len()) || images.is_empty() || !matches!(channels, 1 | 3) {
            let problem = format!("of shape {shape:?} cannot be drawn from {} values", images.len());
            return Err(Error::config("a picture grid", problem, "use [n, c, h, w] with 1 or 3 channels"));
        }
        let (columns, scale) = (self.columns(n), self.scale.max(1));
        let rows = n.div_ceil(columns);
        let side = |count: usize, length: usize| {
            count.checked_mul(length)?.checked_add((count - 1).checked_mul(self.gap)?)?.checked_mul(scale)
        };
        let (out_width, out_height) = side(columns, width)
            .zip(side(rows, height))
            .filter(|&(w, h)| w.checked_mul(h).is_some_and(|pixels| pixels <= 1 << 28))
            .ok_or_else(|| {
                let problem = format!("of {columns} x {rows} images at scale {scale} is too large");
                Error::config("a picture grid", problem, "draw fewer images or lower the scale")
            })?;

        let mut rgb = self.background.repeat(out_width * out_height);
        let plane = height * width;
        for (i, image) in images.chunks_exact(channels * plane).enumerate() {
            let left = (i % columns) * (width + self.gap) * scale;
            let top = (i / columns) * (height + self.gap) * scale;
            for y in 0..height * scale {
                let start = ((top + y) * out_width + left) * 3;
                let row = &mut rgb[start..start + width * scale * 3];
                for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                    let at = y / scale * width + x / scale;
                    for (channel, byte) in pixel.iter_mut().enumerate() {
                        *byte = to_byte(image[channel.min(channels - 1) * plane + at]);
                    }
                }
            }
        }
        Ok(Picture { width: out_width, height: out_height, rgb })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_and_clipped() {
        let bytes = [-1., 0., 0.5 / 255. - 1e-4, 0.5 / 255. + 1e-4, 0.5, 1., 7., f32::NAN, f32::INFINITY]
            .map(to_byte);
        assert_eq!(bytes, [0, 0, 0, 1, 128, 255, 255, 0, 255]);
        assert!((0..=255u8).all(|b| to_byte(b as f32 / 255.) == b), "bytes survive the way there and back");
    }

    #[test]
    fn grids_are_nearly_square() {
        let grid = Grid::default();
        assert_eq!(
            [1, 2, 3, 4, 5, 9, 10, 16, 18, 64, 100].map(|n| grid.columns(n)),
            [1, 2, 2, 2, 3, 3, 4, 4, 5, 8, 10]
        );
        assert_eq!(Grid { columns: Some(8), ..grid }.columns(3), 3, "no empty columns");
        assert_eq!(Grid { columns: Some(0), ..grid }.columns(3), 1);
    }

    #[test]
    fn images_lie_in_rows_with_gaps_and_scale() {
        let grid = Grid { gap: 1, scale: 2, background: [9; 3], ..Grid::default() };
        // three grey images of 1 x 2
        let picture = grid.draw(&[0., 1., 1., 0., 1., 1.], [3, 1, 1, 2]).unwrap();
        assert_eq!((picture.width, picture.height), (2 * (2 + 1 + 2), 2 * (1 + 1 + 1)));
        let row = |y: usize| picture.rgb[y * 30..(y + 1) * 30].iter().step_by(3).copied().collect::<Vec<_>>();
        assert_eq!(row(0), [0, 0, 255, 255, 9, 9, 255, 255, 0, 0]);
        assert_eq!(row(1), row(0));
        assert_eq!(row(2), [9; 10]);
        assert_eq!(row(4), [255, 255, 255, 255, 9, 9, 9, 9, 9, 9], "the place without an image stays empty");
    }

    #[test]
    fn colour_planes_become_pixels() {
        let picture = Grid::default().draw(&[1., 0., 0., 1., 0., 0.], [1, 3, 1, 2]).unwrap();
        assert_eq!(picture.rgb, [255, 0, 0, 0, 255, 0]);
        assert_eq!(picture.rgba(), [255, 0, 0, 255, 0, 255, 0, 255]);
    }

    #[test]
    fn pictures_stand_side_by_side() {
        let grey = |width: usize, height: usize, value| Picture {
            width,
            height,
            rgb: vec![value; 3 * width * height],
        };
        let both = Picture::beside(&[grey(1, 2, 7), grey(2, 1, 9)]);
        assert_eq!((both.width, both.height), (3, 2));
        let red: Vec<u8> = both.rgb.iter().step_by(3).copied().collect();
        assert_eq!(red, [7, 9, 9, 7, 255, 255]);
    }

    #[test]
    fn impossible_grids_are_refused() {
        let grid = Grid::default();
        for shape in [[2, 1, 1, 2], [1, 2, 1, 2], [usize::MAX, 3, 2, 2], [0, 1, 2, 2], [1, 0, 2, 2]] {
            assert!(grid.draw(&[0.; 3], shape).is_err() && grid.draw(&[], shape).is_err(), "{shape:?}");
        }
        let huge = Grid { scale: usize::MAX / 2, ..grid };
        assert!(huge.draw(&[0.; 4], [1, 1, 2, 2]).unwrap_err().to_string().contains("lower the scale"));
    }
}
