use super::normal::normal_pair;
use super::philox::philox;

/// The words of one key and draw in order: an endless iterator of `u32` that can be resumed anywhere.
///
/// Made by [`Noise::stream`](super::Noise::stream). Every method takes a fixed number of words (stated), so that
/// [`position`](Self::position) says how far a computation has come. The sequence repeats after 2³⁴ words.
///
/// ```
/// use scorefield::rng::{Domain, Noise};
/// let epoch = 3;
/// let order = Noise::new(7).domain(Domain::Order).stream(epoch).permutation(1000);
/// assert_eq!(order.len(), 1000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Philox {
    key: [u32; 2],
    counter: [u32; 4],
    position: u64,
    block: [u32; 4],
}

impl Philox {
    pub(super) fn new(key: [u32; 2], counter: [u32; 4]) -> Self {
        Self { key, counter, position: 0, block: philox(counter, key) }
    }

    /// Number of words taken so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The same sequence after `position` words.
    pub fn resume(self, position: u64) -> Self {
        let mut stream = Self { position, ..self };
        stream.load();
        stream
    }

    /// Uniform in `[0, 1)`, a multiple of 2⁻⁵³. Two words.
    pub fn uniform(&mut self) -> f64 {
        (self.word64() >> 11) as f64 * (0.5f64).powi(53)
    }

    /// Standard normal, of `f32` resolution and the same bits on every target. Two words.
    pub fn normal(&mut self) -> f64 {
        let word = self.word64();
        f64::from(normal_pair(word as u32, (word >> 32) as u32)[0])
    }

    /// Uniform in `0..n`, or 0 when `n` is 0. Two words; no rejection, the bias is below `n / 2⁶⁴`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.word64()) * n as u128) >> 64) as usize
    }

    /// Puts `items` into a uniformly random order (Fisher-Yates). Two words for each item but the first.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// The numbers `0..n` in a uniformly random order. Words as in [`shuffle`](Self::shuffle).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    fn word64(&mut self) -> u64 {
        u64::from(self.word()) | u64::from(self.word()) << 32
    }

    fn word(&mut self) -> u32 {
        let word = self.block[(self.position % 4) as usize];
        self.position = self.position.wrapping_add(1);
        if self.position.is_multiple_of(4) {
            self.load();
        }
        word
    }

    fn load(&mut self) {
        self.counter[0] = (self.position / 4) as u32;
        self.block = philox(self.counter, self.key);
    }
}

impl Iterator for Philox {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        Some(self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::{Domain, Noise};

    #[test]
    fn streams_resume_where_they_stopped() {
        let mut stream = Noise::new(9).stream(4);
        let order = stream.permutation(101);
        assert_eq!(stream.position(), 200);
        let (uniform, normal, below) = (stream.uniform(), stream.normal(), stream.below(10));
        let mut resumed = Noise::new(9).stream(4).resume(200);
        assert_eq!((uniform, normal, below), (resumed.uniform(), resumed.normal(), resumed.below(10)));
        assert_eq!(stream, resumed);
        let mut sorted = order;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..101));
        assert_eq!((stream.below(0), stream.below(1)), (0, 0));
    }

    /// The 24 orders of four items, 1000 each expected; χ² with 23 degrees of freedom exceeds 72 once in 10⁶ seeds.
    #[test]
    fn permutations_are_uniform() {
        let mut counts = HashMap::new();
        for epoch in 0..24_000 {
            let order = Noise::new(2).domain(Domain::Order).stream(epoch).permutation(4);
            *counts.entry(order).or_insert(0i32) += 1;
        }
        let chi_sq: f64 = counts.values().map(|&count| f64::from(count - 1000).powi(2) / 1000.0).sum();
        assert!(counts.len() == 24 && chi_sq < 72.0, "{} orders, χ² {chi_sq}", counts.len());
    }
}
