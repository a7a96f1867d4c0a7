//! What a network's output means: the views of a [`ScoreModel`] agree with each other and with the density.

use std::cell::RefCell;

use burn::tensor::Tensor;
use pollster::block_on;
use scorefield::images::DataRange;
use scorefield::model::{Denoiser, Learned, Preconditioned, Preconditioning, ScoreModel};
use scorefield::network::Context;
use scorefield::rng::Noise;
use scorefield::run::{Event, Preview, Run, contrast};
use scorefield::sde::{AnySde, VpSde};
use scorefield::toy::GaussianMixture;
use serde_json::json;

use crate::formulas::Formulas;
use crate::support::{
    self, analytic, cpu, figure, lively_unet, named, relative_error, small_unet, tensor, trials, values,
};

trials! {
    cpu: [
        the_score_is_the_gradient_of_the_log_density,
        the_views_agree,
        one_level_for_all_is_that_level_for_each,
        ranges_are_inverted,
        preconditioning_has_its_limits,
        networks_are_scaled_as_their_papers_say,
        previews_show_what_the_model_believes,
    ],
}

fn sdes() -> [AnySde; 4] {
    support::sdes().map(|(sde, _)| sde)
}

fn mixture() -> GaussianMixture {
    let covariances = [vec![vec![0.05, 0.02], vec![0.02, 0.04]], vec![vec![0.04, -0.01], vec![-0.01, 0.06]]];
    GaussianMixture::new(&[0.2, 0.8], &[vec![-1.0, -0.6], vec![0.8, 0.7]], &covariances).unwrap()
}

/// `x_t = mean_coeff·y` with `y` of the mixture plus noise `sigma`: its log density is that of `y` less
/// `d·ln(mean_coeff)`, a constant.
fn the_score_is_the_gradient_of_the_log_density() {
    for sde in sdes() {
        let (mixture, model) = (mixture(), analytic(&mixture(), sde));
        for t in [0.05, 0.3, 0.6, 1.0] {
            let ((mean_coeff, std), sigma) = (sde.marginal_prob(t), sde.sigma(t));
            for z in [[0.3, -1.0], [-1.2, 0.4]] {
                let x = z.map(|z| mean_coeff * 0.3 + std * z);
                let score = values(model.score(tensor(&x.map(|v| v as f32), [1, 2, 1, 1], &cpu()), &[t]));
                let h = 1e-5 * std;
                for i in 0..2 {
                    let at = |h: f64| {
                        let mut moved = x;
                        moved[i] += h;
                        mixture.log_density(&moved.map(|v| v / mean_coeff), sigma)
                    };
                    let expected = (at(h) - at(-h)) / (2.0 * h);
                    let error = (f64::from(score[i]) - expected).abs() * std;
                    assert!(error < 1e-4, "{sde:?} t = {t}: {} instead of {expected}", score[i]);
                }
            }
        }
    }
}

fn the_views_agree() {
    for sde in sdes() {
        let model = analytic(&mixture(), sde);
        let x = tensor(&[0.3, -0.4, 1.0, 0.9, -1.0, -0.2], [3, 2, 1, 1], &cpu());
        let t = [0.1, 0.5, 0.9];
        let before = model.nfe();
        let [denoised, eps, score] = [
            values(model.denoised(x.clone(), &t)),
            values(model.eps(x.clone(), &t)),
            values(model.score(x.clone(), &t)),
        ];
        assert_eq!(model.nfe() - before, 3);
        let x = values(x);
        for i in 0..6 {
            let (mean_coeff, std) = sde.marginal_prob(t[i / 2]);
            let rebuilt = mean_coeff * f64::from(denoised[i]) + std * f64::from(eps[i]);
            assert!((rebuilt - f64::from(x[i])).abs() < 1e-5, "{sde:?}: x = mean_coeff·denoised + std·eps");
            let from_score = -std * f64::from(score[i]);
            assert!((from_score - f64::from(eps[i])).abs() < 1e-5, "{sde:?}: eps = -std·score");
        }
    }
}

fn one_level_for_all_is_that_level_for_each() {
    for sde in sdes() {
        let model = analytic(&mixture(), sde);
        let x = tensor(&[0.3, -0.4, 1.0, 0.9, -1.0, -0.2], [3, 2, 1, 1], &cpu());
        let one = values(model.score(x.clone(), &[0.4]));
        assert_eq!(one, values(model.score(x, &[0.4; 3])), "{sde:?}");
    }
}

fn ranges_are_inverted() {
    for (range, black, white) in [
        (DataRange::UNIT, 0.0, 1.0),
        (DataRange::CENTRED, -1.0, 1.0),
        (DataRange { low: -3.0, high: 5.0 }, -3.0, 5.0),
    ] {
        let pixels = tensor(&[0.0, 1.0, 0.25, -0.5, 1.5], [5], &cpu());
        let encoded = range.encode(pixels.clone());
        assert_eq!(values(encoded.clone())[..2], [black, white]);
        let back = values(range.decode(encoded));
        assert!(back.iter().zip(values(pixels)).all(|(a, b)| (a - b).abs() < 1e-6), "{range:?}: {back:?}");
    }
}

