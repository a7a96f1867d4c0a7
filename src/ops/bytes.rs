//! Values that are bytes: what a noisy one says by itself of the byte that it came from.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::launch::wgsl::{self, Launch, params, shader};
use super::{Dual, combine, each, per_sample, scale, upload};
use crate::images::DataRange;

/// Values that lie in the middle of one of 256 equally wide bins, as bytes do inside a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bins {
    /// The middle of the lowest one.
    pub first: f64,
    /// Their width.
    pub width: f64,
}

/// Their number.
const BINS: f64 = 256.0;
/// Features have periods of 1, 2, 4, ... bins.
const OCTAVES: i32 = 8;
/// Bins on either side that noise is taken to reach.
const REACH: i32 = 3;
/// From this noise on, in bins, a value says nothing of its place between two of them: less than 3e-5 of a bin.
const BLURRED: f64 = 0.8;

/// What a noisy value says by itself, each bin being equally probable.
struct Seen {
    /// The expectation.
    expected: Tensor<4>,
    /// Its slope: the posterior variance by that of the noise.
    slope: Tensor<4>,
    /// The logarithm of the density of such a value, up to a constant.
    log: Tensor<4>,
}

/// What depends on the noise level alone.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// One over the square of the noise in bins.
    precision: f64,
    /// How far `x` can tell an end of the range from other values: above half the range it cannot.
    trust: f64,
    /// The logarithm of an end's density by that of any value, without what depends on `x`.
    constant: f64,
    /// Times the squared distance from an end: the logarithm of its density.
    half: f64,
}

/// What a network makes of it, `[n, 3c, h, w]`: the raw output, then how probable it finds either end of the range.
const OUTPUTS: usize = 3;

impl Bins {
    /// Where bytes lie if byte `b` is the pixel values from `b/256` to `(b + 1)/256`, in units of `range`.
    pub fn of(range: DataRange) -> Self {
        let width = (range.high - range.low) / BINS;
        Self { first: range.low + 0.5 * width, width }
    }

    /// Channels of [`look`](Self::look) for each one of the images.
    pub const INPUTS: usize = 1 + 2 * OCTAVES as usize;
    /// Channels of `raw` of [`decide`](Self::decide) for each one of the images.
    pub const OUTPUTS: usize = OUTPUTS;

    /// What a network reads of `x`, which is bytes with noise `sigma·z`: `c_in·x`, then sines and cosines of `x` with periods
    /// of 1 to 128 bins, each as large as the noise leaves it on average (Kingma et al. 2021, appendix C; Barron et al. 2021).
    /// So it sees in which bin a value lies where that can be seen. `[n, 17c, h, w]`.
    pub fn look(&self, x: Tensor<4>, c_in: &[f64], sigma: &[f64]) -> Tensor<4> {
        let Some(launch) = Launch::new(&x.device(), shader!("bytes_look"), THREADS) else {
            return self.look_plain(x, c_in, sigma);
        };
        let [rows, c, h, w] = x.dims();
        let levels = sigma.len().max(c_in.len());
        let scales = (0..levels).flat_map(|k| [c_in[k % c_in.len()], sigma[k % sigma.len()] / self.width]);
        let params = LookParams {
            rows: rows as u32,
            len: (c * h * w) as u32,
            levels: levels as u32,
            octaves: OCTAVES as u32,
            first: self.first as f32,
            width: self.width as f32,
            pad0: 0,
            pad1: 0,
        };
        let launch = launch.input("scales", numbers(scales, &x.device())).input("x", x);
        let groups = wgsl::rows((rows * c * h * w).div_ceil(THREADS));
        launch.run_for("y", [rows, Self::INPUTS * c, h, w], &params, groups)
    }

    /// [`look`](Self::look) in burn's stock operations: the oracle of the tests.
    pub fn look_plain(&self, x: Tensor<4>, c_in: &[f64], sigma: &[f64]) -> Tensor<4> {
        let mut values = vec![scale(x.clone(), c_in)];
        self.waves(x, sigma, |_, sin, cos| values.extend([sin, cos]));
        Tensor::cat(values, 1)
    }

