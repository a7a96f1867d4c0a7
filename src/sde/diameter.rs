//! Technique 1 of NCSNv2 (Song and Ermon 2020, section 3.1): the largest distance between two images.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Watch;
use crate::Result;
use crate::images::ImageSet;
use crate::ops::{for_each, gemm};

/// Images on either side of one matrix product.
const BLOCK: usize = 256;

/// Images from which [`diameter_at_least`] sweeps.
const STARTS: usize = 16;

/// Matrix products between two looks at the watch.
const AT_ONCE: usize = 16;

/// The largest Euclidean distance between two of `images`, in units of their bytes; 0 for a single one.
///
/// Exact, though most pairs are left out: with `r` the distance from the middle of all images,
/// `|a - b| <= r_a + r_b`. So the farthest from the middle come first, and those are never looked at of which no two
/// can be farther apart than what was found. Where all are equally far from the middle, every pair is compared.
///
/// # Errors
/// What `watch` returns.
pub fn diameter(images: &ImageSet, watch: &mut Watch<'_>) -> Result<f64> {
    let ranked = Ranked::new(images);
    let blocks = images.len().div_ceil(BLOCK);
    let largest = AtomicU64::new(0);
    let in_reach = |i: usize, j: usize| {
        let bound = ranked.order[i * BLOCK].radius + ranked.order[j * BLOCK].radius;
        bound * bound > largest.load(Ordering::Relaxed) as f64
    };
    for i in 0..blocks {
        let rows = (i..blocks).take_while(|k| in_reach(*k, *k)).count();
        if rows == 0 {
            break;
        }
        // A block meets itself and those behind it, so the work is a triangle.
        let left = (rows as f64 / (i + rows) as f64).powi(2);
        let block = ranked.block(i);
        for first in (i..blocks).step_by(AT_ONCE) {
            watch(1.0 - left)?;
            let others = (first..blocks.min(first + AT_ONCE)).filter(|j| in_reach(i, *j));
            for_each(others.collect(), |j| ranked.compare([i, j], &block, &largest));
        }
    }
    Ok((largest.into_inner() as f64).sqrt())
}

/// A distance of two of `images`, in units of their bytes, hardly below the largest: by sweeps, each of which goes from an
/// image to the farthest one, until none is farther.
///
/// The first start is the image farthest from the middle, the others those after it.
pub fn diameter_at_least(images: &ImageSet) -> f64 {
    let farthest = |from: usize| {
        let distance = |i: usize| (distance_sq(images.image(from), images.image(i)), i);
        (0..images.len()).map(distance).max().unwrap_or_default()
    };
    let from = |start: &Place| {
        let mut found = farthest(start.index);
        loop {
            let next = farthest(found.1);
            if next.0 <= found.0 {
                return found.0;
            }
            found = next;
        }
    };
    let largest = Ranked::new(images).order.iter().take(STARTS).map(from).max();
    (largest.unwrap_or_default() as f64).sqrt()
}

/// An image's place in the set, and its distance from the middle.
struct Place {
    index: usize,
    radius: f64,
}

/// Images, the farthest from their middle first.
struct Ranked<'a> {
    images: &'a ImageSet,
    middle: Vec<u8>,
    order: Vec<Place>,
}

impl<'a> Ranked<'a> {
    fn new(images: &'a ImageSet) -> Self {
        let n = images.len();
        let mut sums = vec![0_u64; images.stride()];
        for i in 0..n {
            sums.iter_mut().zip(images.image(i)).for_each(|(sum, byte)| *sum += u64::from(*byte));
        }
        // The bound holds for any middle, so this one is in bytes too, and distances from it in whole numbers.
        let middle: Vec<u8> = sums.iter().map(|sum| (sum / n.max(1) as u64) as u8).collect();
        let radius = |index| (distance_sq(images.image(index), &middle) as f64).sqrt();
        let mut order: Vec<Place> = (0..n).map(|index| Place { index, radius: radius(index) }).collect();
        order.sort_by(|a, b| b.radius.total_cmp(&a.radius));
        Self { images, middle, order }
    }

    /// The places of block `i`.
    fn places(&self, i: usize) -> &[Place] {
        &self.order[i * BLOCK..self.order.len().min((i + 1) * BLOCK)]
    }

    /// The images of block `i`, seen from the middle.
    fn block(&self, i: usize) -> Vec<f32> {
        let from_middle = |(byte, middle): (&u8, &u8)| f32::from(*byte) - f32::from(*middle);
        let image = |place: &Place| self.images.image(place.index).iter().zip(&self.middle).map(from_middle);
        self.places(i).iter().flat_map(image).collect()
    }

