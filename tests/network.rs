//! The network that is made of the fused operations: any size, any batch, and the same on both devices.

use scorefield::model::{Denoiser, Preconditioned, Preconditioning};
use scorefield::network::layers::{Embedding, depth_to_space, space_to_depth};
use scorefield::network::{Context, UNetConfig};
use scorefield::ops::upsample;
use scorefield::rng::{Domain, Noise};
use scorefield::sde::{AnySde, VeSde, VpSde};

use crate::support::{cpu, figure, gpu, lively_unet, relative_error, small_unet, tensor, trials, values};

trials! {
    cpu: [
        patches_and_upsampling_are_exact,
        the_network_takes_any_image_size,
        the_network_treats_every_image_alone,
        the_network_is_the_same_while_training,
        embeddings_follow_their_formulas,
    ],
    gpu: [the_network_on_the_gpu_equals_the_cpu],
}

/// Relative to the largest value of the tensor; `f32` sums of up to a thousand terms stay far below.
const BOUND: f64 = 1e-5;
/// Other devices may sum in another order and fuse.
const BOUND_GPU: f64 = 1e-4;

fn normal(seed: u64, len: usize) -> Vec<f32> {
    Noise::new(seed).domain(Domain::Probe).normal(0, 1, len)
}

fn patches_and_upsampling_are_exact() {
    let x: Vec<f32> = (0..2 * 3 * 4 * 6).map(|i| i as f32).collect();
    let image = tensor(&x, [2, 3, 4, 6], &cpu());
    for p in [1, 2] {
        let deep = space_to_depth(image.clone(), p);
        assert_eq!(deep.dims(), [2, 4 / p, 6 / p, 3 * p * p]);
        assert_eq!(values(depth_to_space(deep, p)), x);
    }
    // Patch (0, 1) of the first image: its channels are (c, y, x) in order.
    let deep = values(space_to_depth(image.clone(), 2));
    let expected = [2, 3, 8, 9, 26, 27, 32, 33, 50, 51, 56, 57].map(|i| i as f32);
    assert_eq!(deep[12..24], expected);
    let image = image.permute([0, 2, 3, 1]);
    let big = values(upsample(image.clone()));
    let small = values(image);
    for (b, y, x, c) in [(0, 0, 0, 0), (0, 1, 1, 2), (1, 7, 11, 1), (1, 4, 3, 0)] {
        assert_eq!(big[((b * 8 + y) * 12 + x) * 3 + c], small[((b * 4 + y / 2) * 6 + x / 2) * 3 + c]);
    }
}

fn networks() -> Vec<(UNetConfig, [usize; 3])> {
    let three_levels =
        UNetConfig { channels: 4, multipliers: vec![1, 2, 3], blocks: 2, patch: 1, ..small_unet() };
    let positional = UNetConfig {
        embedding: Embedding::Positional,
        multipliers: vec![2],
        attention_levels: vec![0],
        ..small_unet()
    };
    vec![
        (small_unet(), [1, 8, 8]),
        (small_unet(), [1, 27, 31]),
        (three_levels, [3, 9, 5]),
        (positional, [3, 1, 1]),
    ]
}

fn the_network_takes_any_image_size() {
    for (config, [c, h, w]) in networks() {
        let network = lively_unet(&config, c, 1, &cpu());
        let x = normal(2, 2 * c * h * w);
        let found = network.forward(tensor(&x, [2, c, h, w], &cpu()), &[0.3], Context::default());
        assert_eq!(found.dims(), [2, c, h, w]);
        let found = values(found);
        let size = (found.iter().map(|v| v * v).sum::<f32>() / found.len() as f32).sqrt();
        assert!(found.iter().all(|v| v.is_finite()) && size > 1e-2, "{config:?}: {size}");
        // Padded by hand to the network's multiple, the inside is the same.
        let multiple = config.patch << (config.multipliers.len() - 1);
        let (tall, long) = (h.next_multiple_of(multiple), w.next_multiple_of(multiple));
        let mut padded = vec![0.0; 2 * c * tall * long];
        for (i, value) in x.iter().enumerate() {
            padded[(i / (h * w) * tall + i / w % h) * long + i % w] = *value;
        }
        let whole = network.forward(tensor(&padded, [2, c, tall, long], &cpu()), &[0.3], Context::default());
        assert_eq!(values(whole.slice([0..2, 0..c, 0..h, 0..w])), found, "{config:?}");
    }
}

