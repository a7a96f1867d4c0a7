//! Models of bytes: what they make of a noisy value, and how many bits bytes take.

use burn::tensor::{Device, Tensor};
use pollster::block_on;
use scorefield::checkup::lively;
use scorefield::dequantise::Dequantisation;
use scorefield::flow::{Bound, Likelihood, Trace};
use scorefield::images::DataRange;
use scorefield::model::{Denoiser, Preconditioned, Preconditioning, ScoreModel};
use scorefield::network::layers::Init;
use scorefield::network::{Context, Network};
use scorefield::ops::{Bins, Dual, each};
use scorefield::rng::{Domain, Noise};
use scorefield::run::Run;
use scorefield::sde::{AnySde, VpSde};

use crate::support::{cpu, figure, gpu, relative_error, small_unet, tensor, trials, values};

trials! {
    cpu: [
        a_value_is_decided_by_bayes_rule,
        tangents_of_a_model_of_bytes_are_its_differences,
        noise_in_bytes_stays_in_their_bins_and_knows_its_density,
        bytes_take_the_bits_of_their_probability,
        what_cannot_be_bounded_is_refused,
    ],
    gpu: [the_kernels_equal_their_twins],
}

const RANGE: DataRange = DataRange::CENTRED;

/// The lowest, middle and highest, and what lies between.
const BYTES: [u8; 8] = [0, 0, 1, 90, 91, 254, 255, 255];

/// In the middle of their bins.
fn middles(bytes: &[u8]) -> Vec<f64> {
    let Bins { first, width } = Bins::of(RANGE);
    bytes.iter().map(|byte| first + width * f64::from(*byte)).collect()
}

/// The mean over all bytes, the ends being more probable by what a network says.
fn a_value_is_decided_by_bayes_rule() {
    let (bins, device) = (Bins::of(RANGE), cpu());
    // The flat part goes on beyond the ends.
    let all: Vec<(i32, f64)> = (-20..276).map(|k| (k, bins.first + bins.width * f64::from(k))).collect();
    for sigma in [0.001, 0.003, 0.006, 0.02] {
        let z = Noise::new(4).normal(0, 1, BYTES.len());
        let x: Vec<f32> =
            middles(&BYTES).iter().zip(z).map(|(x, z)| (x + sigma * f64::from(z)) as f32).collect();
        let said = [[-3.0, 1.0], [4.0, -9.0]];
        for said in said {
            let raw: Vec<f32> =
                [0.0, said[0], said[1]].iter().flat_map(|v| [*v as f32; BYTES.len()]).collect();
            let [x_there, raw] = [(&x, 1), (&raw, 3)].map(|(v, c)| tensor(v, [1, c, 2, 4], &device));
            let found = values(bins.decide(x_there, raw, &[sigma], [&[1.0], &[1.0]]));
            for (x, found) in x.iter().zip(found) {
                let weight = |(k, middle): &(i32, f64)| {
                    let at = (-0.5 * ((f64::from(*x) - middle) / sigma).powi(2)).exp();
                    let odds = match k {
                        0 => f64::exp(said[0]),
                        255 => f64::exp(said[1]),
                        _ => 0.0,
                    };
                    // The share of one byte of the flat part, and the odds of an end.
                    at * (1.0 / 256.0 + odds)
                };
                let weights: Vec<f64> = all.iter().map(weight).collect();
                let sum: f64 = weights.iter().sum();
                let expected = weights.iter().zip(&all).map(|(w, (_, x))| w * x).sum::<f64>() / sum;
                let off = (f64::from(found) - expected).abs() / bins.width;
                assert!(off < 0.01, "{sigma}, {x}: {found} instead of {expected}");
            }
        }
    }
}

fn model(device: &Device) -> Preconditioned {
    let preconditioning = Preconditioning::Bytes { sigma_data: 0.6, bins: Bins::of(RANGE) };
    let [c_in, c_out] = preconditioning.channels(1);
    let network = Network::new(&small_unet().into(), c_in, c_out, &mut Init::new(5, device));
    Preconditioned::new(
        lively(network, Noise::new(5).domain(Domain::Probe)),
        preconditioning,
        VpSde::default().into(),
    )
}

