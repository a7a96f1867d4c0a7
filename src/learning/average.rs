//! Moving averages of the weights: NCSNv2's technique 5 and what came of it.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::objective::rising;
use crate::{Error, Result};

/// How the average that is kept forgets. In files a number is a rate, a table a half-life.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ema {
    /// The share of itself that the average keeps at each step; 0 keeps the weights themselves. Early on
    /// `(1 + step)/(10 + step)` if that is smaller, the first step being 1 (Score-SDE's code).
    Rate(f64),
    /// By images, whatever the batch (Karras et al. 2022, appendix F.2).
    HalfLife(HalfLife),
    /// As the grid of noise levels grows that a consistency function is trained on (Song et al. 2023).
    Growing(Growing),
}

impl From<f64> for Ema {
    fn from(rate: f64) -> Self {
        Self::Rate(rate)
    }
}

/// See [`Ema::HalfLife`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalfLife {
    /// Images after which half of the average is forgotten.
    pub images: f64,
    /// The half-life is at most this share of the images seen so far; EDM has 0.05.
    #[serde(default = "usual_warmup")]
    pub warmup: f64,
}

/// See [`Ema::Growing`]: `mu(k) = exp(first·ln(start)/N(k))`, `N(k)` being the levels of the grid `rising`
/// ([`Levels::Rising`](crate::objective::Levels::Rising)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Growing {
    /// `mu_0`, what it keeps of itself at first; 0.9 in the paper.
    pub start: f64,
    /// `s_0`, 2 in the paper.
    pub first: usize,
    /// `s_1`, 150 in the paper.
    pub last: usize,
}

fn usual_warmup() -> f64 {
    0.05
}

impl Ema {
    /// What the average keeps of itself after `steps` steps, of a run of `of`, of `batch` images.
    pub fn keeps(&self, steps: usize, of: usize, batch: usize) -> f64 {
        match *self {
            Self::Rate(rate) => rate.min((1 + steps) as f64 / (10 + steps) as f64),
            Self::HalfLife(HalfLife { images, warmup }) => {
                let half_life = images.min(warmup * (steps * batch) as f64);
                0.5_f64.powf(batch as f64 / half_life.max(1e-8))
            }
            Self::Growing(Growing { start, first, last }) => {
                let levels = rising(first, last, steps.saturating_sub(1), of.max(1));
                (first as f64 * start.ln() / levels as f64).exp()
            }
        }
    }

    /// Refuses what is no average.
    ///
    /// # Errors
    /// [`Error::Config`] names the number and what it may be.
    pub fn check(&self) -> Result<()> {
        let (what, fine, fix) = match *self {
            Self::Rate(rate) => {
                (format!("ema = {rate}"), (0.0..1.0).contains(&rate), "use 0 or more and less than 1")
            }
            Self::HalfLife(HalfLife { images, warmup }) => (
                format!("ema.images, ema.warmup = {images}, {warmup}"),
                images > 0.0 && images.is_finite() && warmup > 0.0 && warmup.is_finite(),
                "use positive numbers",
            ),
            Self::Growing(Growing { start, first, last }) => (
                format!("ema.start, ema.first, ema.last = {start}, {first}, {last}"),
                start > 0.0
                    && start < 1.0
                    && (2..=100_000).contains(&first)
                    && (first..=100_000).contains(&last),
                "use a start between 0 and 1 and two numbers of levels, 2 to 100000; the paper has 0.9, 2, 150",
            ),
        };
        if fine { Ok(()) } else { Err(Error::config(what, "is not allowed", fix)) }
    }
}

/// An average whose memory grows with the run: after `t` steps, that of step `s` has the weight `(s/t)^exponent` (Karras et
/// al. 2024, section 3). Of two of them, saved now and then, one of any other length can be made when all is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerAverage {
    exponent: f64,
}