    /// Raises `largest` to the largest squared distance between an image of block `i` and one of block `j`.
    ///
    /// `|a - b|² = r_a² + r_b² - 2·a·b`, with the products in `f32`, whose error is below `error·r_a·r_b` (Higham 2002,
    /// equation 3.5). What that leaves in doubt is computed in whole numbers.
    fn compare(&self, [i, j]: [usize; 2], block: &[f32], largest: &AtomicU64) {
        let (rows, columns, len) = (self.places(i), self.places(j), self.images.stride());
        let others = self.block(j);
        let mut products = vec![0.0; rows.len() * columns.len()];
        gemm([rows.len(), columns.len(), len], (block, len, 1), (&others, 1, len), &mut products, false);
        let rounding = len as f64 * f64::from(f32::EPSILON) / 2.0;
        let error = rounding / (1.0 - rounding);
        let mut known = largest.load(Ordering::Relaxed);
        for (a, products) in rows.iter().zip(products.chunks_exact(columns.len())) {
            for (b, product) in columns.iter().zip(products) {
                let most = a.radius.powi(2) + b.radius.powi(2)
                    - 2.0 * (f64::from(*product) - error * a.radius * b.radius);
                if most > known as f64 {
                    let exact = distance_sq(self.images.image(a.index), self.images.image(b.index));
                    known = largest.fetch_max(exact, Ordering::Relaxed).max(exact);
                }
            }
        }
    }
}

/// The squared Euclidean distance between two images.
fn distance_sq(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::data::{DataSource, Dataset, formats::test_data};
    use crate::rng::{Domain, Noise};

    fn set(pixels: Vec<u8>, side: usize) -> ImageSet {
        let (name, licence) = ("drawn".into(), "CC0-1.0".into());
        ImageSet {
            name,
            licence,
            channels: 1,
            height: side,
            width: side,
            pixels,
            labels: None,
            class_names: Vec::new(),
        }
    }

    /// `n` images around `centres`, which is none for images of uniform pixels.
    fn drawn(n: usize, side: usize, centres: usize, spread: f32) -> ImageSet {
        let (noise, len) = (Noise::new(3).domain(Domain::Data), side * side);
        let uniform = noise.uniform(0, n.max(centres), len);
        if centres == 0 {
            return set(uniform.iter().map(|u| (u * 256.0) as u8).collect(), side);
        }
        let normal = noise.normal(1, n, len);
        let value = |i: usize| uniform[i / len % centres * len + i % len] * 255.0 + spread * normal[i];
        set((0..n * len).map(|i| value(i) as u8).collect(), side)
    }

    fn by_brute_force(images: &ImageSet) -> f64 {
        let n = images.len();
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
        let largest = pairs.map(|(i, j)| distance_sq(images.image(i), images.image(j))).max();
        (largest.unwrap_or(0) as f64).sqrt()
    }

    fn found(images: &ImageSet) -> f64 {
        diameter(images, &mut |_| Ok(())).unwrap()
    }

    #[test]
    fn it_is_what_comparing_every_pair_finds() {
        for (n, side) in [(1, 4), (2, 1), (700, 1), (900, 3), (600, 8)] {
            for (centres, spread) in [(0, 0.0), (1, 20.0), (2, 5.0), (7, 3.0), (40, 0.0)] {
                let images = drawn(n, side, centres, spread);
                assert_eq!(found(&images), by_brute_force(&images), "{n} of {side}, {centres} centres");
            }
        }
    }

    /// It is never more, and less by a twentieth at most even where pixels are chance.
    #[test]
    fn sweeps_come_near_it() {
        for (n, side) in [(1, 4), (2, 1), (700, 1), (900, 3), (600, 8)] {
            for (centres, spread) in [(0, 0.0), (1, 20.0), (2, 5.0), (7, 3.0), (40, 0.0)] {
                let images = drawn(n, side, centres, spread);
                let (swept, exact) = (diameter_at_least(&images), found(&images));
                assert!(swept <= exact && swept >= 0.95 * exact, "{n} of {side}: {swept} of {exact}");
            }
        }
    }

    /// All equally far from the middle and from each other: nothing can be left out, and rounding decides nothing.
    #[test]
    fn ties_are_no_exception() {
        let mut pixels = vec![0; 400 * 400];
        (0..400).for_each(|i| pixels[i * 401] = 255);
        assert_eq!(found(&set(pixels, 20)), 255.0 * 2.0_f64.sqrt());
        assert_eq!(found(&set(vec![7; 400 * 9], 3)), 0.0);
    }

    #[test]
    fn the_watch_sees_it_rise_and_can_stop_it() {
        let images = drawn(2000, 4, 0, 0.0);
        let mut shares = vec![];
        diameter(&images, &mut |share| {
            shares.push(share);
            Ok(())
        })
        .unwrap();
        assert!(shares.is_sorted() && shares.iter().all(|share| (0.0..1.0).contains(share)), "{shares:?}");
        let stopped = diameter(&images, &mut |_| Err(Error::Cancelled { step: 0 }));
        assert!(matches!(stopped, Err(Error::Cancelled { .. })), "{stopped:?}");
    }

    /// What comparing all 1.8e9 pairs of MNIST's training images gives.
    #[test]
    fn mnist_is_as_wide_as_it_is() {
        let Some(dir) = test_data("mnist") else { return };
        let images = DataSource { data_dir: Some(dir), ..DataSource::new(Dataset::Mnist) }.load().unwrap();
        let width = found(&images) / 255.0;
        assert!((width - 16.876).abs() < 5e-4, "{width}");
    }
}
