//! Every WGSL kernel against its twin of burn's stock operations on the CPU, over sizes that do not fit its
//! tiles.

use burn::tensor::Tensor;
use scorefield::network::layers::Init;
use scorefield::network::{Context, Network, UNetConfig};
use scorefield::ops::{
    AdamStep, Adapter, Dense, Filter, GROUP_NORM_EPSILON, Joined, Norm, Pass, StepSize, Then, adam,
    adam_plain, attention, attention_added, attention_added_plain, attention_plain, combine, combine_plain,
    conv_normalised, conv_normalised_plain, error_norm, error_norm_plain, gather, gather_plain, group_norm,
    group_norm_plain, group_norm_silu, group_norm_silu_plain, langevin, langevin_plain, launches,
    sum_of_squares, time_mlp, time_mlp_plain,
};
use scorefield::rng::{Domain, Noise};

use crate::support::{brief, cpu, figure, gpu, relative_error, tensor, trials, values};

trials! {
    cpu: [the_cpus_own_code_equals_the_twins],
    gpu: [
        convolutions_equal_their_twin,
        normalisations_equal_their_twin,
        attention_equals_its_twin,
        attention_with_its_projections_equals_its_twin,
        more_workgroups_than_a_row_holds,
        sums_equal_their_twin,
        rows_of_many_tensors_equal_their_twin,
        time_equals_its_twin,
        the_optimiser_equals_its_twin,
        steps_of_samplers_equal_their_twins,
        a_residual_block_is_three_dispatches,
    ],
}

/// Relative to the largest value of the result.
const BOUND: f64 = 1e-4;

fn normal(seed: u64, len: usize) -> Vec<f32> {
    Noise::new(seed).domain(Domain::Probe).normal(0, 1, len)
}

/// Random tensors, the same on each of the two devices.
pub struct Draw {
    pub device: burn::tensor::Device,
    pub seed: u64,
}

impl Draw {
    pub fn tensor<const D: usize>(&mut self, dims: [usize; D]) -> Tensor<D> {
        self.seed += 1;
        tensor(&normal(self.seed, dims.iter().product()), dims, &self.device)
    }

    pub fn filter(&mut self, c_in: usize, c_out: usize, kernel: usize, stride: usize) -> Filter {
        let weight = self.tensor([kernel * kernel * c_in, c_out]);
        Filter { weight, bias: self.tensor([c_out]), kernel, stride, pad: kernel / 2 }
    }

    pub fn joined(&mut self, [b, h, w]: [usize; 3], [c, c_skip]: [usize; 2]) -> Joined {
        let x = self.tensor([b, h, w, c]);
        Joined { x, skip: (c_skip > 0).then(|| self.tensor([b, h, w, c_skip])) }
    }

    pub fn norm(&mut self, channels: usize, groups: usize) -> Norm {
        Norm {
            gamma: self.tensor([channels]),
            beta: self.tensor([channels]),
            groups,
            epsilon: GROUP_NORM_EPSILON,
        }
    }
}

/// The error of the kernels for this adapter, or for others if it is larger.
fn on_both<const D: usize>(f: impl Fn(&mut Draw, bool) -> Tensor<D>) -> f64 {
    let on_gpu = || f(&mut Draw { device: gpu(), seed: 0 }, true);
    let on_cpu = f(&mut Draw { device: cpu(), seed: 0 }, false);
    let expected = values(on_cpu.clone());
    let error = |found: Tensor<D>| {
        assert_eq!(found.dims(), on_cpu.dims());
        let error = relative_error(&values(found), &expected);
        assert!(error.is_finite());
        error
    };
    let others = [Adapter::HARDWARE, Adapter::Software].map(|adapter| error(adapter.pretend(on_gpu)));
    others.into_iter().fold(error(on_gpu()), f64::max)
}

/// Convolutions of every kind, with everything that may follow them, of sizes that fit no tile.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub bhw: [usize; 3],
    channels: [usize; 2],
    c_out: usize,
    kernel: usize,
    stride: usize,
    upsample: bool,
    /// Nothing, shift and norm, the image added, its projection added.
    then: usize,
}

