//! What a consistency function does with parts of images, with classes and along walks, against what its steps must give.

use burn::tensor::Tensor;
use pollster::block_on;
use scorefield::Error;
use scorefield::control::{class_guided, denoise, edit, inpaint};
use scorefield::flow::{Endpoint, Steps, Tolerance, codes, codes_between, encode, encoder_for, slerp};
use scorefield::images::DataRange;
use scorefield::model::{Conditioning, Denoiser, Learned, ScoreModel};
use scorefield::ops::{combine, each};
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::{Multistep, Sampler};
use scorefield::sde::{AnySde, VeSde};
use scorefield::toy::GaussianMixture;
use scorefield::weights::shipped;

use crate::support::{analytic, cpu, draw, figure, sdes, tensor, trials, values};

trials! {
    cpu: [
        a_known_part_follows_its_recursion,
        a_sketch_and_a_noisy_image_lead_to_the_end_of_their_path,
        walks_are_of_one_evaluation_an_image,
        a_score_model_encodes_for_it,
        what_only_a_score_can_do_is_refused,
    ],
}

/// Of two values, the variance of each and their covariance.
const VARIANCE: f64 = 0.3;
const COVARIANCE: f64 = 0.24;

/// The consistency function of two values with that covariance: along a path, each of their normalised sum and difference
/// shrinks as its deviation does.
struct Pair {
    least: f64,
}

impl Pair {
    /// By what the value itself and the other one enter a value of the result.
    fn factors(&self, sigma: f64) -> [f64; 2] {
        let shrunk = |variance: f64| ((variance + self.least.powi(2)) / (variance + sigma * sigma)).sqrt();
        let [sum, difference] = [VARIANCE + COVARIANCE, VARIANCE - COVARIANCE].map(shrunk);
        [(sum + difference) / 2.0, (sum - difference) / 2.0]
    }
}

impl Denoiser for Pair {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let of = |i: usize| each(sigma, |sigma| self.factors(sigma)[i]);
        let other = x.clone().flip([1]);
        combine(&[(x, &of(0)), (other, &of(1))])
    }
}

fn pair(sde: AnySde) -> ScoreModel {
    let least = sde.sigma(sde.sampling_eps());
    ScoreModel::new(Box::new(Pair { least }), sde, DataRange::CENTRED, [2, 1, 1], &cpu())
        .having_learned(Learned::Consistency)
}

fn steps(n_steps: usize) -> Steps {
    Steps { n_steps, ..Steps::default() }
}

fn ve(sigma_max: f64) -> AnySde {
    VeSde { sigma_min: 0.01, sigma_max, ..VeSde::default() }.into()
}

/// Mean and variance of what is drawn of the second value, the first one being known to be `known` in the model's units:
/// every step is linear in it.
fn recursion(function: &Pair, levels: &[f64], known: f64) -> [f64; 2] {
    let (mut mean, mut variance) = (0.0, 0.0);
    for (step, &sigma) in levels.iter().enumerate() {
        let [own, other] = function.factors(sigma);
        let noise = if step == 0 { sigma * sigma } else { sigma * sigma - function.least.powi(2) };
        mean = own * mean + other * known;
        variance = own * own * (variance + noise) + other * other * noise;
    }
    [mean, variance]
}

