//! Random numbers as a function: no state, only a place in a table of Philox words.
//!
//! Every random number of this crate is a pure function of *what it is for*. Sample `k` of seed `s` is
//! therefore the same picture alone, in any batch, on any shard, natively or in a browser, and a resumed
//! training run draws what the uninterrupted one would have drawn. [`ops::noise`](crate::ops::noise) fills
//! device tensors with the same numbers; `shaders/noise.wgsl` follows this file function by function.
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

/// What a random number is for. Different domains never share a place of the table.
///
/// A new purpose takes the next free value; values are part of what a seed means, so they are never reused.
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
        self.fill(draw, n, len, |[a, b, c, d]| {
            let ([a, b], [c, d]) = (normal_pair(a, b), normal_pair(c, d));
            [a, b, c, d]
        })
    }

    /// Uniform values in `[0, 1)`, multiples of 2⁻²⁴, row by row.
    ///
    /// They are made of the same words as [`normal`](Self::normal) of the same draw: use another draw or domain
    /// where both are needed.
    ///
    /// # Shapes
    /// returns `[n, len]`, addressed as in [`normal`](Self::normal).
    pub fn uniform(&self, draw: u32, n: usize, len: usize) -> Vec<f32> {
        self.fill(draw, n, len, |block| block.map(uniform))
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

    fn fill(&self, draw: u32, n: usize, len: usize, value: impl Fn([u32; 4]) -> [f32; 4]) -> Vec<f32> {
        let [_, draw, seed, domain] = self.counter(draw);
        let mut values = vec![0.0; n * len];
        for (row, sample) in values.chunks_mut(len.max(1)).enumerate() {
            let key = self.key(row as u32);
            for (block, four) in sample.chunks_mut(4).enumerate() {
                four.copy_from_slice(&value(philox([block as u32, draw, seed, domain], key))[..four.len()]);
            }
        }
        values
    }
}

/// The words of one key and draw in order: an endless iterator of `u32` that can be resumed anywhere.
///
/// Made by [`Noise::stream`]. Every method takes a fixed number of words (stated), so that
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
    fn new(key: [u32; 2], counter: [u32; 4]) -> Self {
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

// From here on shaders/noise.wgsl says the same, name by name; a test compares the constants.

const MULTIPLIER_0: u32 = 0xd251_1f53;
const MULTIPLIER_1: u32 = 0xcd9e_8d57;
const WEYL_0: u32 = 0x9e37_79b9;
const WEYL_1: u32 = 0xbb67_ae85;

/// Philox4x32-10: the four random words at `counter` under `key`.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [low_0, high_0] = multiply(MULTIPLIER_0, counter[0]);
        let [low_1, high_1] = multiply(MULTIPLIER_1, counter[2]);
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
        key = [key[0].wrapping_add(WEYL_0), key[1].wrapping_add(WEYL_1)];
    }
    counter
}

/// Low and high word of the 64-bit product.
fn multiply(a: u32, b: u32) -> [u32; 2] {
    let product = u64::from(a) * u64::from(b);
    [product as u32, (product >> 32) as u32]
}

/// The upper 24 bits: every value is exact in `f32`.
fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * UNIFORM_STEP
}

/// Two independent standard normals (Box-Muller).
fn normal_pair(radius: u32, angle: u32) -> [f32; 2] {
    let r = (-2.0 * ln_unit(radius)).sqrt();
    let [cos, sin] = cos_sin_turn(angle);
    [r * cos, r * sin]
}

/// `ln(max(word, 1) / 2³²)`, the word cut to 24 significant bits with the last one set.
///
/// The cut makes the conversion to `f32` exact (rounding would reach 1 and is not specified in WGSL), and the
/// last bit keeps the mantissa inside `(1/2, 1)`, so the result is never zero. Polynomial of Cephes `logf`.
fn ln_unit(word: u32) -> f32 {
    let word = word.max(1);
    let zeros = word.leading_zeros();
    let mut mantissa = ((word << zeros >> 8) | 1) as f32 * UNIFORM_STEP;
    let mut exponent = -(zeros as f32);
    if mantissa < SQRT_HALF {
        mantissa += mantissa;
        exponent -= 1.0;
    }
    let x = mantissa - 1.0;
    let x_sq = x * x;
    let mut tail = LN[0];
    for coefficient in &LN[1..] {
        tail = tail * x + coefficient;
    }
    let small = x * x_sq * tail + exponent * LN_2_LOW - 0.5 * x_sq;
    exponent * LN_2_HIGH + (x + small)
}

/// Cosine and sine of `word / 2³²` turns, the word cut to 27 bits plus a half.
///
/// The quarter turn is split off in integers, so the polynomials (Cephes `sinf`, `cosf`) see at most an eighth
/// of a turn and no large argument is ever rounded.
fn cos_sin_turn(word: u32) -> [f32; 2] {
    let quarter = word.wrapping_add(1 << 29) >> 30;
    let rest = word.wrapping_sub(quarter << 30) as i32;
    let x = ((rest >> 5) | 1) as f32 * TURN_STEP;
    let x_sq = x * x;
    let sin = ((SIN[0] * x_sq + SIN[1]) * x_sq + SIN[2]) * x_sq * x + x;
    let cos = ((COS[0] * x_sq + COS[1]) * x_sq + COS[2]) * x_sq * x_sq - 0.5 * x_sq + 1.0;
    match quarter {
        0 => [cos, sin],
        1 => [-sin, cos],
        2 => [-cos, -sin],
        _ => [sin, -cos],
    }
}

