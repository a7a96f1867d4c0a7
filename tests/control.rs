//! Samples under a condition, against posteriors that are known.

use burn::tensor::Tensor;
use scorefield::Error;
use scorefield::control::{
    Guide, class_guided, colorize, denoise, edit, guided, inpaint, small_shape, upscale,
};
use scorefield::images::DataRange;
use scorefield::model::{Conditioning, Denoiser, Learned, ScoreModel};
use scorefield::rng::Noise;
use scorefield::sampler::Sampler;
use scorefield::toy::GaussianMixture;
use scorefield::weights::shipped;
use serde_json::json;

use crate::support::{
    self, analytic, cpu, figure, lively_model, named, sdes, small_unet, tensor, trials, values,
};

trials! {
    cpu: [
        known_pixels_are_returned_exactly,
        block_means_and_greys_are_kept,
        every_sampler_draws_what_is_independent_of_the_known,
        the_rest_learns_of_the_known_by_its_covariance,
        inpainting_a_gaussian_has_the_stated_bias,
        inpainting_a_mixture_finds_its_mode,
        colours_of_a_gaussian_have_the_stated_bias,
        a_guide_of_weight_one_draws_its_component,
        an_edited_gaussian_is_where_its_flow_leads,
        denoising_draws_from_the_posterior,
        noise_is_measured_in_pixel_values,
        every_divisor_enlarges,
        what_cannot_be_controlled_is_refused,
    ],
}

fn draw(sampler: &Sampler, model: &ScoreModel, n: usize) -> Vec<f32> {
    support::draw(sampler, model, Noise::new(21), n)
}

