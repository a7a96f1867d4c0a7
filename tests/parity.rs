//! The fused operations against plain ones and against `f64` on the host, forward and backward, on both
//! devices.

use burn::tensor::{Device, Tensor};
use scorefield::ops::{
    Filter, GROUP_NORM_EPSILON, Joined, Norm, Pass, Then, attention, attention_plain, conv, conv_plain,
};
use scorefield::rng::{Domain, Noise};

use crate::normalisation::{group_norm_silu, norm_error, run_norm};
use crate::support::{brief, cpu, figure, gpu, relative_error, tensor, trials, values};

trials! {
    cpu: [
        convolution_equals_its_plain_twin,
        convolution_equals_its_definition,
        gradients_of_the_convolution_are_its_differences,
        passes_of_a_block_and_their_gradients_equal_the_plain_twin,
        joined_images_and_attention_have_the_gradients_of_their_twins,
        gradients_flow_only_where_they_are_asked_for,
        operations_do_not_depend_on_the_number_of_threads,
        operations_take_views,
        a_convolution_follows_its_weights,
    ],
    gpu: [
        convolution_on_the_gpu_equals_the_cpu,
        passes_of_a_block_and_their_gradients_on_the_gpu,
        joined_images_and_attention_on_the_gpu,
    ],
}

/// Relative to the largest value of the tensor; `f32` sums of up to a thousand terms stay far below.
pub const BOUND: f64 = 1e-5;
/// Other devices may sum in another order and fuse.
pub const BOUND_GPU: f64 = 1e-4;

pub fn normal(seed: u64, len: usize) -> Vec<f32> {
    Noise::new(seed).domain(Domain::Probe).normal(0, 1, len)
}

/// One convolution to try.
#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    size: [usize; 2],
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
}

impl Case {
    fn inputs(&self) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let Self { batch, size: [h, w], channels: [c_in, c_out], kernel, .. } = *self;
        (normal(1, batch * h * w * c_in), normal(2, kernel * kernel * c_in * c_out), normal(3, c_out))
    }

    fn output_size(&self) -> [usize; 2] {
        self.size.map(|side| side.div_ceil(self.stride))
    }

    /// The value of `f` and the gradients of its product with a random tensor.
    fn run(&self, device: &Device, f: Convolution) -> [Vec<f32>; 4] {
        let Self { batch, size: [h, w], channels: [c_in, c_out], kernel, stride } = *self;
        let (x, weight, bias) = self.inputs();
        let device = device.clone().autodiff();
        let x = tensor(&x, [batch, h, w, c_in], &device).require_grad();
        let weight = tensor(&weight, [kernel * kernel * c_in, c_out], &device).require_grad();
        let bias = tensor(&bias, [c_out], &device).require_grad();
        let y = f(x.clone(), weight.clone(), bias.clone(), kernel, stride);
        let [out_h, out_w] = self.output_size();
        assert_eq!(y.dims(), [batch, out_h, out_w, c_out], "{self:?}");
        let probe = tensor(&normal(4, batch * out_h * out_w * c_out), y.dims(), &device);
        let gradients = (y.clone() * probe).sum().backward();
        [
            values(y.inner()),
            values(x.grad(&gradients).unwrap()),
            values(weight.grad(&gradients).unwrap()),
            values(bias.grad(&gradients).unwrap()),
        ]
    }
}

type Convolution = fn(Tensor<4>, Tensor<2>, Tensor<1>, usize, usize) -> Tensor<4>;
pub const PARTS: [&str; 4] = ["value", "gradient of x", "gradient of weight", "gradient of bias"];

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, size, channels) in [
        (1, [1, 1], [1, 1]),
        (2, [1, 7], [3, 2]),
        (1, [5, 1], [1, 4]),
        (3, [4, 4], [8, 8]),
        (1, [9, 6], [1, 16]),
        (9, [7, 7], [5, 3]),
        (17, [3, 2], [2, 1]),
        (2, [14, 14], [32, 64]),
        (1, [27, 31], [4, 6]),
        // In tiles of 4x4: several bands of an image, several images in a band, a row longer than a band.
        (5, [26, 31], [9, 12]),
        (11, [7, 6], [17, 8]),
        (2, [3, 140], [8, 20]),
        // Wide enough that threads divide the work on one band.
        (3, [8, 8], [96, 96]),
        // Channels that are no whole number of a thread's, in several bands.
        (5, [18, 22], [44, 40]),
    ] {
        for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2), (5, 1), (5, 3)] {
            cases.push(Case { batch, size, channels, kernel, stride });
        }
    }
    cases
}