/// Noisy bytes, and a direction.
fn noisy(sigma: &[f64], device: &Device) -> [Tensor<4>; 2] {
    let n = sigma.len();
    let x0: Vec<f64> = middles(&BYTES).into_iter().cycle().take(64 * n).collect();
    let z = Noise::new(6).normal(0, n, 64);
    let x: Vec<f32> =
        x0.iter().zip(&z).enumerate().map(|(i, (x, z))| (x + sigma[i / 64] * f64::from(*z)) as f32).collect();
    [x, Noise::new(7).normal(0, n, 64)].map(|v| tensor(&v, [n, 1, 8, 8], device))
}

fn tangents_of_a_model_of_bytes_are_its_differences() {
    let (model, device) = (model(&cpu()), cpu());
    for sigma in [0.0015, 0.003, 0.005, 0.02, 0.3, 3.0] {
        let [x, v] = noisy(&[sigma, 1.1 * sigma], &device);
        let sigmas = [sigma, 1.1 * sigma];
        let dual =
            model.forward_dual(Dual { value: x.clone(), tangent: v.clone() }, &sigmas, Context::default());
        let at = |h: f64| values(model.forward(x.clone() + v.clone() * h, &sigmas, Context::default()));
        assert!(relative_error(&values(dual.value), &at(0.0)) < 1e-6);
        // Over a hundredth of the noise, as far as f32 sees it.
        let h = (0.01 * sigma).max(2e-5);
        let difference: Vec<f32> =
            at(h).iter().zip(at(-h)).map(|(a, b)| (a - b) / (2.0 * h) as f32).collect();
        let off = relative_error(&values(dual.tangent), &difference);
        figure(format_args!("noise {sigma}: the tangent is off by {off:.1e}"));
        assert!(off < 0.02, "{sigma}: {off}");
    }
}

fn the_kernels_equal_their_twins() {
    let bins = Bins::of(RANGE);
    for sigma in [vec![0.0015], vec![0.003, 0.02, 0.5], vec![5.0, 0.005, 1.0]] {
        let n = 3;
        let each_sigma: Vec<f64> = (0..n).map(|k| sigma[k % sigma.len()]).collect();
        let [x, raw] = [cpu(), gpu()].map(|device| noisy(&each_sigma, &device)[0].clone()).map(|x| {
            let raw = tensor(&Noise::new(8).normal(0, n, 3 * 64), [n, 3, 8, 8], &x.device());
            [x, raw * 3.0]
        });
        let ([x, raw], [x_there, raw_there]) = (x, raw);
        let c_in = each(&sigma, |s| 1.0 / (s * s + 0.36).sqrt());
        let c_out = each(&sigma, |s| s / (s * s + 0.36).sqrt());
        let look = bins.look_plain(x.clone(), &c_in, &sigma);
        let off = relative_error(&values(bins.look(x_there.clone(), &c_in, &sigma)), &values(look));
        assert!(off < 1e-3, "look, {sigma:?}: {off}");
        let plain = bins.decide_plain(x, raw, &sigma, [&c_in, &c_out]);
        let found = bins.decide(x_there, raw_there, &sigma, [&c_in, &c_out]);
        let off = relative_error(&values(found), &values(plain));
        assert!(off < 1e-4, "decide, {sigma:?}: {off}");
    }
}

fn noise_in_bytes_stays_in_their_bins_and_knows_its_density() {
    let bytes: Vec<u8> = (0..20_000).map(|i| (i % 256) as u8).collect();
    for (kind, sigma) in [
        (Dequantisation::Uniform, 0.0),
        (Dequantisation::TruncatedNormal, 5e-4),
        (Dequantisation::TruncatedNormal, 2e-3),
        (Dequantisation::TruncatedNormal, 0.1),
    ] {
        let made = kind.of(&bytes, 1, sigma, &Noise::new(2));
        assert!(made.pixels.iter().zip(&bytes).all(|(p, b)| (p * 256.0).floor() == f32::from(*b)), "{kind}");
        // The mean of one over the density is the width of what it is spread over.
        let widths: Vec<f64> = made.nats.iter().map(|nats| (-nats).exp() * 256.0).collect();
        let mean = widths.iter().sum::<f64>() / widths.len() as f64;
        let spread = widths.iter().map(|w| (w - mean).powi(2)).sum::<f64>().sqrt() / widths.len() as f64;
        figure(format_args!("{kind} noise of {sigma}: spread over {mean:.3} ± {spread:.3} bins"));
        // Of narrow noise the far ends are drawn too rarely to be seen.
        if sigma != 5e-4 {
            assert!((mean - 1.0).abs() < 4.0 * spread + 1e-9, "{kind}, {sigma}: {mean} ± {spread}");
        }
        assert_eq!(made.pixels[7..9], kind.of(&bytes[7..9], 1, sigma, &Noise::new(2).at(7)).pixels);
    }
    for name in ["uniform", "truncated-normal"] {
        assert_eq!(name.parse::<Dequantisation>().unwrap().to_string(), name);
    }
    assert!("normal".parse::<Dequantisation>().unwrap_err().to_string().contains("truncated-normal"));
}