/// At vanishing noise the denoised image is the image; at overwhelming noise it does not depend on `x`'s size.
fn preconditioning_has_its_limits() {
    let config = small_unet();
    for sde in sdes() {
        for preconditioning in [Preconditioning::Edm { sigma_data: 0.5 }, Preconditioning::Eps] {
            let network = lively_unet(&config, 1, 5, &cpu());
            let model = Preconditioned::new(network, preconditioning, sde);
            let x: Tensor<4> =
                tensor(&(0..64).map(|i| (i % 7) as f32 / 7.0).collect::<Vec<_>>(), [1, 1, 8, 8], &cpu());
            let clean = values(model.denoise(x.clone(), &[1e-4]));
            assert!(relative_error(&clean, &values(x.clone())) < 1e-3, "{sde:?} {preconditioning:?}");
        }
        let network = lively_unet(&config, 1, 5, &cpu());
        let model = Preconditioned::new(network, Preconditioning::Edm { sigma_data: 0.5 }, sde);
        let z: Tensor<4> = tensor(&scorefield::rng::Noise::new(1).normal(0, 1, 64), [1, 1, 8, 8], &cpu());
        let far = values(model.denoise(z * 1e4, &[1e4]));
        assert!(far.iter().all(|v| v.abs() < 5.0), "{sde:?}: {far:?}");
    }
}

/// `D = c_skip·x + c_out·F(c_in·x; c_noise)`: Karras et al. 2022, table 1; the noise predicted from the state itself, with
/// DDPM's and NCSN++'s labels; the score of the state, as NCSN has it; and Song et al. 2023, appendix C.
fn networks_are_scaled_as_their_papers_say() {
    let (data, sigmas) = (0.4_f64, [0.3_f64, 2.5]);
    let root = |sigma: f64| (sigma * sigma + data * data).sqrt();
    for (sde, formulas) in Formulas::all() {
        let least = formulas.sigma(formulas.last());
        for preconditioning in [
            Preconditioning::Edm { sigma_data: data },
            Preconditioning::Eps,
            Preconditioning::Score,
            Preconditioning::Consistency { sigma_data: data },
        ] {
            let model = Preconditioned::new(lively_unet(&small_unet(), 1, 5, &cpu()), preconditioning, sde);
            let x = scorefield::rng::Noise::new(2).normal(0, 2, 64);
            let found = values(model.forward(tensor(&x, [2, 1, 8, 8], &cpu()), &sigmas, Context::default()));
            for (k, sigma) in sigmas.into_iter().enumerate() {
                let t = formulas.time_of_sigma(sigma);
                let [c_skip, c_out, c_in, c_noise] = match preconditioning {
                    Preconditioning::Edm { .. } => [
                        (data / root(sigma)).powi(2),
                        sigma * data / root(sigma),
                        1.0 / root(sigma),
                        sigma.ln() / 4.0,
                    ],
                    // Its own tests are in `bytes`.
                    Preconditioning::Bytes { .. } => unreachable!(),
                    Preconditioning::Eps => [1.0, -sigma, formulas.mean(t), formulas.label(t)],
                    Preconditioning::Score => {
                        [1.0, sigma * sigma * formulas.mean(t), formulas.mean(t), formulas.label(t)]
                    }
                    Preconditioning::Consistency { .. } => [
                        (data / root(sigma - least)).powi(2),
                        (sigma - least) * data / root(sigma),
                        1.0 / root(sigma),
                        sigma.ln() / 4.0,
                    ],
                };
                let x = tensor(&x[64 * k..64 * (k + 1)], [1, 1, 8, 8], &cpu());
                let raw = model.network().forward(x.clone() * c_in, &[c_noise], Context::default());
                let expected = values(x * c_skip + raw * c_out);
                let error = relative_error(&found[64 * k..64 * (k + 1)], &expected);
                assert!(error < 2e-5, "{formulas:?}, {preconditioning:?}, sigma {sigma}: off by {error:e}");
            }
            let is_score = !matches!(preconditioning, Preconditioning::Consistency { .. });
            assert_eq!(preconditioning.learned() == Learned::Score, is_score);
            let has_constant = !matches!(preconditioning, Preconditioning::Eps | Preconditioning::Score);
            assert_eq!(preconditioning.sigma_data(), has_constant.then_some(data));
        }
    }
}

/// Without their noise, they are the posterior mean of the state before the step, where Euler asks the model.
fn previews_show_what_the_model_believes() {
    let target = mixture();
    // Not the range of pixels, or a preview that is left in the model's units would go unnoticed.
    let (denoiser, range) = (Box::new(target.clone()), DataRange::CENTRED);
    let model = ScoreModel::new(denoiser, VpSde::default().into(), range, [2, 1, 1], &cpu());
    let previews = RefCell::new(Vec::<Preview>::new());
    let mut run = Run { preview_every: 1, ..Run::default() };
    run.on_event = Some(Box::new(|event| {
        if let Event::Preview(preview) = event {
            previews.borrow_mut().push(preview);
        }
    }));
    block_on(named("euler", json!({ "n_steps": 20 })).sample(&model, &Noise::new(1), 2, &mut run)).unwrap();
    drop(run);
    let (low, range) = (model.range.low, model.range.high - model.range.low);
    let mut worst: f64 = 0.0;
    for [before, after] in previews.borrow().array_windows() {
        let unseen =
            |v: f32| low + range * ((f64::from(v) - 0.5) / contrast(before.sigma, range / 2.0) + 0.5);
        let believed = after.denoised.as_ref().expect("Euler has asked");
        for (point, believed) in before.images.chunks_exact(2).zip(believed.chunks_exact(2)) {
            let mean = target.given(&[unseen(point[0]), unseen(point[1])], before.sigma).mean();
            for (mean, believed) in mean.iter().zip(believed) {
                worst = worst.max(((mean - low) / range - f64::from(*believed)).abs());
            }
        }
    }
    figure(format_args!("what previews believe is {worst:.1e} from the posterior mean"));
    assert!(worst < 1e-4, "{worst}");
}