fn convolution_equals_its_plain_twin() {
    let mut worst = [0.0_f64; 4];
    for case in cases() {
        let (fused, plain) = (case.run(&cpu(), conv), case.run(&cpu(), conv_plain));
        for (i, part) in PARTS.iter().enumerate() {
            let error = relative_error(&fused[i], &plain[i]);
            assert!(error < BOUND, "{case:?}: {part} is off by {error:e}");
            worst[i] = worst[i].max(error);
        }
    }
    figure(format_args!("convolution, fused against plain: {}", brief(&worst)));
}

/// The sum that defines it, in `f64`: the twins could share a mistake.
fn convolve(case: &Case, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let Case { batch, size: [h, w], channels: [c_in, c_out], kernel, stride } = *case;
    let [out_h, out_w] = case.output_size();
    let mut y = Vec::new();
    for b in 0..batch {
        for (oy, ox) in (0..out_h).flat_map(|oy| (0..out_w).map(move |ox| (oy, ox))) {
            for o in 0..c_out {
                let mut sum = bias[o];
                for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                    let (iy, ix) = (
                        (oy * stride + ky).wrapping_sub(kernel / 2),
                        (ox * stride + kx).wrapping_sub(kernel / 2),
                    );
                    if iy < h && ix < w {
                        for i in 0..c_in {
                            sum += x[((b * h + iy) * w + ix) * c_in + i]
                                * weight[((ky * kernel + kx) * c_in + i) * c_out + o];
                        }
                    }
                }
                y.push(sum);
            }
        }
    }
    y
}

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

pub fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn convolution_equals_its_definition() {
    for case in cases() {
        let (x, weight, bias) = case.inputs();
        let expected = narrow(&convolve(&case, &wide(&x), &wide(&weight), &wide(&bias)));
        for (name, f) in [("fused", conv as Convolution), ("plain", conv_plain)] {
            let error = relative_error(&case.run(&cpu(), f)[0], &expected);
            assert!(error < BOUND, "{case:?}: {name} is off by {error:e}");
        }
    }
}

/// Central differences of `f` at `at`, for every input value.
pub fn differences(at: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f32> {
    let h = 1e-4;
    (0..at.len())
        .map(|i| {
            let moved = |h: f64| {
                let mut at = at.to_vec();
                at[i] += h;
                f(&at)
            };
            ((moved(h) - moved(-h)) / (2.0 * h)) as f32
        })
        .collect()
}

pub fn dot(a: &[f64], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum()
}

/// Differences of the `f64` definition: exact up to 1e-9 here, since a convolution is linear in each input.
fn gradients_of_the_convolution_are_its_differences() {
    for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2)] {
        let case = Case { batch: 2, size: [5, 4], channels: [3, 2], kernel, stride };
        let (x, weight, bias) = case.inputs();
        let (x, weight, bias) = (wide(&x), wide(&weight), wide(&bias));
        let [_, dx, dweight, dbias] = case.run(&cpu(), conv);
        let [out_h, out_w] = case.output_size();
        let probe = normal(4, 2 * out_h * out_w * 2);
        let expected = [
            differences(&x, |x| dot(&convolve(&case, x, &weight, &bias), &probe)),
            differences(&weight, |weight| dot(&convolve(&case, &x, weight, &bias), &probe)),
            differences(&bias, |bias| dot(&convolve(&case, &x, &weight, bias), &probe)),
        ];
        for ((found, expected), part) in [dx, dweight, dbias].iter().zip(&expected).zip(&PARTS[1..]) {
            let error = relative_error(found, expected);
            assert!(error < BOUND, "{case:?}: {part} is off by {error:e}");
        }
    }
}

fn passes_of_a_block_and_their_gradients_equal_the_plain_twin() {
    check_passes("the CPU", &cpu(), BOUND);
}

fn passes_of_a_block_and_their_gradients_on_the_gpu() {
    check_passes("the GPU", &gpu(), BOUND_GPU);
}

