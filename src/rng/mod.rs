//! Random numbers as a function: no state, only a place in a table of Philox words.
//!
//! Every random number of this crate is a pure function of *what it is for*. Sample `k` of seed `s` is
//! therefore the same picture alone, in any batch, on any shard, natively or in a browser, and a resumed
//! training run draws what the uninterrupted one would have drawn. [`ops::noise`](crate::ops::noise) fills
//! device tensors with the same numbers; `shaders/noise.wgsl` follows `philox.rs` and `normal.rs` function by function.
//!
//! # Layout
//! Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") maps a 128-bit counter
//! and a 64-bit key to four 32-bit words. The places are, lowest word first:
//!
//! | word | holds |
//! |---|---|
//! | key 0 | seed, low half |
//! | key 1 | sample index |
//! | counter 0 | block: element / 4 (the word inside the block is element % 4) |
//! | counter 1 | draw |
//! | counter 2 | seed, high half |
//! | counter 3 | [`Domain`] |
//!
//! Each input has a word of its own, so no two purposes share a place. Changing this table changes every
//! picture: the known answers in the tests guard it.
//!
//! # Numbers
//! Words are exact everywhere. Uniforms are `⌊w / 2⁸⌋ · 2⁻²⁴`, exact as well. Normals are Box-Muller with the
//! elementary functions written out below in plain `f32` arithmetic, because WGSL promises little about its
//! `log`, `sin` and `cos`: the host gives the same bits on every target, and a GPU, free to fuse multiply and
//! add and to round `sqrt` loosely, agrees within `1e-5`.

pub mod draws;
mod normal;
mod philox;
mod stream;

pub(crate) use normal::{normal_cdf, normal_mass, truncated_normal};
pub use stream::Philox;

use std::ops::Range;

use normal::{normal_pair, uniform};
use philox::philox;

/// What a random number is for. Different domains never share a place of the table.
///
/// A new purpose takes the next free value; values are part of what a seed means, so they are never reused. Where
/// several things are drawn in one domain, [`draws`] says which draw is for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Domain {
    /// Initial noise and stochastic steps of the samplers.
    Sampler = 0,
    /// Noise levels and noise of the training objectives.
    Training = 1,
    /// Dropout masks.
    Dropout = 2,
    /// Data order and augmentation.
    Order = 3,
    /// Initial weights.
    Init = 4,
    /// Synthetic data.
    Data = 5,
    /// Probe vectors of trace estimators and random choices of the evaluation.
    Probe = 6,
    /// Noise under which a classifier's test images are judged.
    Judging = 7,
    /// Noise that a user adds to a picture, to take it out again.
    Corruption = 8,
    /// Weights and inputs by which a device is tried.
    Checkup = 9,
    /// Noise that a model's images are freed from to bound their codelength.
    Bound = 10,
    /// Images that a training step compares its own with.
    References = 11,
    /// How the images of a training step are moved.
    Augmentation = 12,
}

/// The random numbers of a run of consecutive samples: a seed, a [`Domain`] and the index of the first sample.
///
/// Values are addressed, not consumed: the same `draw` always gives the same numbers. By convention samplers
/// use draw 0 for the initial noise and count on from there, training uses the step.
///
/// ```
/// use scorefield::rng::Noise;
/// let noise = Noise::new(7);
/// let batch = noise.normal(0, 4, 10);
/// assert_eq!(batch[20..30], noise.at(2).normal(0, 1, 10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Noise {
    seed: u64,
    domain: Domain,
    first: u32,
}

impl Noise {
    /// The noise of the samplers for `seed`, from sample 0 on.
    pub const fn new(seed: u64) -> Self {
        Self { seed, domain: Domain::Sampler, first: 0 }
    }

    /// The same seed and samples for another purpose.
    pub const fn domain(self, domain: Domain) -> Self {
        Self { domain, ..self }
    }

    /// The same seed and purpose, with row 0 being sample `first`; indices continue modulo 2³².
    pub const fn at(self, first: u32) -> Self {
        Self { first, ..self }
    }

    /// Index of the sample in row 0.
    pub const fn first(&self) -> u32 {
        self.first
    }

    /// Standard normal values, row by row.
    ///
    /// Box-Muller: `r = √(-2 ln U)`, `(r cos 2πV, r sin 2πV)` with `U` and `V` from words (0, 1) and (2, 3) of a
    /// block. `U` keeps 24 significant bits, `V` 27, so `2⁻²⁵ < r² / 2 < 22.2` and no value exceeds 6.67.
    /// Arithmetic error against exact evaluation: below `1e-6` (tested).
    ///
    /// # Shapes
    /// returns `[n, len]`; row `i` is sample `first + i` and does not depend on `n`, nor a value on `len`.
    pub fn normal(&self, draw: u32, n: usize, len: usize) -> Vec<f32> {
        self.fill(draw, n, len, &normals)
    }

    /// Uniform values in `[0, 1)`, multiples of 2⁻²⁴, row by row.
    ///
    /// They are made of the same words as [`normal`](Self::normal) of the same draw: use another draw or domain
    /// where both are needed.
    ///
    /// # Shapes
    /// returns `[n, len]`, addressed as in [`normal`](Self::normal).
    pub fn uniform(&self, draw: u32, n: usize, len: usize) -> Vec<f32> {
        self.fill(draw, n, len, &uniforms)
    }