/// Algorithm 4 of Song et al. (2023): 16,384 samples for each number of steps have the moments of their recursion, within five
/// standard errors. How far those are from the posterior's is in docs/CONTROL.md.
fn a_known_part_follows_its_recursion() {
    let (n, known) = (16_384, 0.8);
    let wanted = [COVARIANCE / VARIANCE * known, VARIANCE - COVARIANCE.powi(2) / VARIANCE];
    // The last one gives noise that is hardly more than what never goes.
    let cases = [1, 2, 5, 10, 40].map(|n_steps| (0.01, steps(n_steps)));
    for (sigma_min, steps) in cases.into_iter().chain([(0.3, Steps { last_sigma: 0.35, ..steps(2) })]) {
        let sde = AnySde::from(VeSde { sigma_min, sigma_max: 16.0, ..VeSde::default() });
        let least = sde.sigma(sde.sampling_eps());
        let n_steps = steps.n_steps;
        let image = tensor(&[(known as f32 + 1.0) / 2.0, 0.5], [1, 2, 1, 1], &cpu());
        let kept = tensor(&[1.0, 0.0], [1, 2, 1, 1], &cpu());
        let model = inpaint(pair(sde), image, kept, None).unwrap();
        let sampler = Sampler::Multistep(Multistep(steps));
        let found: Vec<f64> =
            draw(&sampler, &model, Noise::new(3), n).iter().map(|v| 2.0 * f64::from(*v) - 1.0).collect();
        assert!(found.iter().step_by(2).all(|v| (v - known).abs() < 1e-6));
        let drawn = found.iter().skip(1).step_by(2);
        let mean = drawn.clone().sum::<f64>() / n as f64;
        let variance = drawn.map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        // Equally spaced in sigma^(1/7), and above the least.
        let root = |sigma: f64| sigma.powf(1.0 / 7.0);
        let grid = |i: usize| {
            let share = i as f64 / n_steps as f64;
            (root(16.0) + share * (root(least) - root(16.0))).powi(7)
        };
        let levels = match steps.last_sigma {
            0.0 => (0..n_steps).map(grid).collect(),
            last => vec![16.0, last],
        };
        let [expected, spread] = recursion(&Pair { least }, &levels, known);
        figure(format_args!(
            "{n_steps} steps: mean {mean:.3} (recursion {expected:.3}, posterior {:.3}), variance {variance:.4} \
             ({spread:.4}, {:.4})",
            wanted[0], wanted[1]
        ));
        let five = 5.0 / (n as f64).sqrt();
        assert!((mean - expected).abs() < five * spread.sqrt(), "{n_steps} steps: {mean}, {expected}");
        assert!((variance / spread - 1.0).abs() < five * 2_f64.sqrt(), "{n_steps}: {variance}, {spread}");
    }
}

/// One step from where an image has been given noise, or has some, is one evaluation there.
fn a_sketch_and_a_noisy_image_lead_to_the_end_of_their_path() {
    let image = [0.9, 0.2];
    for (sde, name) in sdes() {
        let one = Sampler::Multistep(Multistep::default());
        let function = Pair { least: sde.sigma(sde.sampling_eps()) };
        let cases = [
            ("denoise", denoise(pair(sde), tensor(&image, [1, 2, 1, 1], &cpu()), 0.25).unwrap(), 0.5, 0.0),
            ("edit", edit(pair(sde), tensor(&image, [1, 2, 1, 1], &cpu()), 0.5).unwrap(), 1.0, 1.0),
        ];
        for (what, model, sigma, added) in cases {
            let z = Noise::new(8).normal(0, 1, 2);
            let found = draw(&one, &model, Noise::new(8), 1);
            let x: Vec<f64> =
                (0..2).map(|i| f64::from(2.0 * image[i] - 1.0) + added * sigma * f64::from(z[i])).collect();
            let [own, other] = function.factors(sigma);
            for i in 0..2 {
                let expected = (own * x[i] + other * x[1 - i] + 1.0) / 2.0;
                assert!(
                    (f64::from(found[i]) - expected).abs() < 1e-4,
                    "{name}, {what}: {found:?}, {expected}"
                );
            }
        }
    }
}

/// The ends are what their seeds lead to, all images share their second step's noise, and the count is right.
fn walks_are_of_one_evaluation_an_image() {
    for (sde, name) in sdes() {
        let model = pair(sde);
        let ends = [Endpoint::Seed(Noise::new(4)), Endpoint::Seed(Noise::new(5).at(2))];
        let run = &mut Run::default();
        let codes =
            block_on(codes_between(&model, [&ends[0], &ends[1]], 5, Tolerance::default(), run)).unwrap();
        let walk = |n_steps, codes: &[f32]| {
            let run = &mut Run::default();
            let solution = block_on(steps(n_steps).images(&model, codes, 1.0, &Noise::new(0), run)).unwrap();
            assert_eq!(solution.nfe, n_steps);
            values(solution.images)
        };
        let frames = walk(1, &codes);
        let drawn = draw(&Sampler::Multistep(Multistep::default()), &model, Noise::new(4), 1);
        assert_eq!(frames[..2], drawn, "{name}: the first frame");
        let middle = slerp(&codes[..2], &codes[8..], 0.5);
        assert_eq!(frames[4..6], walk(1, &middle), "{name}: the middle frame");
        let twice: Vec<f32> = [&codes[..2], &codes[..2]].concat();
        let twins = walk(3, &twice);
        assert_eq!(twins[..2], twins[2..], "{name}: the same code, the same image");
        assert_ne!(twins[..2], frames[..2], "{name}: further steps change it");
        let halves: Vec<f32> = codes.iter().map(|v| v / 2.0).collect();
        let colder = block_on(steps(1).images(&model, &codes, 0.5, &Noise::new(0), run)).unwrap();
        assert_eq!(values(colder.images), walk(1, &halves), "{name}: a temperature of a half");
        let refused = block_on(steps(1).images(&model, &codes[..3], 1.0, &Noise::new(0), run));
        assert!(refused.unwrap_err().to_string().contains("give 2 for each image"));
        assert!(block_on(steps(1).images(&model, &codes, 3.0, &Noise::new(0), run)).is_err());
    }
}

