//! The mean over further images that stands for the clean one (stable target field): against its formula, and against
//! the posterior of a set of images that is known.

use burn::tensor::Device;
use scorefield::estimate::Estimate;
use scorefield::model::{Preconditioned, Preconditioning};
use scorefield::network::{Context, Moved, UNetConfig};
use scorefield::objective::{Dsm, Loss, Models, References, Step};
use scorefield::ops::{each, scale};
use scorefield::rng::Noise;
use scorefield::sde::{AnySde, VeSde};

use crate::support::{
    cpu, figure, gpu, lively_unet, relative_error, small_unet, step_on, tensor, trials, values,
};

trials! {
    cpu: [
        the_mean_is_its_formula,
        the_mean_is_expected_to_be_what_the_image_is,
        the_loss_takes_the_mean_for_the_image,
    ],
    gpu: [
        the_mean_is_its_formula_on_the_gpu,
    ],
}

/// Values of an image, 2x2.
const DIM: usize = 4;

/// The mean of the images `candidates` by the weights `N(noisy; image, sigma²)`, in f64.
fn posterior<'a>(candidates: impl Iterator<Item = &'a [f32]> + Clone, noisy: &[f32], sigma: f64) -> Vec<f64> {
    let logits = candidates.clone().map(|image| {
        let square: f64 = image.iter().zip(noisy).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        -0.5 * square / (sigma * sigma)
    });
    let most = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.map(|logit| (logit - most).exp()).collect();
    let all: f64 = weights.iter().sum();
    let mut mean = vec![0.0; noisy.len()];
    for (image, weight) in candidates.zip(weights) {
        mean.iter_mut().zip(image).for_each(|(mean, value)| *mean += weight / all * f64::from(*value));
    }
    mean
}

/// Images of two classes and of none at noise from a tenth of their size to ten times it: those of a class know the
/// references of it alone.
fn the_mean_is_its_formula_on(device: &Device) {
    const N: usize = 40;
    let (pixels, others) = (Noise::new(1).normal(0, 6, DIM), Noise::new(2).normal(0, N, DIM));
    let labels = [Some(0), Some(1), None, Some(1), Some(0), None];
    let classes: Vec<usize> = (0..N).map(|k| k % 3).collect();
    let sigma = [0.1, 0.3, 0.7, 1.0, 3.0, 10.0];
    let x0 = tensor(&pixels, [6, 1, 2, 2], device);
    let noisy = x0.clone() + scale(tensor(&Noise::new(3).normal(0, 6, DIM), [6, 1, 2, 2], device), &sigma);
    let references = References::new(tensor(&others, [N, 1, 2, 2], device), classes.clone());
    let told = values(references.mean(Some(x0.clone()), noisy.clone(), &sigma, &labels));
    let untold = values(references.mean(Some(x0), noisy.clone(), &sigma, &[]));
    let without = values(references.mean(None, noisy.clone(), &sigma, &labels));
    let noisy = values(noisy);
    for (found, labels, itself) in [(told, labels, true), (untold, [None; 6], true), (without, labels, false)]
    {
        let expected = (0..6).flat_map(|i| {
            let of = |i: usize| i * DIM..(i + 1) * DIM;
            let among = (0..N).filter(|k| labels[i].is_none_or(|label| label == classes[*k]));
            let own = itself.then_some(&pixels[of(i)]);
            let candidates = own.into_iter().chain(among.map(|k| &others[of(k)]));
            posterior(candidates, &noisy[of(i)], sigma[i]).into_iter().map(|value| value as f32)
        });
        let error = relative_error(&found, &expected.collect::<Vec<_>>());
        figure(format_args!("labels {labels:?}, the image itself {itself}: off by {error:.1e}"));
        assert!(error < 1e-5, "{error:.1e}");
    }
}

fn the_mean_is_its_formula() {
    the_mean_is_its_formula_on(&cpu());
}

fn the_mean_is_its_formula_on_the_gpu() {
    the_mean_is_its_formula_on(&gpu());
}