    /// The words of row 0 as a sequence, for scalar decisions on the host.
    pub fn stream(&self, draw: u32) -> Philox {
        Philox::new(self.key(0), self.counter(draw))
    }

    /// The parameters of a device kernel: key, counter (block 0) of row 0.
    pub(crate) const fn place(&self, draw: u32) -> ([u32; 2], [u32; 4]) {
        (self.key(0), self.counter(draw))
    }

    const fn key(&self, row: u32) -> [u32; 2] {
        [self.seed as u32, self.first.wrapping_add(row)]
    }

    const fn counter(&self, draw: u32) -> [u32; 4] {
        [0, draw, (self.seed >> 32) as u32, self.domain as u32]
    }

    /// Elements `range` of row 0 of [`normal`](Self::normal).
    pub fn normal_within(&self, draw: u32, range: Range<usize>) -> Vec<f32> {
        let mut values = vec![0.0; range.len()];
        self.fill_row(draw, 0, range.start, &mut values, &normals);
        values
    }

    /// Elements `range` of row 0 of [`uniform`](Self::uniform).
    pub fn uniform_within(&self, draw: u32, range: Range<usize>) -> Vec<f32> {
        let mut values = vec![0.0; range.len()];
        self.fill_row(draw, 0, range.start, &mut values, &uniforms);
        values
    }

    fn fill(&self, draw: u32, n: usize, len: usize, value: &impl Fn([u32; 4]) -> [f32; 4]) -> Vec<f32> {
        let mut values = vec![0.0; n * len];
        for (row, sample) in values.chunks_mut(len.max(1)).enumerate() {
            self.fill_row(draw, row as u32, 0, sample, value);
        }
        values
    }

    /// The elements of a row from `start` on.
    fn fill_row(
        &self,
        draw: u32,
        row: u32,
        start: usize,
        sample: &mut [f32],
        value: &impl Fn([u32; 4]) -> [f32; 4],
    ) {
        let ([_, draw, seed, domain], key) = (self.counter(draw), self.key(row));
        let four = |block: usize| value(philox([block as u32, draw, seed, domain], key));
        // A start inside a block leaves the first elements of that block out.
        let (head, blocks) = sample.split_at_mut(sample.len().min(start.next_multiple_of(4) - start));
        if !head.is_empty() {
            head.copy_from_slice(&four(start / 4)[start % 4..][..head.len()]);
        }
        for (k, values) in blocks.chunks_mut(4).enumerate() {
            values.copy_from_slice(&four(start.div_ceil(4) + k)[..values.len()]);
        }
    }
}

fn normals([a, b, c, d]: [u32; 4]) -> [f32; 4] {
    let ([a, b], [c, d]) = (normal_pair(a, b), normal_pair(c, d));
    [a, b, c, d]
}

fn uniforms(block: [u32; 4]) -> [f32; 4] {
    block.map(uniform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_changes_the_words() {
        let noise = Noise::new(5).at(3);
        let words = |noise: Noise, draw| noise.stream(draw).take(64).collect::<Vec<_>>();
        let all = [
            words(noise, 0),
            words(noise, 1),
            words(noise.at(4), 0),
            words(Noise::new(6).at(3), 0),
            words(Noise::new(5 + (1 << 32)).at(3), 0),
            words(noise.domain(Domain::Training), 0),
            words(noise.domain(Domain::Order), 0),
        ];
        let mut flat = all.concat();
        flat.sort_unstable();
        flat.dedup();
        assert_eq!(flat.len(), all.len() * 64);
    }

    #[test]
    fn a_part_of_a_row_is_what_the_row_has_there() {
        let noise = Noise::new(5).at(3);
        let (normal, uniform) = (noise.normal(2, 1, 23), noise.uniform(2, 1, 23));
        for start in 0..12 {
            for end in start..23 {
                assert_eq!(noise.normal_within(2, start..end), normal[start..end], "{start}..{end}");
                assert_eq!(noise.uniform_within(2, start..end), uniform[start..end], "{start}..{end}");
            }
        }
    }

    /// Guards the layout table: if this fails, every seed gives different pictures than before.
    #[test]
    fn layout_is_frozen() {
        let noise = Noise::new(0x0000_0003_0000_0001).at(2).domain(Domain::Order);
        let block = philox([1, 9, 3, 3], [1, 2]);
        assert_eq!(noise.stream(9).skip(4).take(4).collect::<Vec<_>>(), block);
        assert_eq!(noise.uniform(9, 1, 8)[4..], block.map(uniform));
        let pairs = [normal_pair(block[0], block[1]), normal_pair(block[2], block[3])];
        assert_eq!(noise.normal(9, 1, 8)[4..], *pairs.as_flattened());
        assert_eq!(Noise::new(0).normal(0, 1, 4), [0.991_137_8, -0.924_662_53, -0.617_608_9, -0.482_068_5]);
    }
}
