//! Training images in an order that depends on the seed and the step alone.

use super::augment::Augmentation;
use crate::dequantise::Dequantisation;
use crate::images::{ImageSet, mirror};
use crate::network::Moved;
use crate::objective::MicroBatch;
use crate::rng::draws::training::{DEQUANTISE, FLIP, LABELS};
use crate::rng::{Domain, Noise};

/// The batches of a run: every epoch is a new permutation of the images, and a batch may straddle two.
#[derive(Debug)]
pub struct Batches<'a> {
    images: &'a ImageSet,
    seed: u64,
    size: usize,
    flip: bool,
    augment: f64,
    epoch: Option<(usize, Vec<usize>)>,
}

impl<'a> Batches<'a> {
    /// Batches of `size` of `images`, mirrored half of the time if `flip`.
    pub fn new(images: &'a ImageSet, seed: u64, size: usize, flip: bool) -> Self {
        Self { images, seed, size, flip, augment: 0.0, epoch: None }
    }

    /// The same with augmentation that does not leak, each kind with probability `share` (Karras et al. 2022).
    pub fn augmented(self, share: f64) -> Self {
        Self { augment: share, ..self }
    }

    /// How the images of a `part` of `step` are moved; empty without augmentation.
    fn augmentations(&self, step: usize, part: MicroBatch) -> Vec<Option<Augmentation>> {
        if self.augment == 0.0 {
            return vec![];
        }
        let noise = Noise::new(self.seed).domain(Domain::Augmentation).at(step as u32);
        let draw =
            |image| Augmentation::draw(&mut noise.stream(image as u32), self.augment, self.images.width);
        part.images().map(draw).collect()
    }

    /// What the network is told of that.
    pub fn moved(&self, step: usize, part: MicroBatch) -> Vec<Moved> {
        let told = |how: Option<Augmentation>| how.map_or_else(Moved::default, |how| how.moved);
        self.augmentations(step, part).into_iter().map(told).collect()
    }

    /// The whole batch of a step.
    pub fn whole(&self) -> MicroBatch {
        MicroBatch::whole(self.size)
    }

    /// The indices of the images of a `part` of `step`.
    pub fn indices(&mut self, step: usize, part: MicroBatch) -> Vec<usize> {
        let n = self.images.len();
        let mut indices = Vec::with_capacity(part.len);
        for position in part.images().map(|image| step * self.size + image) {
            let (epoch, place) = (position / n, position % n);
            if self.epoch.as_ref().is_none_or(|(current, _)| *current != epoch) {
                let stream = Noise::new(self.seed).domain(Domain::Order).stream(epoch as u32);
                self.epoch = Some((epoch, { stream }.permutation(n)));
            }
            indices.extend(self.epoch.as_ref().map(|(_, order)| order[place]));
        }
        indices
    }

    /// The classes of the images of a `part` of `step`, each left out with probability `dropout` (Ho and Salimans 2021),
    /// for a network of `classes` classes; empty for 0 of them.
    pub fn labels(
        &mut self,
        step: usize,
        part: MicroBatch,
        classes: usize,
        dropout: f64,
    ) -> Vec<Option<usize>> {
        let Some(labels) = self.images.labels.as_ref().filter(|_| classes > 0) else { return vec![] };
        let noise = Noise::new(self.seed).domain(Domain::Training).at(step as u32);
        let uniform = noise.uniform_within(LABELS, part.images());
        let label = |(index, u): (usize, f32)| (f64::from(u) >= dropout).then(|| labels[index].into());
        self.indices(step, part).into_iter().zip(uniform).map(label).collect()
    }

    /// The pixels `[n, c, h, w]` in `[0, 1)` and the classes, if there are any, of `n` images that are drawn for `step` from
    /// all of them, each independently and mirrored as those of a batch are. They are in the middle of their bytes' bins:
    /// where noise is so small that this matters, no other image is likely.
    pub fn references(&self, step: usize, n: usize) -> (Vec<f32>, Vec<usize>) {
        let mut stream = Noise::new(self.seed).domain(Domain::References).stream(step as u32);
        let (mut pixels, mut classes) = (Vec::with_capacity(n * self.images.stride()), Vec::new());
        for _ in 0..n {
            let index = stream.below(self.images.len());
            let first = pixels.len();
            pixels.extend(self.images.image(index).iter().map(|byte| (f32::from(*byte) + 0.5) / 256.0));
            if self.flip && stream.uniform() < 0.5 {
                mirror(&mut pixels[first..], self.images.width);
            }
            classes.extend(self.images.labels.as_ref().map(|labels| usize::from(labels[index])));
        }
        (pixels, classes)
    }