/// Images of two bytes, of these probabilities.
const IMAGES: [([u8; 2], f64); 4] = [([0, 200], 0.5), ([0, 201], 0.25), ([90, 60], 0.2), ([255, 7], 0.05)];

/// Its posterior mean.
struct Images;

impl Denoiser for Images {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let dims = x.dims();
        let found: Vec<f32> = values(x.clone())
            .chunks_exact(2)
            .enumerate()
            .flat_map(|(k, x)| {
                let sigma = sigma[k % sigma.len()];
                let images = IMAGES.map(|(bytes, p)| (middles(&bytes), p));
                let log = images.each_ref().map(|(image, p)| {
                    let square: f64 = image.iter().zip(x).map(|(m, x)| (m - f64::from(*x)).powi(2)).sum();
                    p.ln() - 0.5 * square / (sigma * sigma)
                });
                let most = log.iter().copied().fold(f64::MIN, f64::max);
                let weights = log.map(|log| (log - most).exp());
                let sum: f64 = weights.iter().sum();
                [0, 1].map(|i| {
                    (images.iter().zip(weights).map(|((m, _), w)| w * m[i]).sum::<f64>() / sum) as f32
                })
            })
            .collect();
        tensor(&found, dims, &x.device())
    }
}

/// Of images whose probabilities are known, the flow's codelength and the variational bound are both `-log2 P`: nothing is lost to
/// either where the denoiser is exact.
fn bytes_take_the_bits_of_their_probability() {
    let sde = AnySde::from(VpSde::default());
    let model = ScoreModel::new(Box::new(Images), sde, RANGE, [2, 1, 1], &cpu())
        .dequantised_by(Dequantisation::TruncatedNormal);
    let bytes: Vec<u8> = IMAGES.iter().flat_map(|(bytes, _)| *bytes).collect();
    let flow = Likelihood { trace: Trace::Exact, ..Likelihood::default() };
    let expected = IMAGES.map(|(_, p)| -p.log2() / 2.0);
    let (bits, _) = block_on(flow.bits_per_dim(&model, &bytes, &Noise::new(1), &mut Run::default())).unwrap();
    for (bits, expected) in bits.iter().zip(expected) {
        figure(format_args!("flow: {:.4} bits/dim of {expected:.4}", bits.mean));
        assert!((bits.mean - expected).abs() < 0.02, "{} instead of {expected}", bits.mean);
    }
    // Of one image it is the codelength on average over all noise (Kong et al. 2023).
    let bound = Bound { levels: 4000, ..Bound::default() };
    let (bits, nfe) =
        block_on(bound.bits_per_dim(&model, &bytes, &Noise::new(1), &mut Run::default())).unwrap();
    assert_eq!(nfe, 4000);
    let entropy: f64 = IMAGES.iter().map(|(_, p)| -p * p.log2()).sum::<f64>() / 2.0;
    let mean: f64 = IMAGES.iter().zip(&bits).map(|((_, p), bits)| p * bits).sum();
    figure(format_args!("bound: {bits:.4?}, on average {mean:.4} bits/dim of {entropy:.4}"));
    assert!((mean - entropy).abs() < 0.02, "{mean} instead of {entropy}");
    let alone = block_on(bound.bits_per_dim(&model, &bytes[2..4], &Noise::new(1).at(1), &mut Run::default()));
    assert_eq!(alone.unwrap().0[0], bits[1], "it depends on the batch");
}

fn what_cannot_be_bounded_is_refused() {
    let model = ScoreModel::new(Box::new(Images), VpSde::default().into(), RANGE, [2, 1, 1], &cpu());
    for (bound, word) in [
        (Bound { levels: 0, ..Bound::default() }, "levels"),
        (Bound { levels: 10_001, ..Bound::default() }, "levels"),
        (Bound { eps: 0.0, ..Bound::default() }, "eps"),
        (Bound { eps: 1.0, ..Bound::default() }, "eps"),
    ] {
        let found = block_on(bound.bits_per_dim(&model, &[1, 2], &Noise::new(1), &mut Run::default()));
        assert!(found.unwrap_err().to_string().contains(word), "{bound:?}");
    }
}