pub fn cases() -> impl Iterator<Item = Case> {
    let sizes = [
        ([1, 1, 1], [1, 0], 1),
        ([2, 3, 5], [3, 0], 2),
        ([1, 9, 6], [1, 0], 16),
        ([1, 9, 6], [16, 0], 1),
        ([3, 7, 7], [4, 0], 12),
        ([2, 8, 8], [32, 16], 20),
        ([5, 14, 14], [32, 0], 32),
        ([1, 7, 7], [64, 64], 64),
        ([1, 27, 31], [4, 8], 4),
        ([2, 32, 32], [16, 0], 16),
        ([1, 33, 40], [16, 0], 8),
    ];
    let kinds = [(3, 1, false), (3, 1, true), (3, 2, false), (1, 1, false)];
    sizes.into_iter().flat_map(move |(bhw, channels, c_out)| {
        kinds.into_iter().flat_map(move |(kernel, stride, upsample)| {
            let thens = if c_out % 4 == 0 { 4 } else { 1 };
            (0..thens).map(move |then| Case { bhw, channels, c_out, kernel, stride, upsample, then })
        })
    })
}

impl Case {
    pub fn pass(self, draw: &mut Draw) -> Pass {
        let Self { bhw, channels, c_out, kernel, stride, upsample, then } = self;
        let [b, h, w] = bhw;
        let side = |n: usize| if upsample { 2 * n } else { n.div_ceil(stride) };
        let out = [b, side(h), side(w)];
        Pass {
            x: draw.joined(bhw, channels),
            upsample,
            filter: draw.filter(channels[0] + channels[1], c_out, kernel, stride),
            then: match then {
                0 => Then::Nothing,
                1 => Then::ShiftNormSilu {
                    shift: draw.tensor([if b == 2 { 1 } else { b }, c_out + 12]),
                    first: 8,
                    norm: draw.norm(c_out, if c_out == 20 { 1 } else { c_out / 4 }),
                },
                2 => Then::Add { x: draw.joined(out, [c_out, 0]), projection: None, scale: 0.5 },
                _ => Then::Add {
                    x: draw.joined(out, [8, 4 * (b % 2)]),
                    projection: Some(draw.filter(8 + 4 * (b % 2), c_out, 1, 1)),
                    scale: 0.7,
                },
            },
        }
    }
}

fn convolutions_equal_their_twin() {
    let mut worst = [0.0_f64; 4];
    for case in cases() {
        let error = on_both(|draw, fused| {
            let pass = case.pass(draw);
            if fused { pass.run() } else { pass.run_plain() }
        });
        assert!(error < BOUND, "{case:?}: {error:e}");
        worst[case.then] = worst[case.then].max(error);
    }
    figure(format_args!("convolution kernels: {}", brief(&worst)));
}

/// Size, channels and groups of normalisations.
pub const NORMS: [([usize; 3], [usize; 2], usize); 7] = [
    ([1, 2, 1], [1, 0], 1),
    ([2, 3, 5], [4, 0], 2),
    ([2, 3, 5], [8, 4], 3),
    ([3, 7, 7], [64, 32], 24),
    ([1, 27, 31], [8, 0], 2),
    ([1, 40, 33], [128, 128], 32),
    ([2, 16, 16], [6, 0], 1),
];

fn normalisations_equal_their_twin() {
    let mut worst = 0.0_f64;
    for (bhw, channels, groups) in NORMS {
        for silu in [false, true] {
            let error = on_both(|draw, fused| {
                let x = draw.joined(bhw, channels);
                let x = Joined { x: x.x * 3.0 + 1.5, skip: x.skip };
                let norm = draw.norm(channels[0] + channels[1], groups);
                match (silu, fused) {
                    (true, true) => group_norm_silu(x, &norm),
                    (true, false) => group_norm_silu_plain(x, &norm),
                    (false, true) => group_norm(x.cat(), &norm),
                    (false, false) => group_norm_plain(x.cat(), &norm),
                }
            });
            assert!(error < BOUND, "{bhw:?} {channels:?}, {groups} groups: {error:e}");
            worst = worst.max(error);
        }
    }
    figure(format_args!("group norm kernels: {worst:.1e}"));
}