    /// [`look`](Self::look), and how it changes along the tangent of `x`.
    pub fn look_dual(&self, x: Dual, c_in: &[f64], sigma: &[f64]) -> Dual {
        let (mut values, mut tangents) =
            (vec![scale(x.value.clone(), c_in)], vec![scale(x.tangent.clone(), c_in)]);
        self.waves(x.value, sigma, |frequency, sin, cos| {
            let along = x.tangent.clone() * (frequency / self.width);
            tangents.extend([cos.clone() * along.clone(), -sin.clone() * along]);
            values.extend([sin, cos]);
        });
        Dual { value: Tensor::cat(values, 1), tangent: Tensor::cat(tangents, 1) }
    }

    /// The expectation of the bytes, where `x` is they with noise `sigma·z`, and a network has said `raw` of them.
    ///
    /// By Bayes' rule over three cases: a value is at the lower end of the range, at the upper, or anywhere, each as probable
    /// as the network says times what `x` says. Anywhere it is `c_skip` times what `x` alone lets expect, and `c_out·raw`. In
    /// saturated parts, which images have much of, a network need then only recognise them.
    pub fn decide(&self, x: Tensor<4>, raw: Tensor<4>, sigma: &[f64], scales: [&[f64]; 2]) -> Tensor<4> {
        let launch =
            (x.device() == raw.device()).then(|| Launch::new(&x.device(), shader!("bytes_decide"), THREADS));
        let Some(launch) = launch.flatten() else {
            return self.decide_plain(x, raw, sigma, scales);
        };
        let ([rows, c, h, w], [c_skip, c_out]) = (x.dims(), scales);
        let of_level = |(k, sigma): (usize, &f64)| {
            let Level { precision, trust, constant, half } = self.level(*sigma);
            [precision, trust, constant, half, c_skip[k % c_skip.len()], c_out[k % c_out.len()]]
        };
        let levels = numbers(sigma.iter().enumerate().flat_map(of_level), &x.device());
        let [first, last] = self.ends().map(|end| end as f32);
        let params = DecideParams {
            rows: rows as u32,
            len: (c * h * w) as u32,
            levels: sigma.len() as u32,
            reach: REACH as u32,
            first,
            last,
            width: self.width as f32,
            pad: 0,
        };
        let groups = wgsl::rows((rows * c * h * w).div_ceil(THREADS));
        let launch = launch.input("x", x).input("raw", raw).input("numbers", levels);
        launch.run_for("y", [rows, c, h, w], &params, groups)
    }

    /// [`decide`](Self::decide) in burn's stock operations: the oracle of the tests.
    pub fn decide_plain(
        &self,
        x: Tensor<4>,
        raw: Tensor<4>,
        sigma: &[f64],
        [c_skip, c_out]: [&[f64]; 2],
    ) -> Tensor<4> {
        let seen = self.seen(x.clone(), sigma);
        let [own, low, high] = parts(raw);
        let own = combine(&[(seen.expected.clone(), c_skip), (own, c_out)]);
        let shares = self.shares(&x, &seen.log, [low, high], sigma);
        self.mean(own, &shares)
    }

    /// [`decide`](Self::decide), and how it changes along the tangents of `x` and `raw`.
    pub fn decide_dual(&self, x: Dual, raw: Dual, sigma: &[f64], [c_skip, c_out]: [&[f64]; 2]) -> Dual {
        let seen = self.seen(x.value.clone(), sigma);
        let expected = Dual { value: seen.expected.clone(), tangent: x.tangent.clone() * seen.slope };
        let ([own, low, high], [own_change, low_change, high_change]) =
            (parts(raw.value), parts(raw.tangent));
        let own = Dual::combine(&[(expected, c_skip), (Dual { value: own, tangent: own_change }, c_out)]);
        let shares = self.shares(&x.value, &seen.log, [low, high], sigma);
        let value = self.mean(own.value, &shares);
        // How the logarithm of each share's numerator changes: the density of any value, that of an end.
        let of = |number: fn(Level) -> f64| each(sigma, |sigma| number(self.level(sigma)));
        let any = (x.value.clone() - seen.expected) / (self.width * self.width);
        let any = scale(any, &of(|level| level.trust * level.precision));
        let twice_half = of(|level| 2.0 * level.half);
        let [of_any, of_low, of_high] = shares;
        let of_end = |end: f64, share: Tensor<4>, change: Tensor<4>| {
            let by_x = any.clone() + scale(x.value.clone() - end, &twice_half);
            (change + by_x * x.tangent.clone()) * share * (value.clone().neg() + end)
        };
        let [low, high] = self.ends();
        let tangent =
            own.tangent * of_any + of_end(low, of_low, low_change) + of_end(high, of_high, high_change);
        Dual { value, tangent }
    }

