//! Dormand and Prince's pair of orders 5 and 4, each sample at its own time and step.

use burn::tensor::{Bool, Tensor, TensorData};

use super::Tolerance;
use crate::model::{Learned, ScoreModel};
use crate::ops::{combine, each, error_norm, read};
use crate::run::Run;
use crate::{Error, Result};

/// Dormand and Prince (1980), the 5(4) pair: nodes, stages, the fifth-order weights (which are also the
/// last stage, so that it serves as the next step's first), and their difference to the fourth order.
const C: [f64; 7] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];
const A: [&[f64]; 7] = [
    &[],
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
    &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339_200.0, 22.0 / 525.0, -1.0 / 40.0];

/// `x + h·sum of weights[j]·k[j]`, or the sum without `x`; one `h` per sample.
fn advance(x: Option<&Tensor<4>>, k: &[Tensor<4>], weights: &[f64], h: &[f64]) -> Tensor<4> {
    let factors: Vec<Vec<f64>> = weights.iter().map(|w| each(h, |h| w * h)).collect();
    let mut terms: Vec<(Tensor<4>, &[f64])> = x.into_iter().map(|x| (x.clone(), &[1.0][..])).collect();
    for ((k, weight), factors) in k.iter().zip(weights).zip(&factors) {
        if *weight != 0.0 {
            terms.push((k.clone(), factors));
        }
    }
    combine(&terms)
}

/// Largest change of the logarithm of the noise level in one step. A longer step can pass the data's
/// own scale between two stages, where neither it nor its error estimate sees the bend: without this
/// one sample in a hundred was off by 0.2 at a tolerance of 1e-3 (VP, a Gaussian).
const LONGEST_STEP: f64 = 2.0;

/// What an ODE solver carries: the states `[n, c, h, w]`, then anything integrated along with them, also one
/// row per sample.
pub type Parts<const N: usize> = [Tensor<4>; N];

/// `f` of the parts of two of them.
fn zip<const N: usize>(
    a: &Parts<N>,
    b: &Parts<N>,
    f: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
) -> Parts<N> {
    std::array::from_fn(|part| f(a[part].clone(), b[part].clone()))
}

/// One step of size `h` per sample: the fifth-order result, the error estimate, and the slope there.
fn dormand_prince<const N: usize>(
    slope_at: &impl Fn(&Parts<N>, &[f64]) -> Parts<N>,
    x: &Parts<N>,
    slope: Parts<N>,
    t: &[f64],
    h: &[f64],
) -> (Parts<N>, Parts<N>, Parts<N>) {
    let mut k: [Vec<Tensor<4>>; N] = slope.map(|slope| vec![slope]);
    let mut x_next = x.clone();
    for stage in 1..7 {
        x_next = std::array::from_fn(|part| advance(Some(&x[part]), &k[part], A[stage], h));
        let t_stage: Vec<f64> = t.iter().zip(h).map(|(t, h)| t + C[stage] * h).collect();
        k.iter_mut().zip(slope_at(&x_next, &t_stage)).for_each(|(k, slope)| k.push(slope));
    }
    let error = std::array::from_fn(|part| advance(None, &k[part], &ERROR, h));
    (x_next, error, k.map(|mut k| k.swap_remove(6)))
}

/// Root mean square of each sample's values, part by part: `N` numbers for each sample, read back.
async fn rms<const N: usize>(parts: Parts<N>) -> Result<Vec<f64>> {
    let columns = parts.map(|x| {
        let [n, c, h, w] = x.dims();
        let x = x.reshape([n, c * h * w]);
        (x.clone() * x).mean_dim(1).sqrt()
    });
    Ok(read(Tensor::cat(columns.to_vec(), 1)).await?.into_iter().map(f64::from).collect())
}