/// What follows a convolution in a residual block: the shift with its normalisation, and the scaled sum. The
/// plain twin runs on the CPU.
fn check_passes(name: &str, device: &Device, bound: f64) {
    let dims @ [b, h, w, c] = [3, 5, 6, 12];
    let run = |shifts: usize, device: &Device, pass: fn(Pass) -> Tensor<4>| {
        let device = device.clone().autodiff();
        let leaf = |seed, len: usize| tensor(&normal(seed, len), [len], &device).require_grad();
        let leaves =
            [leaf(1, dims.iter().product()), leaf(2, 9 * c * c), leaf(3, c), leaf(4, shifts * 2 * c)];
        let norm = [leaf(5, c), leaf(6, c)];
        let [x, weight, bias, shift] = leaves.clone();
        let (x, [gamma, beta]) = (x.reshape(dims), norm.clone());
        let filter = || Filter {
            weight: weight.clone().reshape([9 * c, c]),
            bias: bias.clone(),
            kernel: 3,
            stride: 1,
            pad: 1,
        };
        let shift = shift.reshape([shifts, 2 * c]);
        let then = Then::ShiftNormSilu {
            shift,
            first: 4,
            norm: Norm { gamma, beta, groups: 3, epsilon: GROUP_NORM_EPSILON },
        };
        let y = pass(Pass { x: x.clone().into(), upsample: false, filter: filter(), then });
        // The sum has the size of the doubled image, so its other half is doubled as well.
        let larger = pass(Pass { x: x.into(), upsample: true, filter: filter(), then: Then::Nothing });
        let then = Then::Add { x: larger.into(), projection: None, scale: 0.7 };
        let y = pass(Pass { x: y.into(), upsample: true, filter: filter(), then });
        let probe = tensor(&normal(8, 4 * b * h * w * c), [b, 2 * h, 2 * w, c], &device);
        let gradients = (y.clone() * probe).sum().backward();
        let found = leaves.iter().chain(&norm).map(|leaf| values(leaf.grad(&gradients).unwrap()));
        [values(y.inner())].into_iter().chain(found).collect::<Vec<_>>()
    };
    let mut worst = 0.0_f64;
    for shifts in [1, b] {
        let parts = ["y", "dx", "dweight", "dbias", "dshift", "dgamma", "dbeta"];
        let (own, plain) = (run(shifts, device, Pass::run), run(shifts, &cpu(), Pass::run_plain));
        for ((part, own), plain) in parts.iter().zip(own).zip(plain) {
            let error = relative_error(&own, &plain);
            assert!(error < bound, "{part} with {shifts} shifts is off by {error:e}");
            worst = worst.max(error);
        }
    }
    figure(format_args!("passes of a block and their gradients on {name}, fused against plain: {worst:.1e}"));
}

fn joined_images_and_attention_have_the_gradients_of_their_twins() {
    check_attention("the CPU", &cpu(), BOUND);
}

fn joined_images_and_attention_on_the_gpu() {
    check_attention("the GPU", &gpu(), BOUND_GPU);
}

/// Attention over an image of two parts: its value and the gradients of both parts.
fn check_attention(name: &str, device: &Device, bound: f64) {
    let run = |[b, n, c]: [usize; 3], device: &Device, own: bool| {
        let device = device.clone().autodiff();
        let part = |seed, c| tensor(&normal(seed, b * n * c), [b, n, 1, c], &device).require_grad();
        let (x, skip) = (part(1, c), part(2, 2 * c));
        let y = match own {
            true => attention(Joined::new(x.clone(), skip.clone()).cat().reshape([b, n, 3 * c])),
            false => attention_plain(Tensor::cat(vec![x.clone(), skip.clone()], 3).reshape([b, n, 3 * c])),
        };
        let gradients = (y.clone() * tensor(&normal(3, b * n * c), [b, n, c], &device)).sum().backward();
        [values(y.inner()), values(x.grad(&gradients).unwrap()), values(skip.grad(&gradients).unwrap())]
    };
    let mut worst = 0.0_f64;
    for dims in [[1, 1, 4], [2, 7, 4], [3, 49, 64], [1, 130, 12]] {
        let (own, plain) = (run(dims, device, true), run(dims, &cpu(), false));
        for ((part, own), plain) in ["y", "gradient of q", "gradient of k and v"].iter().zip(own).zip(plain) {
            // Of a single pixel the query and the key have no effect at all.
            let error = norm_error(&own, &plain);
            assert!(error < bound, "{dims:?}: {part} is off by {error:e}");
            worst = worst.max(error);
        }
    }
    figure(format_args!("attention and its gradient on {name}, own against plain: {worst:.1e}"));
}

/// Only some inputs tracked: the others have no gradient, and the tracked ones the same as before.
fn gradients_flow_only_where_they_are_asked_for() {
    let case = Case { batch: 2, size: [4, 4], channels: [4, 4], kernel: 3, stride: 1 };
    let all = case.run(&cpu(), conv);
    let (x, weight, bias) = case.inputs();
    let device = cpu().autodiff();
    let probe = tensor(&normal(4, 128), [2, 4, 4, 4], &device);
    for tracked in 0..3 {
        let mut x = tensor(&x, [2, 4, 4, 4], &device);
        let mut weight = tensor(&weight, [36, 4], &device);
        let mut bias = tensor(&bias, [4], &device);
        match tracked {
            0 => x = x.require_grad(),
            1 => weight = weight.require_grad(),
            _ => bias = bias.require_grad(),
        }
        let gradients =
            (conv(x.clone(), weight.clone(), bias.clone(), 3, 1) * probe.clone()).sum().backward();
        let found = [
            x.grad(&gradients).map(values),
            weight.grad(&gradients).map(values),
            bias.grad(&gradients).map(values),
        ];
        for (i, found) in found.into_iter().enumerate() {
            assert_eq!(
                found,
                (i == tracked).then(|| all[i + 1].clone()),
                "{} with {tracked} tracked",
                PARTS[i + 1]
            );
        }
    }
}

