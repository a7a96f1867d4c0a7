//! Images of one shape in memory: raw bytes `[n, c, h, w]`, cut, padded and turned grey.
//!
//! Whoever makes an [`ImageSet`] hands out a consistent one, so nothing that takes one checks lengths again.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Images of one shape, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    /// What they are called in the model card.
    pub name: String,
    /// Under which terms they may be used.
    pub licence: String,
    /// 1 for grey, 3 for RGB.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[n, c, h, w]`, 0 black to 255 full.
    pub pixels: Vec<u8>,
    /// One class per image, where the classes are known.
    pub labels: Option<Vec<u8>>,
    /// What the classes are called, in the order of their numbers; empty if they have no names.
    pub class_names: Vec<String>,
}

/// Turns the rows of an image of this `width` round, of any number of channels.
pub fn mirror<T>(image: &mut [T], width: usize) {
    image.chunks_exact_mut(width).for_each(<[T]>::reverse);
}

impl ImageSet {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.stride().max(1)
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// `[c, h, w]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Bytes of one image.
    pub fn stride(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The bytes of image `i`, `[c, h, w]`.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Self::len).
    pub fn image(&self, i: usize) -> &[u8] {
        &self.pixels[i * self.stride()..(i + 1) * self.stride()]
    }

    /// All pixels as numbers from 0 to 1, `[n, c, h, w]`.
    pub fn to_unit(&self) -> Vec<f32> {
        self.pixels.iter().map(|byte| f32::from(*byte) / 255.).collect()
    }

    /// The number of classes that have a name, or one more than the largest label; `None` without labels.
    pub fn n_classes(&self) -> Option<usize> {
        let labels = self.labels.as_ref()?;
        Some(labels.iter().max().map_or(0, |&max| max as usize + 1).max(self.class_names.len()))
    }

    /// Whether all colours are shades of grey.
    pub fn is_gray(&self) -> bool {
        let plane = self.height * self.width;
        let mut images = self.pixels.chunks_exact(self.stride().max(1));
        images.all(|image| image.chunks_exact(plane.max(1)).all(|channel| *channel == image[..plane]))
    }

    /// The same images in the middle of a black square of side `size`.
    ///
    /// Where the margin is odd, the extra row or column goes to the bottom and right.
    /// Sides that are already at least `size` are left alone.
    pub fn padded(self, size: usize) -> Self {
        let (height, width) = (self.height.max(size), self.width.max(size));
        let (top, left) = ((height - self.height) / 2, (width - self.width) / 2);
        let planes = self.pixels.len() / (self.height * self.width).max(1);
        let mut pixels = vec![0; planes * height * width];
        for (from, to) in
            self.pixels.chunks_exact(self.height * self.width).zip(pixels.chunks_exact_mut(height * width))
        {
            for (y, row) in from.chunks_exact(self.width).enumerate() {
                let start = (top + y) * width + left;
                to[start..start + self.width].copy_from_slice(row);
            }
        }
        Self { height, width, pixels, ..self }
    }

    /// The middle `height` x `width` pixels of every image; sides that are already smaller are left alone.
    pub fn cropped(self, height: usize, width: usize) -> Self {
        let (height, width) = (self.height.min(height), self.width.min(width));
        let (top, left) = ((self.height - height) / 2, (self.width - width) / 2);
        let mut pixels = Vec::with_capacity(self.len() * self.channels * height * width);
        for plane in self.pixels.chunks_exact((self.height * self.width).max(1)) {
            for row in plane.chunks_exact(self.width).skip(top).take(height) {
                pixels.extend_from_slice(&row[left..left + width]);
            }
        }
        Self { height, width, pixels, ..self }
    }

    /// One channel of brightness (ITU-R BT.601 weights); grey images are left alone.
    pub fn grayed(self) -> Self {
        if self.channels != 3 {
            return self;
        }
        let plane = self.height * self.width;
        let pixels = self.pixels.chunks_exact((3 * plane).max(1)).flat_map(|image| {
            let (red, rest) = image.split_at(plane);
            let (green, blue) = rest.split_at(plane);
            let luma = |((&r, &g), &b): ((&u8, &u8), &u8)| {
                ((299 * r as u32 + 587 * g as u32 + 114 * b as u32 + 500) / 1000) as u8
            };
            red.iter().zip(green).zip(blue).map(luma)
        });
        Self { channels: 1, pixels: pixels.collect(), ..self }
    }

