//! A sampler's walk in `f64`, with the very noise that its chain draws: what golden updates are written with.

use scorefield::rng::Noise;
use scorefield::run::{Event, Run};
use scorefield::toy::GaussianMixture;

use crate::formulas::Formulas;
use crate::support::{GAUSSIAN, figure, mixture};

/// Samples, each of two values, and the seed of their noise.
pub const N: usize = 3;
pub const SEED: u64 = 31;

/// The values of all samples.
pub type State = Vec<f64>;

/// The diffusion, the target, the noise, and what has been shown.
pub struct Walk {
    pub formulas: Formulas,
    target: GaussianMixture,
    draw: u32,
    shown: Vec<State>,
}

impl Walk {
    pub fn new(formulas: Formulas) -> Self {
        Self { formulas, target: mixture(GAUSSIAN), draw: 0, shown: Vec::new() }
    }

    /// The next draw of the chain.
    pub fn noise(&mut self) -> State {
        self.draw += 1;
        Noise::new(SEED).normal(self.draw - 1, N, 2).into_iter().map(f64::from).collect()
    }

    pub fn prior(&mut self) -> State {
        sum(&[(self.formulas.prior_std(), &self.noise())])
    }

    /// The gradient of the log density of `x_0 + sigma·z` at `y = x_t/mean`.
    pub fn score_of_unscaled(&self, y: &State, sigma: f64) -> State {
        y.chunks_exact(2).flat_map(|y| self.target.score(y, sigma)).collect()
    }

    /// The gradient of the log density of `x_t` at `x`.
    pub fn score(&self, x: &State, t: f64) -> State {
        let mean = self.formulas.mean(t);
        let y = sum(&[(1.0 / mean, x)]);
        sum(&[(1.0 / mean, &self.score_of_unscaled(&y, self.formulas.sigma(t)))])
    }

    /// Tweedie: `y + sigma²·score`.
    pub fn denoised(&self, y: &State, sigma: f64) -> State {
        sum(&[(1.0, y), (sigma * sigma, &self.score_of_unscaled(y, sigma))])
    }

    /// What a preview shows of `y = x_t/mean` at a noise level, for pixel values: contrast `1/sqrt(1 + (sigma/half)²)`
    /// around the middle, the half of the range being 0.5.
    pub fn show(&mut self, y: &State, sigma: f64) {
        let contrast = 1.0 / (1.0 + (sigma / 0.5).powi(2)).sqrt();
        self.shown.push(y.iter().map(|y| 0.5 + (y - 0.5) * contrast).collect());
    }

    /// What was shown, and the result.
    pub fn finished(self, result: State) -> Vec<State> {
        [self.shown, vec![result]].concat()
    }
}

pub fn sum(terms: &[(f64, &State)]) -> State {
    (0..terms[0].1.len()).map(|i| terms.iter().map(|(factor, x)| factor * x[i]).sum()).collect()
}

/// A run that keeps what every step shows.
pub fn watching(pictures: &mut Vec<Vec<f32>>) -> Run<'_> {
    let on_event = |event| {
        if let Event::Preview(preview) = event {
            pictures.push(preview.images);
        }
    };
    Run { preview_every: 1, on_event: Some(Box::new(on_event)), ..Run::default() }
}

/// The pictures of a run, its result last, against those of the walk: relative to the state they may be `bound` off.
pub fn compare(what: &str, found: &[Vec<f32>], expected: &[State], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: pictures");
    let off: Vec<f64> = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| {
            let size = expected.iter().map(|v| v.abs()).fold(1.0, f64::max);
            let largest =
                found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            largest / size
        })
        .collect();
    let worst = off.iter().copied().fold(0.0, f64::max);
    figure(format_args!("{what}: off by {worst:.1e}"));
    assert!(worst < bound, "{what}: off by {off:?}, {found:?} instead of {expected:?}");
}