fn operations_do_not_depend_on_the_number_of_threads() {
    // Many images, and few of so many channels that the work on a band is divided.
    let cases = [(21, [9, 9], [8, 12]), (3, [8, 8], [96, 128])].map(|(batch, size, channels)| Case {
        batch,
        size,
        channels,
        kernel: 3,
        stride: 1,
    });
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let convolved = || cases.each_ref().map(|case| case.run(&cpu(), conv));
        pool.install(|| (convolved(), run_norm([21, 9, 9, 8], 2, &cpu(), group_norm_silu)))
    };
    assert!(with_threads(1) == with_threads(3), "one thread and three give different bits");
}

/// Inputs that are views of other memory: transposed, sliced, repeated.
fn operations_take_views() {
    let device = cpu();
    let big = tensor(&normal(1, 2 * 6 * 8 * 10), [2, 6, 8, 10], &device);
    let view = || big.clone().slice([0..2, 1..6, 2..7, 3..7]).swap_dims(1, 2);
    let copy = || tensor(&values(view()), view().dims(), &device);
    let weight = tensor(&normal(2, 4 * 36), [4, 36], &device).swap_dims(0, 1);
    let weight_copy = tensor(&values(weight.clone()), [36, 4], &device);
    let bias = tensor(&normal(3, 1), [1], &device).expand([4]);
    let bias_copy = tensor(&values(bias.clone()), [4], &device);
    let found = conv(view(), weight, bias.clone(), 3, 2);
    assert_eq!(values(found), values(conv(copy(), weight_copy, bias_copy.clone(), 3, 2)));
    let found = group_norm_silu(view(), bias.clone(), bias, 2);
    assert_eq!(values(found), values(group_norm_silu(copy(), bias_copy.clone(), bias_copy, 2)));

    // In tiles, where filters are remembered: two that are parts of the same memory.
    let x = tensor(&normal(4, 8 * 8 * 8), [1, 8, 8, 8], &device);
    let bias = tensor(&normal(5, 8), [8], &device);
    let both = tensor(&normal(6, 2 * 72 * 8), [2 * 72, 8], &device);
    let filters = [0, 72].map(|row| both.clone().slice([row..row + 72, 0..8]));
    let found = filters.clone().map(|weight| values(conv(x.clone(), weight, bias.clone(), 3, 1)));
    let copies = filters.map(|weight| tensor(&values(weight), [72, 8], &device));
    let expected = copies.map(|weight| values(conv(x.clone(), weight, bias.clone(), 3, 1)));
    assert_eq!(found, expected);
    assert_ne!(found[0], found[1]);
}

/// A model's filters are transformed once; one that changes, in place or not, is another filter.
fn a_convolution_follows_its_weights() {
    let device = cpu();
    let x = tensor(&normal(1, 8 * 8 * 8), [1, 8, 8, 8], &device);
    let mut weight = tensor(&normal(2, 72 * 8), [72, 8], &device);
    let bias = tensor(&normal(3, 8), [8], &device);
    for step in 0..3 {
        for _ in 0..2 {
            let [found, plain] = [conv as Convolution, conv_plain]
                .map(|f| values(f(x.clone(), weight.clone(), bias.clone(), 3, 1)));
            let error = relative_error(&found, &plain);
            assert!(error < BOUND, "step {step}: off by {error:e}");
        }
        weight = weight * 0.5 + 0.1;
    }
}

fn convolution_on_the_gpu_equals_the_cpu() {
    let mut worst = [0.0_f64; 4];
    for (batch, size, channels, kernel, stride) in [
        (1, [1, 1], [1, 1], 3, 1),
        (2, [5, 7], [3, 4], 3, 1),
        (2, [5, 7], [3, 4], 3, 2),
        (3, [8, 8], [16, 32], 3, 1),
        (3, [8, 8], [16, 8], 1, 1),
        (1, [27, 31], [4, 6], 3, 2),
        (2, [6, 4], [8, 12], 1, 2),
        (40, [9, 1], [64, 96], 3, 1),
        (1, [4, 5], [6, 8], 5, 1),
    ] {
        let case = Case { batch, size, channels, kernel, stride };
        let (on_cpu, on_gpu) = (case.run(&cpu(), conv), case.run(&gpu(), conv));
        for (i, part) in PARTS.iter().enumerate() {
            let error = relative_error(&on_gpu[i], &on_cpu[i]);
            assert!(error < BOUND_GPU, "{case:?}: {part} is off by {error:e}");
            worst[i] = worst[i].max(error);
        }
    }
    figure(format_args!("convolution, GPU against CPU: {}", brief(&worst)));
}