    /// The mean square of what `x` alone leaves to know: `E (x_0 - expected)²`.
    pub fn left(&self, sigma: f64) -> f64 {
        let noise = self.noise(sigma);
        if noise >= BLURRED {
            return sigma * sigma;
        }
        // The mean over one bin, by the middles of POINTS parts of it, with the density of a value there.
        const POINTS: i32 = 64;
        let of_point = |i: i32| {
            let off = (f64::from(i) + 0.5) / f64::from(POINTS) - 0.5;
            let weights =
                (-REACH..=REACH).map(f64::from).map(|j| (j, (-0.5 * ((off - j) / noise).powi(2)).exp()));
            let [all, first, second] =
                weights.fold([0.0; 3], |[a, b, c], (j, w)| [a + w, b + w * j, c + w * j * j]);
            second - first * first / all
        };
        let density = self.width.powi(2) / (noise * TAU.sqrt());
        density * (0..POINTS).map(of_point).sum::<f64>() / f64::from(POINTS)
    }

    /// The probabilities of any value, the lower end and the upper one.
    fn shares(&self, x: &Tensor<4>, log: &Tensor<4>, ends: [Tensor<4>; 2], sigma: &[f64]) -> [Tensor<4>; 3] {
        let of = |number: fn(Level) -> f64| each(sigma, |sigma| number(self.level(sigma)));
        let (half, constant) = (of(|level| level.half), per_sample(&of(|level| level.constant), &x.device()));
        let by_any = constant - scale(log.clone(), &of(|level| level.trust));
        let [low, high] = self.ends();
        let of_end = |end: f64, said: Tensor<4>| {
            let off = x.clone() - end;
            said + by_any.clone() + scale(off.clone() * off, &half)
        };
        let [said_low, said_high] = ends;
        let [low, high] = [of_end(low, said_low), of_end(high, said_high)];
        let most = low.clone().max_pair(high.clone()).clamp_min(0.0);
        let shares = [most.clone().neg(), low - most.clone(), high - most].map(Tensor::exp);
        let [any, low, high] = shares;
        let all = any.clone() + low.clone() + high.clone();
        [any / all.clone(), low / all.clone(), high / all]
    }

    /// The mean of a value, the lower end and the upper one.
    fn mean(&self, own: Tensor<4>, [any, low, high]: &[Tensor<4>; 3]) -> Tensor<4> {
        let ends = self.ends();
        own * any.clone() + low.clone() * ends[0] + high.clone() * ends[1]
    }

    /// Tells `take` the frequency, sine and cosine of each octave.
    fn waves(&self, x: Tensor<4>, sigma: &[f64], mut take: impl FnMut(f64, Tensor<4>, Tensor<4>)) {
        let bins = self.bins(x);
        for octave in 0..OCTAVES {
            let frequency = TAU / 2_f64.powi(octave);
            let left = each(sigma, |sigma| (-0.5 * (frequency * sigma / self.width).powi(2)).exp());
            let angle = bins.clone() * frequency;
            take(frequency, scale(angle.clone().sin(), &left), scale(angle.cos(), &left));
        }
    }