/// On the function's own diffusion, whatever the encoder's is and the values between which its images are: the score of the same data leads an image to a code, and the
/// function leads that back to the image.
fn a_score_model_encodes_for_it() {
    let gaussian = |mean: f64, scale: f64| {
        let [own, other] = [VARIANCE, COVARIANCE].map(|v| v * scale * scale);
        GaussianMixture::new(&[1.0], &[vec![mean; 2]], &[vec![vec![own, other], vec![other, own]]]).unwrap()
    };
    let tolerance = Tolerance { rtol: 1e-5, atol: 1e-5, ..Tolerance::default() };
    let image = vec![0.7, 0.55];
    let sde = ve(16.0);
    let function = pair(sde);
    for (other, name) in sdes().into_iter().filter(|(other, _)| other.sigma(1.0) > 15.0) {
        let encoder = encoder_for(analytic(&gaussian(0.5, 0.5), other), &function).unwrap();
        let run = &mut Run::default();
        let found =
            block_on(codes(&encoder, &[Endpoint::Pixels(image.clone())], tolerance, run)).unwrap().concat();
        let straight =
            ScoreModel::new(Box::new(gaussian(0.0, 1.0)), sde, DataRange::CENTRED, [2, 1, 1], &cpu());
        let own = block_on(encode(&straight, straight.upload(&image), tolerance, run)).unwrap();
        for (found, own) in found.iter().zip(values(own)) {
            assert!((found - own).abs() < 1e-3, "{name}: {found}, {own}");
        }
        let back = block_on(steps(1).images(&function, &found, 1.0, &Noise::new(0), run)).unwrap();
        for (back, image) in values(back.images).iter().zip(&image) {
            assert!((back - image).abs() < 2e-3, "{name}: {back}, {image}");
        }
    }
}

fn what_only_a_score_can_do_is_refused() {
    let sde = ve(16.0);
    let zeros = || Tensor::<4>::zeros([1, 2, 1, 1], &cpu());
    let kept = || tensor(&[1.0, 0.0], [1, 2, 1, 1], &cpu());
    let classifier = shipped::open("mnist-classifier").unwrap().classifier(&cpu()).unwrap();
    let score = |sde| pair(sde).having_learned(Learned::Score);
    let little = ve(2.0);
    let other =
        || ScoreModel::new(Box::new(Pair { least: 0.01 }), sde, DataRange::CENTRED, [1, 2, 1], &cpu());
    let run = &mut Run::default();
    let image = [Endpoint::Pixels(vec![0.5; 2])];
    let encoded = block_on(codes(&pair(sde), &image, Tolerance::default(), run));
    for (result, word) in [
        (inpaint(pair(sde), zeros(), kept(), Conditioning::Pigdm), "use replacement"),
        (inpaint(pair(sde), zeros(), kept(), Conditioning::Moments), "use replacement"),
        (class_guided(pair(sde), classifier, 10, 1, 1.0), "learned classes itself"),
        (encoder_for(pair(sde), &pair(sde)), "name a score model"),
        (encoder_for(other(), &pair(sde)), "2x1x1"),
        (encoder_for(score(little), &pair(sde)), "noise up to 1.000"),
        (encoded.map(|_| pair(sde)), "name a score model of the same images"),
    ] {
        let Err(problem @ Error::Config { .. }) = result else { panic!("{word}: {result:?}") };
        assert!(problem.to_string().contains(word), "{word}: {problem}");
    }
    assert!(inpaint(pair(sde), zeros(), kept(), Conditioning::Replacement).is_ok());
    assert!(encoder_for(score(sde), &pair(sde)).is_ok());
}