/// Images at different noise levels in one batch equal each by itself. Dense layers round differently for
/// one row than for several; with one level for all, nothing does.
fn the_network_treats_every_image_alone() {
    for (config, [c, h, w]) in networks() {
        let network = lively_unet(&config, c, 1, &cpu());
        let x = normal(2, 4 * c * h * w);
        let image = |i: usize| tensor(&x[i * c * h * w..(i + 1) * c * h * w], [1, c, h, w], &cpu());
        let levels = [-1.1, 0.0, 0.4, 1.2];
        let all = values(network.forward(tensor(&x, [4, c, h, w], &cpu()), &levels, Context::default()));
        let same = values(network.forward(tensor(&x, [4, c, h, w], &cpu()), &[0.4], Context::default()));
        for i in 0..4 {
            let alone = values(network.forward(image(i), &levels[i..=i], Context::default()));
            let error = relative_error(&all[i * c * h * w..(i + 1) * c * h * w], &alone);
            assert!(error < BOUND, "{config:?}, image {i}: off by {error:e}");
            let alone = values(network.forward(image(i), &[0.4], Context::default()));
            assert_eq!(same[i * c * h * w..(i + 1) * c * h * w], alone, "{config:?}, image {i}");
        }
    }
}

/// Up to the rounding of burn's own operations, which are not all written alike for both.
fn the_network_is_the_same_while_training() {
    let device = cpu().autodiff();
    for (config, [c, h, w]) in networks() {
        let x = normal(2, 2 * c * h * w);
        let plain = lively_unet(&config, c, 1, &cpu()).forward(
            tensor(&x, [2, c, h, w], &cpu()),
            &[0.1, 0.9],
            Context::default(),
        );
        let tracked = lively_unet(&config, c, 1, &device).forward(
            tensor(&x, [2, c, h, w], &device),
            &[0.1, 0.9],
            Context::default(),
        );
        let error = relative_error(&values(tracked.inner()), &values(plain));
        assert!(error < BOUND, "{config:?}: off by {error:e}");
    }
}

fn embeddings_follow_their_formulas() {
    let features = Embedding::Positional.features(&[999.0 * 0.25], 8);
    for i in 0..4 {
        let angle = 249.75 * 1e4_f64.powf(-(i as f64) / 3.0);
        assert!((f64::from(features[i]) - angle.sin()).abs() < 1e-6);
        assert!((f64::from(features[4 + i]) - angle.cos()).abs() < 1e-6);
    }
    let fourier = Embedding::Fourier { scale: 16.0 };
    let (one, two) = (fourier.features(&[0.01], 64), fourier.features(&[0.02, 0.01], 64));
    assert_eq!(one, two[64..], "a level's features do not depend on its neighbours");
    for i in 0..32 {
        let unit = one[i].hypot(one[32 + i]);
        let double = 2.0 * one[i] * one[32 + i];
        assert!((unit - 1.0).abs() < 1e-6 && (double - two[i]).abs() < 1e-5, "sin 2a = 2 sin a cos a");
    }
    // The frequencies are normal of deviation 16: at level 0.01/(2π·16) their sines are the frequencies.
    let small = fourier.features(&[1e-5 / (std::f64::consts::TAU * 16.0)], 2000);
    let variance: f64 = small[..1000].iter().map(|v| (f64::from(*v) * 1e5).powi(2)).sum::<f64>() / 1000.0;
    assert!((variance - 1.0).abs() < 5.0 * (2.0_f64 / 1000.0).sqrt(), "{variance}");
}

fn the_network_on_the_gpu_equals_the_cpu() {
    for (config, [c, h, w]) in networks() {
        for (sde, preconditioning) in [
            (
                AnySde::Ve(VeSde { sigma_min: 0.01, sigma_max: 20.0, ..VeSde::default() }),
                Preconditioning::Edm { sigma_data: 0.4 },
            ),
            (AnySde::Vp(VpSde::default()), Preconditioning::Eps),
        ] {
            let x = normal(2, 2 * c * h * w);
            let [on_cpu, on_gpu] = [cpu(), gpu()].map(|device| {
                let network = lively_unet(&config, c, 1, &device);
                let model = Preconditioned::new(network, preconditioning, sde);
                values(model.denoise(tensor(&x, [2, c, h, w], &device), &[0.2, 3.0]))
            });
            let error = relative_error(&on_gpu, &on_cpu);
            figure(format_args!("U-Net {c}x{h}x{w}, GPU against CPU: {error:.1e}"));
            assert!(error < BOUND_GPU, "{config:?}, {preconditioning:?}: off by {error:e}");
        }
    }
}