/// Images, pixels, channels.
pub const ATTENTION: [[usize; 3]; 8] = [
    [1, 1, 4],
    [2, 5, 8],
    [3, 49, 64],
    [1, 64, 32],
    [2, 65, 12],
    [1, 256, 128],
    [1, 300, 256],
    [1, 33, 1024],
];
/// Rows, inputs, features (a quarter of the hidden units), channels of all blocks.
pub const TIME: [[usize; 4]; 7] = [
    [1, 4, 4, 4],
    [2, 4, 4, 400],
    [3, 32, 32, 96],
    [3, 44, 32, 96],
    [1, 64, 64, 700],
    [65, 128, 128, 1024],
    [2, 260, 260, 16],
];

/// What the page's CPU path computes without burn's matrix products.
fn the_cpus_own_code_equals_the_twins() {
    let mut worst = [0.0_f64; 2];
    for [b, n, c] in ATTENTION {
        let qkv = tensor(&normal(1, b * n * 3 * c), [b, n, 3 * c], &cpu());
        let error = relative_error(&values(attention(qkv.clone())), &values(attention_plain(qkv)));
        assert!(error < 1e-5, "{b} x {n} pixels of {c} channels: {error:e}");
        worst[0] = worst[0].max(error);
    }
    for dims in TIME {
        let [own, plain] = [time_mlp, time_mlp_plain].map(|mlp| values(time(mlp, dims, cpu())));
        let error = relative_error(&own, &plain);
        assert!(error < 1e-5, "{dims:?}: {error:e}");
        worst[1] = worst[1].max(error);
    }
    figure(format_args!("attention and time on the CPU: {}", brief(&worst)));
}

fn attention_equals_its_twin() {
    let mut worst = 0.0_f64;
    for [b, n, c] in ATTENTION {
        let error = on_both(|draw, fused| {
            let qkv = draw.tensor([b, n, 3 * c]);
            if fused { attention(qkv) } else { attention_plain(qkv) }
        });
        assert!(error < BOUND, "{b} x {n} pixels of {c} channels: {error:e}");
        worst = worst.max(error);
    }
    figure(format_args!("attention kernel: {worst:.1e}"));
}

/// Size, channels and output channels; the last image is more than a workgroup normalises.
pub const NORMALISED: [([usize; 3], usize, usize); 6] = [
    ([1, 1, 1], 4, 4),
    ([3, 5, 3], 8, 6),
    ([2, 7, 7], 64, 192),
    ([1, 14, 14], 12, 20),
    ([1, 9, 31], 256, 8),
    ([2, 40, 33], 16, 48),
];

fn attention_with_its_projections_equals_its_twin() {
    let mut worst = [0.0_f64; 2];
    for ([b, h, w], c_in, c_out) in NORMALISED {
        let error = on_both(|draw, fused| {
            let x = draw.tensor([b, h, w, c_in]) * 3.0 + 1.5;
            let (norm, filter) = (draw.norm(c_in, c_in / 4), draw.filter(c_in, c_out, 1, 1));
            (if fused { conv_normalised } else { conv_normalised_plain })(x, &norm, filter)
        });
        assert!(error < BOUND, "{b} of {h}x{w}, {c_in} to {c_out} channels: {error:e}");
        worst[0] = worst[0].max(error);
    }
    for [b, n, c] in ATTENTION.into_iter().filter(|[.., c]| *c <= 256) {
        let error = on_both(|draw, fused| {
            let (qkv, x) = (draw.tensor([b, n, 3 * c]), draw.tensor([b, n, 1, c]));
            let attention = if fused { attention_added } else { attention_added_plain };
            attention(qkv, draw.filter(c, c, 1, 1), x, 0.7)
        });
        assert!(error < BOUND, "{b} x {n} pixels of {c} channels: {error:e}");
        worst[1] = worst[1].max(error);
    }
    figure(format_args!("attention's projections: {}", brief(&worst)));
}

