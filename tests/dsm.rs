//! Denoising score matching: the times it draws, and its loss against the formula.

use scorefield::model::{Preconditioned, Preconditioning};
use scorefield::network::Context;
use scorefield::objective::{Dsm, Loss, Models, Recognition, Step, TimeDistribution, Weighting};
use scorefield::rng::draws::training::NOISE;
use scorefield::rng::{Domain, Noise};

use burn::tensor::Tensor;

use crate::formulas::Formulas;
use crate::support::{cpu, figure, lively_unet, small_unet, step_on, tensor, trials, values};

trials! {
    cpu: [
        times_have_their_distribution,
        noise_levels_of_a_classifier_have_their_distribution,
        the_loss_is_its_formula,
    ],
}

const TIMES: [TimeDistribution; 2] =
    [TimeDistribution::Uniform, TimeDistribution::LogNormal { mean: 0.3, std: 1.2 }];
const SIGMA_DATA: f64 = 0.5;

/// A step of so many images of one value.
fn step_of(images: usize) -> Step<'static> {
    step_on(Tensor::zeros([images, 1, 1, 1], &cpu()), 7, 3)
}

/// The largest difference of the shares below a value, of the numbers and of their distribution: its cumulative
/// distribution makes them uniform (Kolmogorov 1933).
fn kolmogorov(numbers: impl Iterator<Item = f64>, cumulative: impl Fn(f64) -> f64) -> f64 {
    let mut shares: Vec<f64> = numbers.map(cumulative).collect();
    shares.sort_by(f64::total_cmp);
    let n = shares.len() as f64;
    let off =
        |(i, share): (usize, &f64)| (share - i as f64 / n).abs().max((share - (i + 1) as f64 / n).abs());
    shares.iter().enumerate().map(off).fold(0.0, f64::max)
}

/// What chance exceeds once in a hundred thousand seeds: `2·exp(-2·2.5²)`.
fn bound(n: usize) -> f64 {
    2.5 / (n as f64).sqrt()
}

/// The standard normal's cumulative distribution, by Simpson's rule from 0.
fn normal_cumulative(z: f64) -> f64 {
    const CELLS: usize = 200;
    let density = |y: f64| (-0.5 * y * y).exp() / std::f64::consts::TAU.sqrt();
    let h = z.clamp(-8.0, 8.0) / CELLS as f64;
    let weight = |i: usize| if i == 0 || i == CELLS { 1.0 } else { [2.0, 4.0][i % 2] };
    0.5 + h / 3.0 * (0..=CELLS).map(|i| weight(i) * density(i as f64 * h)).sum::<f64>()
}

/// Uniform on `[1e-5, 1]`, or normal in `ln(sigma/sigma_data)`; what the normal has outside a diffusion's levels, 4e-4
/// at most, is below the bound. Each image has its own, and the next step has others.
fn times_have_their_distribution() {
    let n = 20_000;
    for (sde, formulas) in Formulas::all() {
        for times in TIMES {
            let (uniform, normal) = step_of(n).levels();
            let dsm = Dsm { times, ..Dsm::default() };
            let found = dsm.times(&*sde, SIGMA_DATA, &uniform, &normal);
            assert!(found.len() == n && found.iter().all(|t| (1e-5..=1.0).contains(t)), "{formulas:?}");
            let cumulative = |t: f64| match times {
                TimeDistribution::Uniform => (t - 1e-5) / (1.0 - 1e-5),
                TimeDistribution::LogNormal { mean, std } => {
                    normal_cumulative(((formulas.sigma(t) / SIGMA_DATA).ln() - mean) / std)
                }
            };
            let off = kolmogorov(found.into_iter(), cumulative);
            figure(format_args!("{formulas:?}, {times:?}: Kolmogorov's distance {off:.4} of {n} times"));
            assert!(off < bound(n), "{formulas:?}, {times:?}: {off}");
        }
    }
    let (uniform, normal) = step_of(2).levels();
    let next = Step { index: 8, ..step_of(2) };
    assert!(uniform[0] != uniform[1] && normal[0] != normal[1]);
    assert_ne!(next.levels(), (uniform, normal));
}