/// Solves `d x/d t = slope_at(x, t)` from `from` to `to` for every sample, in either direction.
///
/// Each part of the state has its own error norm, and the largest counts: values that are few, such as a
/// log-density, are not lost in the mean over an image.
///
/// # Errors
/// [`Error::Config`] for a model that has learned no score, [`Error::TooManySteps`], and those of the run.
pub async fn solve<const N: usize>(
    model: &ScoreModel,
    slope_at: impl Fn(&Parts<N>, &[f64]) -> Parts<N>,
    mut x: Parts<N>,
    [from, to]: [f64; 2],
    tolerance: Tolerance,
    run: &mut Run<'_>,
) -> Result<Parts<N>> {
    if model.learned != Learned::Score {
        let problem = format!("needs {}, but the model has learned {}", Learned::Score, model.learned);
        return Err(Error::config("the probability-flow ODE", problem, "choose another model"));
    }
    let Tolerance { rtol, atol, max_steps } = tolerance;
    let [n, ..] = x[0].dims();
    let direction = (to - from).signum();
    let mut t = vec![from; n];
    let mut slope = slope_at(&x, &[from]);
    // First step: one that moves the state by about a hundredth of its size (Hairer et al. 1993, II.4).
    let (size, speed) = (rms([x[0].clone()]).await?, rms([slope[0].clone()]).await?);
    let limited = |t: f64, h: f64| {
        let reach = model.sde.time_of_sigma(model.sde.sigma(t) * (direction * LONGEST_STEP).exp());
        direction * h.abs().min((reach - t).abs()).min((to - t).abs())
    };
    let mut h: Vec<f64> = size
        .iter()
        .zip(&speed)
        .map(|(size, speed)| limited(from, 0.01 * (size + atol) / (speed + 1e-30)))
        .collect();

    for step in 1..=max_steps {
        let (x_next, error, slope_next) = dormand_prince(&slope_at, &x, slope.clone(), &t, &h);
        let norms = (0..N)
            .map(|part| error_norm([x[part].clone(), x_next[part].clone(), error[part].clone()], rtol, atol));
        let error: Vec<f64> =
            read(Tensor::cat(norms.collect(), 1)).await?.into_iter().map(f64::from).collect();
        let worst = |parts: &[f64]| match parts.iter().all(|e| e.is_finite()) {
            true => parts.iter().copied().fold(0.0, f64::max),
            false => f64::NAN,
        };
        let error: Vec<f64> = error.chunks_exact(N).map(worst).collect();

        let accepted: Vec<bool> = error.iter().map(|e| *e <= 1.0).collect();
        for i in 0..n {
            if t[i] == to {
                continue;
            }
            if accepted[i] {
                t[i] += h[i];
            }
            // A NaN fails every comparison and ends up at the smallest factor.
            let factor = (0.9 * error[i].powf(-0.2)).clamp(0.2, if accepted[i] { 5.0 } else { 1.0 });
            h[i] *= if error[i].is_finite() { factor } else { 0.2 };
            if (to - t[i]) * direction <= 1e-12 {
                (t[i], h[i]) = (to, 0.0);
                continue;
            }
            h[i] = limited(t[i], h[i]);
            if h[i].abs() < 1e-12 {
                let fix = "raise rtol and atol, or use another model".into();
                return Err(Error::NonFinite { what: "the ODE's state".into(), step, fix });
            }
        }
        let accepted = Tensor::<4, Bool>::from_data(TensorData::new(accepted, [n, 1, 1, 1]), &x[0].device());
        let moved = |old: Tensor<4>, new: Tensor<4>| {
            let accepted = accepted.clone().expand(old.dims());
            old.mask_where(accepted, new)
        };
        x = zip(&x, &x_next, moved);
        slope = zip(&slope, &slope_next, moved);

        let slowest = t.iter().copied().fold(to, |a, b| if (b - a) * direction < 0.0 { b } else { a });
        let done = (slowest - from) / (to - from);
        let expected = (step as f64 / done.max(1e-3)).ceil() as usize;
        let (mean_coeff, _) = model.sde.marginal_prob(slowest);
        run.step(model, [step, expected.max(step)], &x[0], mean_coeff, model.sde.sigma(slowest)).await?;
        if t.iter().all(|t| *t == to) {
            return Ok(x);
        }
    }
    let slowest = t.iter().copied().fold(to, |a, b| if (b - a) * direction < 0.0 { b } else { a });
    Err(Error::TooManySteps { max_steps, t: slowest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::flow;
    use crate::images::DataRange;
    use crate::model::Denoiser;
    use crate::sde::{AnySde, VeSde, VpSde};
    use burn::tensor::{DType, Device};

    /// A tableau is consistent if its rows sum to its nodes; order 5 needs the weights to integrate
    /// powers of time up to 4 exactly, order 4 of the companion the same for its difference up to 3.
    #[test]
    fn tableau_satisfies_the_quadrature_conditions() {
        for (row, c) in A.iter().zip(C) {
            assert!((row.iter().sum::<f64>() - c).abs() < 1e-14);
        }
        for power in 0..5 {
            let integral: f64 = A[6].iter().zip(C).map(|(b, c)| b * c.powi(power)).sum();
            assert!((integral - 1.0 / f64::from(power + 1)).abs() < 1e-14, "power {power}");
        }
        for power in 0..4 {
            let difference: f64 = ERROR.iter().zip(C).map(|(e, c)| e * c.powi(power)).sum();
            assert!(difference.abs() < 1e-14, "power {power}");
        }
    }

    /// A Gaussian of this variance: its flow is `x_t ~ mean_coeff·sqrt(variance + sigma²)`.
    struct Gaussian(f64);

    impl Denoiser for Gaussian {
        fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
            crate::ops::scale(x, &each(sigma, |s| self.0 / (self.0 + s * s)))
        }
    }

    /// Fixed steps against the exact flow, in `f64`, as `f32` rounds before the order shows: the error after
    /// `n` steps falls with `n^-5`, the estimate of one step's error with `h^5`.
    #[test]
    fn fixed_steps_converge_with_order_five() {
        let (variance, start) = (0.5, 0.7_f64);
        for (sde, name) in [
            (AnySde::Ve(VeSde { sigma_min: 0.1, sigma_max: 20.0, ..VeSde::default() }), "VE"),
            (AnySde::Vp(VpSde { beta_min: 0.1, beta_max: 10.0 }), "VP"),
        ] {
            let device = Device::flex();
            let model =
                ScoreModel::new(Box::new(Gaussian(variance)), sde, DataRange::UNIT, [1, 1, 1], &device);
            let (from, to) = (0.3, 0.9);
            let size = |t: f64| sde.marginal_prob(t).0 * (variance + sde.sigma(t).powi(2)).sqrt();
            let read = |x: Tensor<4>| -> f64 { x.into_data().try_to_vec::<f64>().unwrap()[0] };
            let (mut errors, mut estimates) = (Vec::new(), Vec::new());
            for n in [24, 32, 48, 64] {
                let h = (to - from) / f64::from(n);
                let data = TensorData::new(vec![start], [1, 1, 1, 1]);
                let mut x = Tensor::<4>::from_data(data, (&device, DType::F64));
                let slope_at = |[x]: &Parts<1>, t: &[f64]| [flow(&model, x.clone(), t)];
                let mut slope = slope_at(&[x.clone()], &[from]);
                for i in 0..n {
                    let t = from + h * f64::from(i);
                    let ([x_next], [error], slope_next) = dormand_prince(&slope_at, &[x], slope, &[t], &[h]);
                    if i == 0 {
                        estimates.push((h.ln(), read(error).abs().ln()));
                    }
                    (x, slope) = (x_next, slope_next);
                }
                errors.push((h.ln(), (read(x) / (start * size(to) / size(from)) - 1.0).abs().ln()));
            }
            for (what, points) in [("error", errors), ("estimate of a step's error", estimates)] {
                let mean =
                    |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / points.len() as f64;
                let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
                let order = mean(&|p| (p.0 - x) * (p.1 - y)) / mean(&|p| (p.0 - x).powi(2));
                println!("{name}: order {order:.3} of the {what}, logarithms {points:.2?}");
                assert!((order - 5.0).abs() < 0.5, "{name}: order {order} of the {what}, {points:?}");
            }
        }
    }
}