    /// The pixels of a `part` of `step`, `[len, c, h, w]` in `[0, 1)`: uniformly dequantised, `(byte + u)/256`
    /// (Theis et al. 2016), so that the data has a density; or in the middle of each byte's bin, where the noise of the
    /// diffusion itself does that. Then they are moved as [`moved`](Self::moved) says.
    pub fn pixels(&mut self, step: usize, part: MicroBatch, by: Dequantisation) -> Vec<f32> {
        let noise = Noise::new(self.seed).domain(Domain::Training).at(step as u32);
        let (stride, width) = (self.images.stride(), self.images.width);
        let mut pixels = match by {
            Dequantisation::Uniform => noise.uniform_within(DEQUANTISE, part.values(stride)),
            Dequantisation::TruncatedNormal => vec![0.5; part.len * stride],
        };
        let flips = noise.uniform_within(FLIP, part.images());
        for ((index, image), flip) in
            self.indices(step, part).iter().zip(pixels.chunks_exact_mut(stride)).zip(flips)
        {
            for (pixel, byte) in image.iter_mut().zip(self.images.image(*index)) {
                *pixel = (f32::from(*byte) + *pixel) / 256.0;
            }
            if self.flip && flip < 0.5 {
                mirror(image, width);
            }
        }
        let size = [self.images.height, width];
        for (image, how) in pixels.chunks_exact_mut(stride).zip(self.augmentations(step, part)) {
            if let Some(how) = how {
                how.apply(image, size);
            }
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(n: usize) -> ImageSet {
        ImageSet {
            name: "ramp".into(),
            licence: "CC0-1.0".into(),
            channels: 1,
            height: 1,
            width: 2,
            pixels: (0..n).flat_map(|i| [i as u8, 255 - i as u8]).collect(),
            labels: None,
            class_names: Vec::new(),
        }
    }

    #[test]
    fn every_epoch_sees_every_image_once_in_a_new_order() {
        let set = images(10);
        let mut batches = Batches::new(&set, 1, 4, false);
        let seen: Vec<usize> = (0..5).flat_map(|step| batches.indices(step, MicroBatch::whole(4))).collect();
        let epochs: Vec<Vec<usize>> = seen.chunks(10).map(<[usize]>::to_vec).collect();
        assert_ne!(epochs[0], epochs[1]);
        for mut epoch in epochs {
            epoch.sort_unstable();
            assert!(epoch.into_iter().eq(0..10));
        }
        assert_eq!(
            Batches::new(&set, 1, 4, false).indices(3, MicroBatch::whole(4)),
            seen[12..16],
            "a resumed run continues the order"
        );
    }

    #[test]
    fn references_are_all_images_alike_with_their_classes_and_others_each_step() {
        let labels = (0..10).map(|i| i % 3);
        let set = ImageSet { labels: Some(labels.collect()), ..images(10) };
        let batches = Batches::new(&set, 1, 4, true);
        let (pixels, classes) = batches.references(5, 4000);
        let (mut seen, mut flipped) = ([0; 10], 0);
        for (pair, class) in pixels.chunks(2).zip(&classes) {
            let [a, b] = [0, 1].map(|i| (pair[i] * 256.0 - 0.5) as usize);
            let index = a.min(b);
            assert!(a + b == 255 && *class == index % 3);
            seen[index] += 1;
            flipped += usize::from(a > b);
        }
        assert_eq!(classes.len(), 4000);
        assert!(seen.iter().all(|n| (300..500).contains(n)), "{seen:?}");
        assert!((1850..2150).contains(&flipped), "{flipped} of 4000");
        assert_ne!(batches.references(6, 4000).0, pixels);
        assert_eq!(batches.references(5, 2).0, pixels[..4]);
        assert!(Batches::new(&images(10), 1, 4, true).references(5, 2).1.is_empty());
    }

    #[test]
    fn pixels_are_dequantised_inside_their_bin_and_flipped_half_the_time() {
        let set = images(100);
        let mut batches = Batches::new(&set, 1, 100, true);
        let (whole, mut flipped) = (batches.whole(), 0);
        for step in 0..20 {
            let indices = batches.indices(step, whole);
            for (pair, index) in batches.pixels(step, whole, Dequantisation::Uniform).chunks(2).zip(indices) {
                let bins: Vec<usize> = pair.iter().map(|p| (p * 256.0) as usize).collect();
                flipped += usize::from(bins == [255 - index, index]);
                assert!(bins == [index, 255 - index] || bins == [255 - index, index]);
            }
        }
        assert!((900..1100).contains(&flipped), "{flipped} of 2000");
    }
}