    /// The first `n` images, or all of them if there are fewer.
    pub fn truncated(mut self, n: usize) -> Self {
        let stride = self.stride();
        self.pixels.truncate(n.saturating_mul(stride));
        if let Some(labels) = &mut self.labels {
            labels.truncate(n);
        }
        self
    }
}

/// The values that black and white pixels have inside a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRange {
    /// Black.
    pub low: f64,
    /// White.
    pub high: f64,
}

impl DataRange {
    /// `[0, 1]`, what the papers use with VE.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };
    /// `[-1, 1]`, what the papers use with VP.
    pub const CENTRED: Self = Self { low: -1.0, high: 1.0 };

    /// From pixel values in `[0, 1]` to the model's units.
    pub fn encode<const D: usize>(&self, pixels: Tensor<D>) -> Tensor<D> {
        pixels * (self.high - self.low) + self.low
    }

    /// From the model's units to pixel values, not clipped.
    pub fn decode<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        (x - self.low) / (self.high - self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(n: usize, channels: usize, height: usize, width: usize) -> ImageSet {
        ImageSet {
            name: "counting".into(),
            licence: "CC0-1.0".into(),
            channels,
            height,
            width,
            pixels: (0..n * channels * height * width).map(|i| (i % 251) as u8 + 1).collect(),
            labels: Some((0..n).map(|i| i as u8).collect()),
            class_names: Vec::new(),
        }
    }

    #[test]
    fn padding_puts_the_image_in_the_middle_and_cropping_takes_it_out_again() {
        for (height, width, size) in [(2, 2, 5), (3, 2, 4), (28, 28, 32), (5, 3, 4)] {
            let set = counting(3, 3, height, width);
            let padded = set.clone().padded(size);
            assert_eq!(padded.shape(), [3, height.max(size), width.max(size)]);
            assert_eq!(padded.len(), 3);
            let sum = |s: &ImageSet| s.pixels.iter().map(|&p| p as u64).sum::<u64>();
            assert_eq!(sum(&padded), sum(&set), "no pixel is lost, the rest is black");
            assert_eq!(padded.cropped(height, width), set);
        }
        let one = counting(1, 1, 1, 1).padded(4);
        assert_eq!(one.pixels.iter().position(|&p| p != 0), Some(5), "the odd margin is at the bottom right");
    }

    #[test]
    fn gray_weighs_the_channels_and_keeps_black_and_white() {
        let mut set = counting(2, 3, 1, 2);
        set.pixels = vec![255, 0, 255, 0, 255, 0, 255, 0, 0, 255, 0, 0];
        let gray = set.grayed();
        assert_eq!(gray.shape(), [1, 1, 2]);
        assert_eq!(gray.pixels, [255, 0, 76, 150]);
        assert!(gray.is_gray() && !counting(2, 3, 1, 2).is_gray());
        let shades = ImageSet { pixels: vec![3, 200, 3, 200, 3, 200], ..counting(1, 3, 1, 2) };
        assert!(shades.is_gray());
        assert_eq!(gray.clone().grayed(), gray);
    }

    #[test]
    fn a_class_without_an_image_counts_if_it_has_a_name() {
        let named =
            ImageSet { class_names: vec!["a".into(), "b".into(), "c".into()], ..counting(1, 1, 1, 1) };
        assert_eq!((named.n_classes(), counting(2, 1, 1, 1).n_classes()), (Some(3), Some(2)));
    }

    #[test]
    fn truncation_keeps_images_and_labels_together() {
        let set = counting(4, 1, 2, 2).truncated(3);
        assert_eq!((set.len(), set.n_classes()), (3, Some(3)));
        assert_eq!(set.image(2), [9, 10, 11, 12]);
        assert_eq!(set.clone().truncated(usize::MAX), set);
    }
}