/// What is learned does not change: over many draws of images, references and noise the mean differs from the posterior
/// mean of the whole set by nothing but chance, whatever it is multiplied with that the network could know of. And it
/// varies less: at noise above the images' size by a factor of about as many as there are references.
fn the_mean_is_expected_to_be_what_the_image_is() {
    const SET: usize = 12;
    const BATCH: usize = 50;
    const OTHERS: usize = 7;
    let set = Noise::new(1).normal(0, SET, DIM);
    let image = |k: usize| &set[k * DIM..(k + 1) * DIM];
    let class = |k: usize| k % 2;
    for sigma in [0.5, 1.5, 6.0] {
        let (mut off, mut beside, mut squares) = (vec![], vec![], [0.0; 2]);
        for round in 0..1600 {
            let mut stream = Noise::new(2).stream(round);
            let mut draw = |n: usize| (0..n).map(|_| stream.below(SET)).collect::<Vec<_>>();
            let (own, others) = (draw(BATCH), draw(OTHERS));
            let pixels = |of: &[usize]| {
                let values: Vec<f32> = of.iter().flat_map(|k| image(*k).to_vec()).collect();
                tensor(&values, [of.len(), 1, 2, 2], &cpu())
            };
            let z = tensor(&Noise::new(3).at(round).normal(0, 1, BATCH * DIM), [BATCH, 1, 2, 2], &cpu());
            let (x0, noisy) = (pixels(&own), pixels(&own) + z * sigma);
            // Half of the images are told their class.
            let labels: Vec<Option<usize>> =
                own.iter().enumerate().map(|(i, k)| (i % 2 == 0).then_some(class(*k))).collect();
            let references = References::new(pixels(&others), others.iter().map(|k| class(*k)).collect());
            let found = values(references.mean(Some(x0.clone()), noisy.clone(), &[sigma; BATCH], &labels));
            let (x0, noisy) = (values(x0), values(noisy));
            let (mut differences, mut products) = ([0.0; DIM], 0.0);
            for (i, label) in labels.iter().enumerate() {
                let at = i * DIM..(i + 1) * DIM;
                let among = (0..SET).filter(|k| label.is_none_or(|label| label == class(*k)));
                let truth = posterior(among.map(image), &noisy[at.clone()], sigma);
                for ((k, value), d) in at.zip(&truth).zip(0..) {
                    let difference = f64::from(found[k]) - value;
                    differences[d] += difference / BATCH as f64;
                    products += difference * value / BATCH as f64;
                    squares[0] += difference.powi(2);
                    squares[1] += (f64::from(x0[k]) - value).powi(2);
                }
            }
            off.push(differences);
            beside.push(products);
        }
        let gain = squares[1] / squares[0];
        let mut biases: Vec<Estimate> =
            (0..DIM).map(|d| Estimate::of(off.iter().map(|off| off[d]))).collect();
        biases.push(Estimate::of(beside));
        let worst = biases.iter().map(|bias| (bias.mean / bias.error).abs()).fold(0.0, f64::max);
        figure(format_args!(
            "noise {sigma}: variance {gain:.2} times smaller, bias of {worst:.1} standard errors"
        ));
        assert!(worst < 4.5, "noise {sigma}: {biases:?}");
        assert!(gain > if sigma > 5.0 { 4.0 } else { 1.0 }, "noise {sigma}: {gain}");
    }
}

/// Denoising against the mean, and against nothing else.
fn the_loss_takes_the_mean_for_the_image() {
    const IMAGES: usize = 4;
    let sde = AnySde::from(VeSde { sigma_min: 0.2, sigma_max: 5.0, ..VeSde::default() });
    let network = lively_unet(&UNetConfig { moves: true, ..small_unet() }, 1, 1, &cpu());
    let model = Preconditioned::new(network, Preconditioning::Edm { sigma_data: 0.5 }, sde);
    // So near each other that noise hides which is which.
    let image = |seed, n| tensor(&Noise::new(seed).normal(0, n, 64), [n, 1, 8, 8], &cpu()) * 0.2;
    let references = References::new(image(1, 9), vec![]);
    let dsm = Dsm { references: 9, ..Dsm::default() };
    let models = Models { student: &model, average: &model, teacher: None, features: None };
    let still = Step { references: Some(&references), ..step_on(image(2, IMAGES), 7, 3) };
    let (uniform, normal) = still.levels();
    let sigma = each(&dsm.times(&*model.sde, 0.5, &uniform, &normal), |t| model.sde.sigma(t));
    let noisy = still.x0.clone() + scale(still.noise(), &sigma);
    let (x0, mean) =
        (values(still.x0.clone()), references.mean(Some(still.x0.clone()), noisy.clone(), &sigma, &[]));
    let mean = values(mean);
    // An image that was moved, as no reference was, is its own target: the one that has most noise, where it is not the mean.
    let moved_one = (0..IMAGES).max_by(|a, b| sigma[*a].total_cmp(&sigma[*b])).unwrap();
    let mut moved = [Moved::default(); IMAGES];
    moved[moved_one][3] = -0.5;
    assert!((0..64).any(|k| (mean[64 * moved_one + k] - x0[64 * moved_one + k]).abs() > 0.1));
    let step = Step { moved: &moved, references: Some(&references), ..step_on(image(2, IMAGES), 7, 3) };
    for (step, own) in [(&still, None), (&step, Some(moved_one))] {
        let found = values(dsm.loss(models, step));
        let told = Context { moved: step.moved, ..Context::default() };
        let denoised = values(model.forward(noisy.clone(), &sigma, told));
        for (i, found) in found.into_iter().enumerate() {
            let target = if own == Some(i) { &x0 } else { &mean };
            // EDM's weight is the inverse square of what scales the network's output.
            let weight = (sigma[i].powi(2) + 0.25) / (sigma[i] * 0.5).powi(2);
            let square = |k: usize| f64::from(denoised[k] - target[k]).powi(2) / 64.0;
            let expected = weight * (64 * i..64 * (i + 1)).map(square).sum::<f64>();
            assert!((f64::from(found) / expected - 1.0).abs() < 1e-4, "{found} instead of {expected}");
        }
    }
}