/// Zero for the clean share, log-normal for the rest.
fn noise_levels_of_a_classifier_have_their_distribution() {
    let (n, recognition) = (20_000, Recognition { clean: 0.3, mean: -0.5, std: 1.5 });
    let (_, normal) = step_of(n).levels();
    let sigmas = recognition.sigmas(&normal);
    let noisy: Vec<f64> = sigmas.iter().copied().filter(|sigma| *sigma > 0.0).collect();
    assert_eq!((sigmas.len(), noisy.len()), (n, 14_000));
    let off = kolmogorov(noisy.into_iter(), |sigma| normal_cumulative((sigma.ln() + 0.5) / 1.5));
    assert!(off < bound(14_000), "{off}");
}

/// `lambda/(std·sigma)²·|D(x_0 + sigma·z; sigma) - x_0|²`, averaged over pixels: the denoised image is the network's
/// own, all else is written out.
fn the_loss_is_its_formula() {
    const IMAGES: usize = 4;
    let pixels = Noise::new(4).normal(0, IMAGES, 64);
    for (sde, formulas) in Formulas::all() {
        let network = lively_unet(&small_unet(), 1, 1, &cpu());
        let model = Preconditioned::new(network, Preconditioning::Edm { sigma_data: SIGMA_DATA }, sde);
        let x0 = tensor(&pixels, [IMAGES, 1, 8, 8], &cpu());
        let step = Step { x0: x0.clone(), ..step_of(IMAGES) };
        let z = Noise::new(3).domain(Domain::Training).at(7).normal(NOISE, 1, IMAGES * 64);
        for times in TIMES {
            let (uniform, normal) = step.levels();
            let t: Vec<f64> = match times {
                TimeDistribution::Uniform => uniform.iter().map(|u| 1e-5 + (1.0 - 1e-5) * u).collect(),
                TimeDistribution::LogNormal { mean, std } => {
                    let level = |z: &f64| SIGMA_DATA * (mean + std * z).exp();
                    normal.iter().map(|z| formulas.time_of_sigma(level(z))).collect()
                }
            };
            let sigma: Vec<f64> = t.iter().map(|t| formulas.sigma(*t)).collect();
            let noisy: Vec<f32> =
                (0..z.len()).map(|i| pixels[i] + (sigma[i / 64] * f64::from(z[i])) as f32).collect();
            let denoised =
                values(model.forward(tensor(&noisy, [IMAGES, 1, 8, 8], &cpu()), &sigma, Context::default()));
            let square = |image: usize| {
                let of = |i: usize| f64::from(denoised[i] - pixels[i]).powi(2);
                (64 * image..64 * (image + 1)).map(of).sum::<f64>() / 64.0
            };
            for weighting in [Weighting::Std2, Weighting::Likelihood, Weighting::Edm] {
                let models = Models { student: &model, average: &model, teacher: None, features: None };
                let found = values(Dsm { weighting, times, references: 0 }.loss(models, &step));
                assert_eq!(found.len(), IMAGES);
                for (image, found) in found.into_iter().enumerate() {
                    let (t, sigma) = (t[image], sigma[image]);
                    let lambda = match weighting {
                        Weighting::Std2 => formulas.std(t).powi(2),
                        Weighting::Likelihood => formulas.diffusion_sq(t),
                        Weighting::Edm => formulas.std(t).powi(2) * (1.0 + (sigma / SIGMA_DATA).powi(2)),
                    };
                    let expected = lambda / (formulas.std(t) * sigma).powi(2) * square(image);
                    let error = (f64::from(found) / expected - 1.0).abs();
                    assert!(
                        error < 1e-3,
                        "{formulas:?}, {weighting:?}, {times:?}: {found} instead of {expected}"
                    );
                }
            }
        }
    }
}