/// Mean and variance of some numbers.
fn moments(numbers: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let n = numbers.clone().count() as f64;
    let mean = numbers.clone().map(f64::from).sum::<f64>() / n;
    (mean, numbers.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

fn gaussian(mean: [f64; 2], [xx, xy, yy]: [f64; 3]) -> GaussianMixture {
    GaussianMixture::new(&[1.0], &[mean.to_vec()], &[vec![vec![xx, xy], vec![xy, yy]]]).unwrap()
}

/// `model` with its first value known.
fn knowing_first(model: ScoreModel, first: f32, conditioning: Conditioning) -> ScoreModel {
    let image = tensor(&[first, 0.0], [1, 2, 1, 1], &cpu());
    inpaint(model, image, tensor(&[1.0, 0.0], [1, 2, 1, 1], &cpu()), conditioning).unwrap()
}

fn few_steps() -> Vec<Sampler> {
    let few = |sampler: Sampler| {
        let name = sampler.info().name;
        let steps = sampler.info().options.iter().find(|option| option.name == "n_steps");
        if steps.is_some() { named(name, json!({"n_steps": 4})) } else { sampler }
    };
    Sampler::fitting(Learned::Score).into_iter().map(few).collect()
}

fn known_pixels_are_returned_exactly() {
    let image = Noise::new(4).uniform(0, 3, 49);
    let mask: Vec<f32> = (0..49).map(|i| if i % 7 < 3 { 1.0 } else { 0.0 }).collect();
    for (sde, name) in sdes() {
        let cases = few_steps().into_iter().flat_map(|s| Conditioning::ALL.map(|c| (s.clone(), c)));
        for (sampler, conditioning) in cases {
            let model = lively_model(&small_unet(), sde, [1, 7, 7], &cpu());
            let (pixels, kept) = (tensor(&image, [3, 1, 7, 7], &cpu()), tensor(&mask, [1, 1, 7, 7], &cpu()));
            let found = draw(&sampler, &inpaint(model, pixels, kept, conditioning).unwrap(), 3);
            for (k, (found, image)) in found.iter().zip(&image).enumerate() {
                let known = mask[k % 49] == 1.0;
                assert_eq!(found == image, known, "{name}, {sampler:?}, value {k}: {found}, {image}");
            }
        }
    }
}

fn block_means_and_greys_are_kept() {
    let small = Noise::new(5).uniform(0, 1, 12);
    for (sde, name) in sdes() {
        for sampler in few_steps() {
            let model = lively_model(&small_unet(), sde, [3, 8, 8], &cpu());
            let means = tensor(&small, [1, 3, 2, 2], &cpu());
            let model = upscale(model, means, 4, Conditioning::Replacement).unwrap();
            let found = draw(&sampler, &model, 1);
            for (block, expected) in small.iter().enumerate() {
                let (c, y, x) = (block / 4, block / 2 % 2, block % 2);
                let at = |i: usize| found[c * 64 + (4 * y + i / 4) * 8 + 4 * x + i % 4];
                let mean = (0..16).map(at).sum::<f32>() / 16.0;
                // The rounding of a mean of values of this size: few steps leave some far outside the range.
                let size = (0..16).map(|i| at(i).abs()).fold(1.0, f32::max);
                assert!((mean - expected).abs() < 1e-5 * size, "{name}, {sampler:?}: {mean}, {expected}");
            }

            let image = Noise::new(6).uniform(0, 1, 48);
            let model = lively_model(&small_unet(), sde, [3, 4, 4], &cpu());
            let pixels = tensor(&image, [1, 3, 4, 4], &cpu());
            let model = colorize(model, pixels, Conditioning::Replacement).unwrap();
            let found = draw(&sampler, &model, 1);
            let grey = |v: &[f32], i: usize| (v[i] + v[16 + i] + v[32 + i]) / 3.0;
            let size = found.iter().map(|v| v.abs()).fold(1.0, f32::max);
            assert!(
                (0..16).all(|i| (grey(&found, i) - grey(&image, i)).abs() < 1e-5 * size),
                "{name}, {sampler:?}: {found:?}, {image:?}"
            );
        }
    }
}

/// Without correlation there is nothing to settle too early: the known value must not disturb the other.
fn every_sampler_draws_what_is_independent_of_the_known() {
    let n = 4096;
    for (sde, name) in sdes() {
        for (sampler, bias) in [
            (named("ald", json!({"n_steps": 100, "n_steps_each": 10, "step_size": 0.1})), 0.05),
            (named("pc", json!({"n_steps": 200})), 0.05),
            (named("ode", json!({})), 0.01),
            (named("heun", json!({"n_steps": 40})), 0.01),
        ] {
            let independent = analytic(&gaussian([0.4, -0.3], [0.3, 0.0, 0.2]), sde);
            let model = knowing_first(independent, 1.2, Conditioning::Replacement);
            let found = draw(&sampler, &model, n);
            assert!(found.iter().step_by(2).all(|v| *v == 1.2));
            let (mean, variance) = moments(found.iter().skip(1).step_by(2).copied());
            let five = 5.0 / (n as f64).sqrt();
            let (off_mean, off_variance) =
                ((mean + 0.3).abs() / 0.2_f64.sqrt(), (variance / 0.2 - 1.0).abs());
            figure(format_args!(
                "{}, {name}, independent: mean off by {off_mean:.3}, variance by {off_variance:.3}",
                sampler.info().name
            ));
            assert!(
                off_mean < five + bias && off_variance < five * 2.0_f64.sqrt() + bias,
                "{name}, {sampler:?}: mean {mean}, variance {variance}"
            );
        }
    }
}

/// The expectation of two correlated values given their noisy states and the first of them itself. By the moments it is
/// that of normals, which the known value narrows first, and the noisy state then. Guidance by the pseudo-inverse takes
/// their covariance to be `r²`, and replacement does not say to the second what the first is.
fn the_rest_learns_of_the_known_by_its_covariance() {
    let (mean, [xx, xy, yy], first) = ([0.4, -0.3], [0.30, 0.18, 0.20], 0.6);
    for (sde, name) in sdes() {
        for sigma in [0.05, 0.3, 0.8] {
            let (t, x) = (sde.time_of_sigma(sigma), [0.5, -0.1]);
            let noise = sigma * sigma;
            // J = S·(S + sigma²)⁻¹, whose second row leads from the centred state to the second value.
            let determinant = (xx + noise) * (yy + noise) - xy * xy;
            let j = [[xx * (yy + noise) - xy * xy, xy * noise], [xy * noise, yy * (xx + noise) - xy * xy]]
                .map(|row| row.map(|v| v / determinant));
            let centred = [x[0] - mean[0], x[1] - mean[1]];
            let denoised = [0, 1].map(|i| mean[i] + j[i][0] * centred[0] + j[i][1] * centred[1]);
            let missed = first - denoised[0];
            let half_sq = 0.25;
            let r_sq = noise * half_sq / (noise + half_sq);
            let (given, variance) = (mean[1] + xy / xx * (first - mean[0]), yy - xy * xy / xx);
            for (conditioning, expected) in [
                (Conditioning::Moments, (given / variance + x[1] / noise) / (1.0 / variance + 1.0 / noise)),
                (Conditioning::Pigdm, denoised[1] + noise * j[1][0] * missed / r_sq),
                (Conditioning::Replacement, denoised[1]),
            ] {
                let model = analytic(&gaussian(mean, [xx, xy, yy]), sde);
                let model = knowing_first(model, first as f32, conditioning);
                let scale = sde.marginal_prob(t).0;
                let state = tensor(&x.map(|v| (v * scale) as f32), [1, 2, 1, 1], &cpu());
                let found = values(model.denoised(state, &[t]));
                assert_eq!(found[0], first as f32);
                let off = f64::from(found[1]) - expected;
                assert!(off.abs() < 2e-4, "{name}, {conditioning:?} at {sigma}: {} not {expected}", found[1]);
            }
        }
    }
}

/// How inpainting by each way and sampler differs from the posterior: the mean in its deviations, the variance as a
/// share. As it was measured, within five standard errors, for every diffusion about the same. With one value known the
/// moments are the posterior's own, so that what is left is the bound on what the known part may change, which this value
/// far from the mean meets; replacement needs the corrector's or annealed Langevin's steps.
fn inpainting_a_gaussian_has_the_stated_bias() {
    use Conditioning::{Moments, Pigdm, Replacement};
    let (mean, [xx, xy, yy], first, n) = ([0.4, -0.3], [0.30, 0.18, 0.20], 1.2, 4096);
    let exact_mean = mean[1] + xy / xx * (first - mean[0]);
    let exact_variance = yy - xy * xy / xx;
    let pc = |n_corrector: u32| named("pc", json!({"n_steps": 200, "n_corrector": n_corrector}));
    let ald = named("ald", json!({"n_steps": 100, "n_steps_each": 40, "step_size": 0.1}));
    for (sde, name) in sdes() {
        for (conditioning, sampler, stated) in [
            (Moments, named("heun", json!({"n_steps": 40})), [-0.09, 0.09]),
            (Moments, named("ode", json!({})), [-0.09, 0.07]),
            (Moments, pc(0), [-0.03, 0.06]),
            (Moments, pc(1), [0.01, 0.05]),
            (Pigdm, named("heun", json!({"n_steps": 40})), [-0.09, 0.11]),
            (Pigdm, pc(0), [-0.04, 0.07]),
            (Replacement, named("heun", json!({"n_steps": 40})), [-0.80, 0.53]),
            (Replacement, named("ode", json!({})), [-0.81, 0.50]),
            (Replacement, pc(0), [-0.53, 0.35]),
            (Replacement, pc(1), [-0.31, 0.24]),
            (Replacement, pc(5), [-0.14, 0.08]),
            (Replacement, pc(20), [-0.05, 0.02]),
            (Replacement, ald.clone(), [-0.04, 0.03]),
        ] {
            let model = analytic(&gaussian(mean, [xx, xy, yy]), sde);
            let found = draw(&sampler, &knowing_first(model, first as f32, conditioning), n);
            let (mean, variance) = moments(found.iter().skip(1).step_by(2).copied());
            let off = [(mean - exact_mean) / exact_variance.sqrt(), variance / exact_variance - 1.0];
            figure(format_args!(
                "inpainting, {name}, {}, {sampler:?}: mean off by {:+.3} deviations, variance by {:+.1} %",
                conditioning.name(),
                off[0],
                100.0 * off[1]
            ));
            let five = 5.0 * variance.sqrt() / exact_variance.sqrt() / (n as f64).sqrt();
            let most = [five, five * (2.0 * variance / exact_variance).sqrt()];
            let near = (0..2).all(|i| (off[i] - stated[i]).abs() < most[i]);
            assert!(near, "{name}, {conditioning:?}, {sampler:?}: {off:?} instead of {stated:?}");
        }
    }
}

/// The known first value belongs to the second component, all but for one in 10⁵.
fn inpainting_a_mixture_finds_its_mode() {
    let covariances = [vec![vec![0.05, 0.02], vec![0.02, 0.04]], vec![vec![0.04, -0.01], vec![-0.01, 0.06]]];
    let mixture =
        GaussianMixture::new(&[0.8, 0.2], &[vec![-1.0, -0.6], vec![0.8, 0.7]], &covariances).unwrap();
    let n = 2048;
    for (sde, name) in sdes() {
        for (conditioning, sampler, most_wrong) in [
            (Conditioning::Moments, named("heun", json!({"n_steps": 40})), 0.35),
            (Conditioning::Moments, named("pc", json!({"n_steps": 200, "n_corrector": 0})), 0.13),
            (Conditioning::Moments, named("pc", json!({"n_steps": 200, "n_corrector": 1})), 0.13),
            (Conditioning::Pigdm, named("heun", json!({"n_steps": 40})), 0.35),
            (Conditioning::Pigdm, named("pc", json!({"n_steps": 200, "n_corrector": 0})), 0.13),
            (Conditioning::Replacement, named("heun", json!({"n_steps": 40})), 0.35),
            (Conditioning::Replacement, named("pc", json!({"n_steps": 200, "n_corrector": 0})), 0.13),
            (Conditioning::Replacement, named("pc", json!({"n_steps": 200, "n_corrector": 5})), 0.02),
        ] {
            let found = draw(&sampler, &knowing_first(analytic(&mixture, sde), 0.6, conditioning), n);
            let second = || found.iter().skip(1).step_by(2).copied();
            let wrong = second().filter(|v| *v < 0.05).count() as f64 / n as f64;
            let (mean, variance) = moments(second());
            figure(format_args!(
                "mixture, {name}, {conditioning:?}, {sampler:?}: {:.1} % in the wrong mode, mean {mean:.3} (exact 0.750), variance {variance:.4} (exact 0.0575)",
                100.0 * wrong
            ));
            assert!(wrong <= most_wrong, "{name}, {sampler:?}: {wrong}");
        }
    }
}

/// One pixel of three correlated colours: the difference of red and blue given grey.
fn colours_of_a_gaussian_have_the_stated_bias() {
    let covariance = vec![vec![0.10, 0.06, 0.02], vec![0.06, 0.08, 0.03], vec![0.02, 0.03, 0.06]];
    let mean = [0.5, 0.4, 0.3];
    let mixture = GaussianMixture::new(&[1.0], &[mean.to_vec()], std::slice::from_ref(&covariance)).unwrap();
    // red - blue = a·x, grey = b·x: both normal, so the posterior is a line.
    let (a, b) = ([1.0, 0.0, -1.0], [1.0 / 3.0; 3]);
    let form = |p: [f64; 3], q: [f64; 3]| -> f64 {
        (0..3).flat_map(|i| (0..3).map(move |j| (i, j))).map(|(i, j)| p[i] * covariance[i][j] * q[j]).sum()
    };
    let grey = 0.6;
    let exact_mean = 0.2 + form(a, b) / form(b, b) * (grey - 0.4);
    let exact_variance = form(a, a) - form(a, b).powi(2) / form(b, b);
    for (sde, name) in sdes() {
        for (conditioning, sampler, most) in [
            (Conditioning::Moments, named("heun", json!({"n_steps": 40})), [0.1, 0.13]),
            (Conditioning::Pigdm, named("heun", json!({"n_steps": 40})), [0.1, 0.13]),
            (Conditioning::Replacement, named("heun", json!({"n_steps": 40})), [0.2, 0.16]),
            (Conditioning::Replacement, named("pc", json!({"n_steps": 200, "n_corrector": 5})), [0.1, 0.11]),
        ] {
            let pixel = Tensor::full([1, 3, 1, 1], grey, &cpu());
            let model = colorize(analytic(&mixture, sde), pixel, conditioning).unwrap();
            let found = draw(&sampler, &model, 4096);
            assert!(found.chunks_exact(3).all(|c| ((c[0] + c[1] + c[2]) / 3.0 - 0.6).abs() < 1e-5));
            let (mean, variance) = moments(found.chunks_exact(3).map(|c| c[0] - c[2]));
            let off = [(mean - exact_mean) / exact_variance.sqrt(), variance / exact_variance - 1.0];
            figure(format_args!(
                "colours, {name}, {conditioning:?}, {}: mean off by {:+.3} deviations, variance by {:+.1} %",
                sampler.info().name,
                off[0],
                100.0 * off[1]
            ));
            assert!(off[0].abs() < most[0] && off[1].abs() < most[1], "{name}, {sampler:?}: {off:?}");
        }
    }
}

/// The opinion of the mixture itself that a point belongs to one component: by Tweedie its gradient is the
/// difference of two denoisers over sigma².
struct ComponentGuide {
    all: GaussianMixture,
    one: GaussianMixture,
}

impl Guide for ComponentGuide {
    fn gradient(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let difference = self.one.denoise(x.clone(), sigma) - self.all.denoise(x, sigma);
        let weights: Vec<f32> = sigma.iter().map(|s| (1.0 / (s * s)) as f32).collect();
        difference * tensor(&weights, [sigma.len(), 1, 1, 1], &cpu())
    }
}

fn a_guide_of_weight_one_draws_its_component() {
    let parts = [([-0.4, -0.2], [0.05, 0.02, 0.04]), ([0.3, 0.2], [0.04, -0.01, 0.06])];
    let covariances = parts.map(|(_, [xx, xy, yy])| vec![vec![xx, xy], vec![xy, yy]]);
    let means = parts.map(|(mean, _)| mean.to_vec());
    let all = GaussianMixture::new(&[0.7, 0.3], &means, &covariances).unwrap();
    let (mean, covariance) = parts[1];
    let n = 4096;
    for (sde, name) in sdes() {
        for sampler in [named("heun", json!({"n_steps": 40})), named("pc", json!({"n_steps": 300}))] {
            let guide = ComponentGuide { all: all.clone(), one: gaussian(mean, covariance) };
            let found = draw(&sampler, &guided(analytic(&all, sde), Box::new(guide), 1.0), n);
            for i in 0..2 {
                let (m, v) = moments(found.iter().skip(i).step_by(2).copied());
                let exact = covariance[2 * i];
                let (off_mean, off) = ((m - mean[i]).abs() / exact.sqrt(), (v / exact - 1.0).abs());
                let five = 5.0 / (n as f64).sqrt();
                assert!(
                    off_mean < five + 0.03 && off < five * 2.0_f64.sqrt() + 0.05,
                    "{name}, {sampler:?}, value {i}: mean {m}, variance {v}"
                );
            }
        }
    }
}

/// The flow keeps `(x - mean)/sqrt(v + sigma²)`, so samples of it are normal around a point on the way from
/// the sketch to the mean: the same one for every diffusion.
fn an_edited_gaussian_is_where_its_flow_leads() {
    let (mean, v, sketch, n) = ([0.4, -0.3], [0.3, 0.2], [1.4, 0.2], 4096);
    for (sde, name) in sdes() {
        let mut last = 0.0;
        for strength in [0.2, 0.5, 0.8] {
            let model = analytic(&gaussian(mean, [v[0], 0.0, v[1]]), sde);
            let image = tensor(&sketch.map(|v| v as f32), [1, 2, 1, 1], &cpu());
            let found =
                draw(&named("heun", json!({"n_steps": 40})), &edit(model, image, strength).unwrap(), n);
            let sigma_sq = (0.5 * strength / (1.0 - strength)).powi(2);
            for i in 0..2 {
                let (m, variance) = moments(found.iter().skip(i).step_by(2).copied());
                let exact = mean[i] + (sketch[i] - mean[i]) * (v[i] / (v[i] + sigma_sq)).sqrt();
                let exact_variance = sigma_sq * v[i] / (v[i] + sigma_sq);
                let five = 5.0 / (n as f64).sqrt();
                assert!(
                    (m - exact).abs() < (five + 0.02) * exact_variance.sqrt()
                        && (variance / exact_variance - 1.0).abs() < five * 2.0_f64.sqrt() + 0.02,
                    "{name}, {strength}: mean {m} not {exact}, variance {variance} not {exact_variance}"
                );
            }
            let (m, _) = moments(found.iter().step_by(2).copied());
            let off = (m - sketch[0]).abs();
            assert!(off > last, "{name}: strength {strength} is {off} from the sketch");
            last = off;
        }
    }
}

fn denoising_draws_from_the_posterior() {
    let (mean, v, noisy, n) = ([0.4, -0.3], [0.3, 0.2], [1.4, 0.2], 4096);
    for (sde, name) in sdes() {
        for sigma in [0.2, 1.0] {
            let model = analytic(&gaussian(mean, [v[0], 0.0, v[1]]), sde);
            let image = tensor(&noisy.map(|v| v as f32), [1, 2, 1, 1], &cpu());
            let model = denoise(model, image.clone(), sigma).unwrap();
            let best = values(model.pixels(model.denoised(model.prior(image.zeros_like()), &[1.0])));
            let found = draw(&named("pc", json!({"n_steps": 300, "n_corrector": 0})), &model, n);
            for i in 0..2 {
                let share = v[i] / (v[i] + sigma * sigma);
                let (exact, exact_variance) = (mean[i] + share * (noisy[i] - mean[i]), share * sigma * sigma);
                assert!((f64::from(best[i]) - exact).abs() < 1e-5, "{name}: {} not {exact}", best[i]);
                let (m, variance) = moments(found.iter().skip(i).step_by(2).copied());
                let five = 5.0 / (n as f64).sqrt();
                assert!(
                    (m - exact).abs() < (five + 0.03) * exact_variance.sqrt()
                        && (variance / exact_variance - 1.0).abs() < five * 2.0_f64.sqrt() + 0.03,
                    "{name}, {sigma}: mean {m} not {exact}, variance {variance} not {exact_variance}"
                );
            }
        }
    }
}

/// A model whose black is -1 has twice the noise of its pixel values, and knows the levels that its error names.
fn noise_is_measured_in_pixel_values() {
    for (sde, name) in sdes() {
        let of = |sigma: f64| {
            let model = lively_model(&small_unet(), sde, [1, 6, 6], &cpu());
            assert_eq!(model.range, DataRange::CENTRED);
            denoise(model, Tensor::zeros([1, 1, 6, 6], &cpu()), sigma)
        };
        let [least, most] = [sde.sampling_eps(), 1.0].map(|t| sde.sigma(t) / 2.0);
        for sigma in [1.01 * least, 0.3 * most, 0.99 * most] {
            let found = of(sigma).unwrap().sde.sigma(1.0) / 2.0;
            assert!((found / sigma - 1.0).abs() < 1e-9, "{name}: {found} instead of {sigma}");
        }
        assert!(of(0.99 * least).is_err() && of(1.01 * most).is_err(), "{name}: {least} to {most}");
    }
}

fn every_divisor_enlarges() {
    let model = lively_model(&small_unet(), sdes()[1].0, [1, 6, 6], &cpu());
    for (factor, side) in [(2, 3), (3, 2), (6, 1)] {
        assert_eq!(small_shape(&model, factor).unwrap(), [1, side, side]);
    }
    assert!(small_shape(&model, 1).is_err());
}

fn what_cannot_be_controlled_is_refused() {
    let grey = || lively_model(&small_unet(), sdes()[1].0, [1, 6, 6], &cpu());
    let zeros = |c, h, w| Tensor::<4>::zeros([1, c, h, w], &cpu());
    let classifier = || shipped::open("mnist-classifier").unwrap().classifier(&cpu()).unwrap();
    let filled = |image, mask| inpaint(grey(), image, mask, Conditioning::default());
    let enlarged = |small, factor| upscale(grey(), small, factor, Conditioning::default());
    for (result, word) in [
        (filled(zeros(1, 5, 6), zeros(1, 6, 6)), "the image"),
        (filled(zeros(1, 6, 6), zeros(1, 5, 6)), "the mask"),
        (filled(zeros(1, 6, 6), zeros(3, 6, 6)), "the mask"),
        (filled(zeros(1, 6, 6), Tensor::zeros([2, 1, 6, 6], &cpu())), "the mask"),
        (colorize(grey(), zeros(1, 6, 6), Conditioning::default()), "3 channels"),
        (enlarged(zeros(1, 3, 3), 4), "divisor"),
        (enlarged(zeros(1, 3, 3), 0), "divisor"),
        (enlarged(zeros(1, 3, 3), 3), "1x2x2"),
        (edit(grey(), zeros(1, 6, 6), 0.0), "0.011 to 1"),
        (edit(grey(), zeros(1, 6, 6), -0.5), "0.011 to 1"),
        (edit(grey(), zeros(1, 6, 6), 1.01), "0.011 to 1"),
        (edit(grey(), zeros(1, 6, 6), f64::NAN), "0.011 to 1"),
        (edit(grey(), zeros(1, 6, 5), 0.5), "the image"),
        (denoise(grey(), zeros(1, 6, 6), 0.0), "sigma"),
        (denoise(grey(), zeros(1, 6, 6), 1e4), "sigma"),
        (class_guided(grey(), classifier(), 10, 10, 1.0), "0 to 9"),
        (class_guided(grey(), classifier(), 10, 1, f64::NAN), "guidance"),
    ] {
        let Err(problem @ Error::Config { .. }) = result else { panic!("{word}: {result:?}") };
        assert!(problem.to_string().contains(word), "{word}: {problem}");
    }
}