/// WebGPU allows 65,535 in a row; here each image has one of its own.
fn more_workgroups_than_a_row_holds() {
    const IMAGES: usize = 66_000;
    let attended = on_both(|draw, fused| {
        let qkv = draw.tensor([IMAGES, 1, 12]);
        if fused { attention(qkv) } else { attention_plain(qkv) }
    });
    let convolved = on_both(|draw, fused| {
        let then = Then::ShiftNormSilu { shift: draw.tensor([1, 4]), first: 0, norm: draw.norm(4, 1) };
        let x = draw.joined([IMAGES, 1, 1], [4, 0]);
        let pass = Pass { x, upsample: false, filter: draw.filter(4, 4, 3, 1), then };
        if fused { pass.run() } else { pass.run_plain() }
    });
    assert!(attended < BOUND && convolved < BOUND, "{attended:e}, {convolved:e}");
}

fn sums_equal_their_twin() {
    for terms in 1..=8 {
        for dims in [[1, 1, 1, 1], [3, 2, 5, 7], [2, 3, 32, 32]] {
            for per_sample in [false, true] {
                let factors: Vec<f64> = (0..dims[0]).map(|i| 0.3 + i as f64).collect();
                let error = on_both(|draw, fused| {
                    let terms: Vec<_> = (0..terms)
                        .map(|k| {
                            // Of one sign, lest a sum of one value cancels, and with it what an error is measured by.
                            let x = draw.tensor(dims).abs();
                            (x, if per_sample && k != 1 { &factors[..] } else { &[-0.7][..] })
                        })
                        .collect();
                    if fused { combine(&terms) } else { combine_plain(&terms) }
                });
                assert!(error < 1e-6, "{terms} terms of {dims:?}: {error:e}");
            }
        }
    }
}

/// More parts than one launch takes, one of them longer than its workgroups are together.
fn rows_of_many_tensors_equal_their_twin() {
    let row = |device: &burn::tensor::Device, own: bool| {
        let mut draw = Draw { device: device.clone(), seed: 70 };
        let mut end = 3;
        let lens = [1, 64, 7, 100_003, 5, 2, 300, 4, 1, 90];
        let parts: Vec<_> = lens
            .into_iter()
            .map(|len| {
                let place = end;
                end += len + 2;
                (place, draw.tensor([len]))
            })
            .collect();
        values(match own {
            true => gather(&parts, end, device),
            false => gather_plain(&parts, Tensor::zeros([end], device)),
        })
    };
    let plain = row(&cpu(), false);
    assert!(plain.iter().filter(|v| **v != 0.0).count() > 100_000);
    assert_eq!(row(&cpu(), true), plain);
    assert_eq!(row(&gpu(), true), plain);
}

fn time_equals_its_twin() {
    for dims in TIME {
        let error = on_both(|draw, fused| {
            time(if fused { time_mlp } else { time_mlp_plain }, dims, draw.device.clone())
        });
        assert!(error < BOUND, "{dims:?}: {error:e}");
    }
}

pub fn time(
    mlp: fn(Tensor<2>, [Dense; 3]) -> Tensor<2>,
    [rows, inputs, d, channels]: [usize; 4],
    device: burn::tensor::Device,
) -> Tensor<2> {
    let mut draw = Draw { device, seed: 0 };
    let mut dense =
        |inputs: usize, outputs: usize| (draw.tensor([inputs, outputs]) * 0.1, draw.tensor([outputs]));
    let layers = [dense(inputs, 4 * d), dense(4 * d, 4 * d), dense(4 * d, channels)];
    mlp(draw.tensor([rows, inputs]), layers)
}