/// 2⁻²⁴.
const UNIFORM_STEP: f32 = 5.960_464_5e-8;
/// 2π · 2⁻²⁷.
const TURN_STEP: f32 = 4.681_337_6e-8;
const SQRT_HALF: f32 = 0.707_106_77;
/// `ln 2` as the sum of a number with few bits, so that its product with an exponent is exact, and the rest.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// `(ln(1 + x) - x + x²/2) / x³` on `[√½ - 1, √2 - 1]`, highest power first.
const LN: [f32; 9] = [
    7.037_683_6e-2,
    -1.151_461_e-1,
    1.167_699_9e-1,
    -1.242_014_1e-1,
    1.424_932_3e-1,
    -1.666_805_8e-1,
    2.000_071_5e-1,
    -2.499_999_4e-1,
    3.333_333e-1,
];
/// `(sin x - x) / x³` in powers of `x²` on `[-π/4, π/4]`, highest first.
const SIN: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
/// `(cos x - 1 + x²/2) / x⁴` in powers of `x²` on `[-π/4, π/4]`, highest first.
const COS: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::f64::consts::{LN_2, TAU};

    /// `kat_vectors` of Random123 1.14, the lines `philox4x32 10`.
    #[test]
    fn philox_gives_the_published_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([!0; 4], [!0; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    /// The words `f32` can tell apart, evaluated exactly: what `ln_unit` and `cos_sin_turn` are meant to be.
    fn exact(radius: u32, angle: u32) -> [f64; 2] {
        let zeros = radius.max(1).leading_zeros();
        let kept = (radius.max(1) << zeros >> 8) | 1;
        let r = (-2.0 * (f64::from(kept).ln() - (24 + zeros) as f64 * LN_2)).sqrt();
        let turn = f64::from((angle >> 5) | 1) / (1 << 27) as f64;
        [r * (TAU * turn).cos(), r * (TAU * turn).sin()]
    }

    #[test]
    fn normals_are_within_a_millionth_of_exact_evaluation() {
        let edges = [0, 1, 2, 0xff, 0x7fff_ffff, 0x8000_0000, 0xb504_f333, 0xb504_f334, !0 - 255, !0];
        let turns = (0..=8).map(|eighth: u32| eighth << 29).flat_map(|t| [t.wrapping_sub(1), t, t + 1]);
        let near = edges.into_iter().flat_map(|radius| turns.clone().map(move |angle| (radius, angle)));
        let stream = Noise::new(1).stream(0);
        let random = stream.clone().step_by(2).zip(stream.skip(1).step_by(2)).take(1 << 20);
        for (radius, angle) in near.chain(random) {
            let found = normal_pair(radius, angle);
            for (found, exact) in found.into_iter().zip(exact(radius, angle)) {
                let error = (f64::from(found) - exact).abs();
                assert!(error < 1e-6, "words {radius:#x} {angle:#x}: {found} instead of {exact}");
            }
        }
    }

    #[test]
    fn extreme_words_give_the_documented_range() {
        assert!(-ln_unit(0) < 22.2 && ln_unit(0) == ln_unit(1));
        assert!(-ln_unit(!0) > (0.5f32).powi(25) && normal_pair(0, 0)[0] < 6.67);
        assert_eq!((uniform(0), uniform(!0)), (0.0, 1.0 - UNIFORM_STEP));
    }

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

    /// Every constant of the kernel has the name and the value it has here.
    #[test]
    fn kernel_has_the_same_constants() {
        // The template's values are of no interest here.
        let source =
            include_str!("../shaders/noise.wgsl").replace("{{ values }}", "0").replace("{{ params }}", "1");
        let wgsl = naga::front::wgsl::parse_str(&source.replace("{{ threads }}", "64")).unwrap();
        let literals = |init| -> Vec<naga::Literal> {
            let literal = |expression: &naga::Expression| match expression {
                naga::Expression::Literal(literal) => *literal,
                other => panic!("{other:?} is not a literal"),
            };
            match &wgsl.global_expressions[init] {
                naga::Expression::Compose { components, .. } => {
                    components.iter().map(|&part| literal(&wgsl.global_expressions[part])).collect()
                }
                scalar => vec![literal(scalar)],
            }
        };
        let found: HashMap<_, _> = wgsl
            .constants
            .iter()
            .filter_map(|(_, constant)| Some((constant.name.as_deref()?, literals(constant.init))))
            .filter(|(name, _)| *name != "WG_SIZE")
            .collect();
        let floats = |values: &[f32]| values.iter().map(|&value| naga::Literal::F32(value)).collect();
        let word = |value| vec![naga::Literal::U32(value)];
        let expected = HashMap::from([
            ("MULTIPLIER_0", word(MULTIPLIER_0)),
            ("MULTIPLIER_1", word(MULTIPLIER_1)),
            ("WEYL_0", word(WEYL_0)),
            ("WEYL_1", word(WEYL_1)),
            ("UNIFORM_STEP", floats(&[UNIFORM_STEP])),
            ("TURN_STEP", floats(&[TURN_STEP])),
            ("SQRT_HALF", floats(&[SQRT_HALF])),
            ("LN_2_HIGH", floats(&[LN_2_HIGH])),
            ("LN_2_LOW", floats(&[LN_2_LOW])),
            ("LN", floats(&LN)),
            ("SIN", floats(&SIN)),
            ("COS", floats(&COS)),
        ]);
        assert_eq!(found, expected);
    }
}