impl PowerAverage {
    /// The average of relative `length`, the deviation of its profile as a share of the run: 0.05 and 0.1 in the paper.
    ///
    /// # Errors
    /// [`Error::Config`] for a length that no profile has.
    pub fn of_length(length: f64) -> Result<Self> {
        let deviation =
            |exponent: f64| ((exponent + 1.0) / ((exponent + 2.0).powi(2) * (exponent + 3.0))).sqrt();
        if !(0.01..=0.28).contains(&length) {
            let problem = format!("= {length} is not allowed");
            return Err(Error::config("the length of an average", problem, "use 0.01 to 0.28"));
        }
        // The deviation falls with the exponent.
        let (mut low, mut high) = (0.0, 1e4);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            *(if deviation(middle) > length { &mut low } else { &mut high }) = middle;
        }
        Ok(Self { exponent: low })
    }

    /// What the average keeps of itself at `step`, counted from 1: `(1 - 1/step)^(exponent + 1)`.
    pub fn keeps(&self, step: usize) -> f64 {
        (1.0 - 1.0 / step as f64).powf(self.exponent + 1.0)
    }

    /// `∫ p·q` of the profiles of two averages, each after its steps.
    fn product((a, t_a): (Self, f64), (b, t_b): (Self, f64)) -> f64 {
        let (a, b) = (a.exponent, b.exponent);
        let both = a + b + 1.0;
        // min(t_a, t_b)^both / (t_a^(a + 1)·t_b^(b + 1)), as a power of ratios: t^1000 is no f64.
        let least = t_a.min(t_b);
        let ratio = (least / t_a).powf(a + 1.0) * (least / t_b).powf(b + 1.0) / least;
        (a + 1.0) * (b + 1.0) / both * ratio
    }

    /// By what factors saved averages, each with its steps, are to be added to make `wanted` of them: those whose profile
    /// comes nearest to it in the mean square (Karras et al. 2024, algorithm 3).
    ///
    /// # Errors
    /// [`Error::Config`] for none, or for the same one twice.
    pub fn mixture(saved: &[(Self, usize)], wanted: (Self, usize)) -> Result<Vec<f64>> {
        let undetermined = || {
            let fix = "keep those of one run, each once";
            Error::config("the saved averages", "do not determine another one", fix)
        };
        if saved.is_empty() {
            return Err(undetermined());
        }
        let at = |(average, step): (Self, usize)| (average, step as f64);
        let products =
            DMatrix::from_fn(saved.len(), saved.len(), |i, j| Self::product(at(saved[i]), at(saved[j])));
        let with_wanted = DVector::from_fn(saved.len(), |i, _| Self::product(at(saved[i]), at(wanted)));
        let factors = products.lu().solve(&with_wanted).ok_or_else(undetermined)?;
        Ok(factors.iter().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Karras et al. 2024 state exponents 6.94 and 16.97 for lengths of a tenth and a twentieth.
    #[test]
    fn exponents_are_the_published_ones() {
        for (length, exponent) in [(0.1, 6.94), (0.05, 16.97)] {
            let found = PowerAverage::of_length(length).unwrap().exponent;
            assert!((found - exponent).abs() < 6e-3, "{length}: {found}");
        }
        assert!(PowerAverage::of_length(0.5).is_err() && PowerAverage::of_length(f64::NAN).is_err());
    }

    /// Of two averages of weights that wander, saved ten times, others come out as if they had been kept from the first
    /// step.
    #[test]
    fn an_average_of_any_length_is_made_afterwards() {
        let weight = |step: usize| (step as f64 * 0.01).sin() + (step as f64 * 0.002).cos();
        let run = |average: PowerAverage, steps: usize| {
            (1..=steps).fold(0.0, |mean, step| {
                let keep = average.keeps(step);
                keep * mean + (1.0 - keep) * weight(step)
            })
        };
        let [long, short] = [0.1, 0.05].map(|length| PowerAverage::of_length(length).unwrap());
        let saved: Vec<_> = (1..=10).flat_map(|k| [(long, 200 * k), (short, 200 * k)]).collect();
        for length in [0.04, 0.05, 0.07, 0.1, 0.15] {
            let wanted = PowerAverage::of_length(length).unwrap();
            let factors = PowerAverage::mixture(&saved, (wanted, 2000)).unwrap();
            assert!((factors.iter().sum::<f64>() - 1.0).abs() < 2e-2, "{length}: {factors:?}");
            let made: f64 =
                factors.iter().zip(&saved).map(|(f, (average, step))| f * run(*average, *step)).sum();
            let kept = run(wanted, 2000);
            assert!((made - kept).abs() < 1e-2, "{length}: {made} instead of {kept}");
            // An average is far from the weights themselves, and from that of another length.
            assert!((run(long, 2000) - run(short, 2000)).abs() > 0.05);
        }
        assert!(PowerAverage::mixture(&[], (long, 10)).is_err());
        assert!(PowerAverage::mixture(&[(long, 10), (long, 10)], (short, 10)).is_err());
    }

    #[test]
    fn a_half_life_halves() {
        let ema = Ema::HalfLife(HalfLife { images: 6400.0, warmup: 1.0 });
        // After 100 steps of 64 the average has seen as many images as its half-life.
        let left: f64 = (1000..1100).map(|step| ema.keeps(step, 2000, 64)).product();
        assert!((left - 0.5).abs() < 1e-9);
        let early = Ema::HalfLife(HalfLife { images: 1e9, warmup: 0.05 });
        assert!(
            (early.keeps(20, 2000, 64) - 0.5_f64.powf(1.0)).abs() < 1e-9,
            "one step is a twentieth of twenty"
        );
        assert!(Ema::Rate(1.0).check().is_err() && Ema::Rate(0.0).check().is_ok());
        assert!(Ema::HalfLife(HalfLife { images: 0.0, warmup: 0.05 }).check().is_err());
        assert_eq!(serde_json::from_str::<Ema>("0.9").unwrap(), Ema::Rate(0.9));
        let table: Ema = serde_json::from_str(r#"{"images": 5e5}"#).unwrap();
        assert_eq!(table, Ema::HalfLife(HalfLife { images: 5e5, warmup: 0.05 }));
    }

    /// The constants of CIFAR-10 in Song et al. 2023: .9 at first, and after the grid has grown from 2 to 151 levels
    /// `.9^(2/151)`; half way there it has 107.
    #[test]
    fn an_average_grows_with_its_grid() {
        let ema: Ema = serde_json::from_str(r#"{"start": 0.9, "first": 2, "last": 150}"#).unwrap();
        for (step, levels) in [(1, 2.0), (400_001, 107.0), (800_001, 151.0)] {
            let kept = ema.keeps(step, 800_000, 512);
            assert!((kept - 0.9_f64.powf(2.0 / levels)).abs() < 1e-12, "{step}: {kept}");
        }
        assert!(ema.check().is_ok());
        for (start, first, last) in [(0.0, 2, 150), (1.0, 2, 150), (0.9, 1, 150), (0.9, 20, 10)] {
            assert!(
                Ema::Growing(Growing { start, first, last }).check().is_err(),
                "{start}, {first}, {last}"
            );
        }
    }
}