fn a_residual_block_is_three_dispatches() {
    let config =
        |blocks| UNetConfig { channels: 16, blocks, attention_levels: vec![1], ..UNetConfig::default() };
    let x = tensor(&normal(1, 28 * 28), [1, 1, 28, 28], &gpu());
    let counts = [1, 2].map(|blocks| {
        let network = Network::new(&config(blocks).into(), 1, 1, &mut Init::new(0, &gpu()));
        let before = launches();
        let y = Adapter::HARDWARE.pretend(|| network.forward(x.clone(), &[0.1], Context::default()));
        assert_eq!(values(y).len(), 28 * 28);
        launches() - before
    });
    // Two levels, each with another block on the way down and up, and attention on one: normalisation and first
    // projection; attention, last projection and sum.
    assert_eq!(counts[1] - counts[0], 4 * 3 + 2 * 2, "{counts:?}");
    // Time, stem, down, up, last normalisation and head, 8 blocks, and attention 4 times.
    assert_eq!(counts[0], 1 + 1 + 1 + 1 + 2 + 8 * 3 + 4 * 2, "{counts:?}");
    figure(format_args!("dispatches of a forward: {} with 8 blocks, {} with 12", counts[0], counts[1]));
}

/// Three steps of Adam, the first with a gradient that has to be clipped.
fn the_optimiser_equals_its_twin() {
    let run = |device: &burn::tensor::Device, own: bool| {
        let len = 10_001; // more than one workgroup sums up
        let mut draw = Draw { device: device.clone(), seed: 40 };
        let mut weight = draw.tensor([len]);
        let mut moments = [Tensor::zeros([len], device), Tensor::zeros([len], device)];
        let mut found = vec![];
        for (i, clip) in [0.5, 100.0, 3.0].into_iter().enumerate() {
            let gradient = draw.tensor([len]);
            let step =
                AdamStep { rate: 0.1, step: i + 1, clip, epsilon: [1e-8, 1e-3][i % 2], rectified: i > 0 };
            let norm_sq = match own {
                true => sum_of_squares(gradient.clone()),
                false => (gradient.clone() * gradient.clone()).sum(),
            };
            match own {
                true => adam(&mut weight, gradient, &mut moments, &norm_sq, step),
                false => {
                    let [new_weight, new_moments @ ..] =
                        adam_plain(weight, gradient, moments, &norm_sq, step);
                    (weight, moments) = (new_weight, new_moments);
                }
            }
            found.extend([norm_sq, weight.clone(), moments[0].clone(), moments[1].clone()].map(values));
        }
        found
    };
    let plain = run(&cpu(), false);
    for (name, found) in [("CPU", run(&cpu(), true)), ("GPU", run(&gpu(), true))] {
        let errors = found.iter().zip(&plain).map(|(found, plain)| relative_error(found, plain));
        let worst = errors.fold(0.0, f64::max);
        assert!(worst < 1e-6, "{name}: off by {worst:e}");
        figure(format_args!("Adam against its twin, {name}: {worst:.1e}"));
    }
}

/// The corrector's step and the error of an adaptive step.
fn steps_of_samplers_equal_their_twins() {
    let mut worst = [0.0_f64; 2];
    for dims in [[1, 1, 1, 1], [3, 1, 28, 28], [2, 3, 9, 7], [5, 1, 1, 300]] {
        let run = |device: &burn::tensor::Device, own: bool| {
            let mut draw = Draw { device: device.clone(), seed: 60 };
            let [x, score, z] = [0; 3].map(|_| draw.tensor(dims));
            let size = StepSize { factor: 0.16, prior: (100.0, 250.0) };
            let step = if own { langevin } else { langevin_plain };
            let norm = if own { error_norm } else { error_norm_plain };
            let x_next = step(x.clone(), score, z.clone(), size);
            [values(x_next.clone()), values(norm([x, x_next, z], 0.1, 1e-3))]
        };
        let (own, plain) = (run(&gpu(), true), run(&cpu(), false));
        for ((worst, own), plain) in worst.iter_mut().zip(&own).zip(&plain) {
            let error = relative_error(own, plain);
            assert!(error < 1e-5, "{dims:?}: off by {error:e}");
            *worst = worst.max(error);
        }
    }
    figure(format_args!("corrector's step and error norm against their twins: {}", brief(&worst)));
}