    /// Far below a bin's width `expected` is the nearest middle, above it `x` itself.
    fn seen(&self, x: Tensor<4>, sigma: &[f64]) -> Seen {
        let bins = self.bins(x.clone());
        let off = bins.clone() - bins.round();
        let precision = each(sigma, |sigma| self.noise(sigma).powi(-2));
        let (mut all, mut first, mut second) = (off.ones_like(), off.zeros_like(), off.zeros_like());
        for j in (-REACH..=REACH).filter(|j| *j != 0).map(f64::from) {
            let weight = scale(off.clone() * j - 0.5 * j * j, &precision).exp();
            all = all + weight.clone();
            first = first + weight.clone() * j;
            second = second + weight * (j * j);
        }
        let mean = first / all.clone();
        let variance = second / all.clone() - mean.clone() * mean.clone();
        Seen {
            expected: x + (mean - off.clone()) * self.width,
            slope: scale(variance, &precision),
            log: all.log() - scale(off.clone() * off, &precision) * 0.5,
        }
    }

    /// `x` in bins from the middle of the first one.
    fn bins(&self, x: Tensor<4>) -> Tensor<4> {
        (x - self.first) / self.width
    }

    /// The noise in bins, as far as it matters.
    fn noise(&self, sigma: f64) -> f64 {
        (sigma / self.width).min(BLURRED)
    }

    fn level(&self, sigma: f64) -> Level {
        let (noise, range) = (self.noise(sigma), BINS * self.width);
        let trust = 1.0 / (1.0 + (2.0 * sigma / range).powi(4));
        Level {
            precision: noise.powi(-2),
            trust,
            constant: trust * (range * noise / sigma.min(range)).ln(),
            half: -0.5 * trust / (sigma * sigma),
        }
    }

    /// The middles of the first and last bin.
    fn ends(&self) -> [f64; 2] {
        [self.first, self.first + (BINS - 1.0) * self.width]
    }
}

/// Thirds of the channels.
fn parts(raw: Tensor<4>) -> [Tensor<4>; OUTPUTS] {
    let [n, c, h, w] = raw.dims();
    let c = c / OUTPUTS;
    [0, 1, 2].map(|k| raw.clone().slice([0..n, k * c..(k + 1) * c, 0..h, 0..w]))
}

/// Numbers of noise levels, for a kernel.
fn numbers(values: impl Iterator<Item = f64>, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.map(|value| value as f32).collect();
    upload(&values, [values.len()], device)
}

const THREADS: usize = 64;

params! {
    struct LookParams {
        rows: u32,
        len: u32,
        levels: u32,
        octaves: u32,
        first: f32,
        width: f32,
        pad0: u32,
        pad1: u32,
    }
}

params! {
    struct DecideParams {
        rows: u32,
        len: u32,
        levels: u32,
        reach: u32,
        first: f32,
        last: f32,
        width: f32,
        pad: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        wgsl::check::<LookParams>(shader!("bytes_look"), THREADS);
        wgsl::check::<DecideParams>(shader!("bytes_decide"), THREADS);
    }

    /// By many draws of a value in the middle of a bin with noise: what its expectation is off by.
    #[test]
    fn what_is_left_is_the_error_of_the_expectation() {
        let bins = Bins { first: -0.7, width: 0.01 };
        let mut stream = crate::rng::Noise::new(1).stream(0);
        for sigma in [0.002, 0.003, 0.005, 0.007, 0.02] {
            let z: Vec<f32> = (0..20_000).map(|_| stream.normal() as f32).collect();
            let truth = bins.first + 7.0 * bins.width;
            let x: Vec<f32> = z.iter().map(|z| (truth + sigma * f64::from(*z)) as f32).collect();
            let x = upload(&x, [1, 1, 1, z.len()], &Device::flex());
            let off: Vec<f32> = (bins.seen(x, &[sigma]).expected - truth).into_data().try_to_vec().unwrap();
            let found = off.iter().map(|off| f64::from(*off).powi(2)).sum::<f64>() / z.len() as f64;
            assert!((found / bins.left(sigma) - 1.0).abs() < 0.05, "{sigma}: {found}, {}", bins.left(sigma));
        }
    }
}
