//! Operations of the papers' networks that look around a pixel, or over a whole channel: against their definitions in
//! `f64`, with their gradients, on both devices.

use burn::tensor::{Device, Tensor};
use scorefield::network::layers::{Conv, Init};
use scorefield::ops::{
    Filter, InstanceNorm, Pass, Pool, Resample, Taps, Then, add_rows, elu, elu_plain, instance_norm,
    interpolate, silu, silu_plain, silu_tangent, silu_tangent_plain, smooth,
};

use crate::parity::{BOUND, BOUND_GPU, differences, dot, narrow, normal, wide};
use crate::support::{brief, cpu, figure, gpu, relative_error, tensor, trials, values};

trials! {
    cpu: [
        images_are_resampled_by_their_definitions,
        resampling_equals_its_plain_twin,
        pooling_equals_its_plain_twin,
        instance_normalisation_equals_its_definition,
        elu_equals_its_definition,
        silu_and_its_tangent_have_their_gradients,
        dilated_convolutions_equal_their_definition,
        padded_convolutions_equal_their_twin,
    ],
    gpu: [
        images_are_resampled_by_their_definitions_on_the_gpu,
        resampling_equals_its_plain_twin_on_the_gpu,
        pooling_equals_its_plain_twin_on_the_gpu,
        instance_normalisation_on_the_gpu,
        elu_on_the_gpu,
        silu_on_the_gpu,
        convolutions_of_other_windows_on_the_gpu,
    ],
}

/// An image in `f64`: its height, width and channels, and its values.
type Image = ([usize; 3], Vec<f64>);

/// A pixel of the input and its weight.
type Part = ([isize; 2], f64);
/// What the pixel of this row and column is made of.
type Sum = Box<dyn Fn(usize, usize) -> Vec<Part>>;
/// `[h', w']` and what each of these pixels is made of.
type Sums = ([usize; 2], Sum);

type Operation = fn(Tensor<4>) -> Tensor<4>;

/// The sums of weighted pixels, zero beyond the image.
fn weighted(([h, w, c], x): &Image, ([out_h, out_w], sums): Sums) -> Vec<f64> {
    let inside = |[y, x]: [isize; 2]| (0..*h as isize).contains(&y) && (0..*w as isize).contains(&x);
    let mut found = Vec::new();
    for (y, x_out) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
        let sum = sums(y, x_out);
        for channel in 0..*c {
            let value = |[y, x_in]: [isize; 2]| x[(y as usize * w + x_in as usize) * c + channel];
            found
                .push(sum.iter().filter(|(at, _)| inside(*at)).map(|(at, weight)| weight * value(*at)).sum());
        }
    }
    found
}

/// The products of one side's weights and the other's.
fn both_sides(side: impl Fn(usize) -> Vec<(isize, f64)> + 'static) -> Sum {
    Box::new(move |y, x| {
        let (rows, columns) = (side(y), side(x));
        let pairs = rows.iter().flat_map(|(y, a)| columns.iter().map(move |(x, b)| ([*y, *x], a * b)));
        pairs.collect()
    })
}

const FIR: [f64; 4] = [0.125, 0.375, 0.375, 0.125];

/// What each operation makes of an image of this size.
fn definitions([h, w]: [usize; 2]) -> Vec<(&'static str, Operation, Sums)> {
    let at = |n: usize| n as isize;
    let halve_box = both_sides(move |i| vec![(at(2 * i), 0.5), (at(2 * i + 1), 0.5)]);
    let double_box = both_sides(move |i| vec![(at(i / 2), 1.0)]);
    let halve_fir = both_sides(move |i| (0..4).map(|k| (at(2 * i + k) - 1, FIR[k])).collect());
    // A zero behind every pixel, twice the filter: the pixel of place j is x[j / 2] where j is even.
    let double_fir = both_sides(move |i| {
        let taps = (0..4).map(|k| (at(i + k) - 2, 2.0 * FIR[k]));
        taps.filter(|(j, _)| j % 2 == 0).map(|(j, weight)| (j / 2, weight)).collect()
    });
    let smoothed = both_sides(move |i| (0..4).map(|k| (at(i + k) - 2, FIR[k])).collect());
    let pooled = both_sides(move |i| (0..5).map(|k| (at(i + k) - 2, 0.2)).collect());
    vec![
        ("halved", |x| Resample::Halve(Taps::Box).apply(x), ([h / 2, w / 2], halve_box)),
        ("doubled", |x| Resample::Double(Taps::Box).apply(x), ([2 * h, 2 * w], double_box)),
        ("filtered and halved", |x| Resample::Halve(Taps::Fir).apply(x), ([h / 2, w / 2], halve_fir)),
        ("doubled and filtered", |x| Resample::Double(Taps::Fir).apply(x), ([2 * h, 2 * w], double_fir)),
        ("smoothed", smooth, ([h + 1, w + 1], smoothed)),
        ("pooled", |x| Pool::Mean.apply(x), ([h, w], pooled)),
        ("interpolated", |x| interpolate(x, [9, 12]), ([9, 12], linear([h, w]))),
    ]
}

/// Corners stay corners: pixel `i` of `to` lies at `i·(from - 1)/(to - 1)`.
fn linear([h, w]: [usize; 2]) -> Sum {
    let side = |from: usize, to: usize, i: usize| {
        let place = i as f64 * (from - 1) as f64 / (to - 1) as f64;
        let (before, part) = (place.floor(), place - place.floor());
        [(before as isize, 1.0 - part), (before as isize + 1, part)]
    };
    Box::new(move |y, x| {
        let (rows, columns) = (side(h, 9, y), side(w, 12, x));
        rows.iter().flat_map(|(y, a)| columns.iter().map(move |(x, b)| ([*y, *x], a * b))).collect()
    })
}

/// The value of `f` and the gradient of its product with a random tensor.
fn run(x: &[f32], dims: [usize; 4], device: &Device, f: Operation) -> [Vec<f32>; 2] {
    let x = tensor(x, dims, &device.clone().autodiff()).require_grad();
    let y = f(x.clone());
    let probe = tensor(&normal(9, y.dims().iter().product()), y.dims(), &y.device());
    let gradients = (y.clone() * probe).sum().backward();
    [values(y.inner()), values(x.grad(&gradients).unwrap())]
}

fn check_resampling(name: &str, device: &Device, bound: f64) {
    for size @ [h, w] in [[4, 6], [2, 2], [10, 4]] {
        for (what, f, sums) in definitions(size) {
            let x = normal(7, 2 * h * w * 3);
            let [found, gradient] = run(&x, [2, h, w, 3], device, f);
            let sums = std::rc::Rc::new(sums);
            let defined = |x: &[f64]| {
                let images = x.chunks_exact(h * w * 3).map(|image| ([h, w, 3], image.to_vec()));
                let copy = || -> Sums {
                    let inner = sums.clone();
                    (sums.0, Box::new(move |y, x| (inner.1)(y, x)))
                };
                images.flat_map(|image| weighted(&image, copy())).collect::<Vec<f64>>()
            };
            let expected = narrow(&defined(&wide(&x)));
            let probe = normal(9, expected.len());
            let slopes = differences(&wide(&x), |x| dot(&defined(x), &probe));
            let errors = [relative_error(&found, &expected), relative_error(&gradient, &slopes)];
            figure(format_args!("{h}x{w} {what} on the {name}, value and gradient: {}", brief(&errors)));
            assert!(errors.iter().all(|error| *error < bound), "{h}x{w} {what}: {errors:?}");
        }
    }
}

fn images_are_resampled_by_their_definitions() {
    check_resampling("CPU", &cpu(), BOUND);
    // The largest of a window, and its gradient, which is the largest's alone.
    let [found, gradient] = run(&normal(3, 7 * 6), [1, 7, 6, 1], &cpu(), |x| Pool::Max.apply(x));
    let (x, probe) = (wide(&normal(3, 42)), normal(9, 42));
    let defined = |x: &[f64]| -> Vec<f64> {
        let window = |y: usize, column: usize| {
            let rows = y.saturating_sub(2)..(y + 3).min(7);
            let columns = column.saturating_sub(2)..(column + 3).min(6);
            rows.flat_map(|y| columns.clone().map(move |column| x[6 * y + column])).fold(f64::MIN, f64::max)
        };
        (0..42).map(|i| window(i / 6, i % 6)).collect()
    };
    assert_eq!(found, narrow(&defined(&x)));
    let slopes = differences(&x, |x| dot(&defined(x), &probe));
    let error = relative_error(&gradient, &slopes);
    assert!(error < BOUND, "off by {error:e}");
}

fn images_are_resampled_by_their_definitions_on_the_gpu() {
    check_resampling("GPU", &gpu(), BOUND_GPU);
    let pool: Operation = |x| Pool::Max.apply(x);
    let [on_cpu, on_gpu] =
        [cpu(), gpu()].map(|device| run(&normal(3, 2 * 7 * 6 * 5), [2, 7, 6, 5], &device, pool));
    assert_eq!(on_cpu[0], on_gpu[0]);
    let error = relative_error(&on_cpu[1], &on_gpu[1]);
    assert!(error < BOUND_GPU, "off by {error:e}");
}

/// More channels and pixels than a workgroup has threads.
fn check_resampling_twins(device: &Device, bound: f64) {
    let twins: [[Operation; 2]; 3] = [
        [|x| Resample::Halve(Taps::Box).apply(x), |x| Resample::Halve(Taps::Box).apply_plain(x)],
        [|x| Resample::Halve(Taps::Fir).apply(x), |x| Resample::Halve(Taps::Fir).apply_plain(x)],
        [|x| Resample::Double(Taps::Fir).apply(x), |x| Resample::Double(Taps::Fir).apply_plain(x)],
    ];
    for dims in [[1, 2, 2, 1], [3, 14, 10, 12], [2, 34, 6, 7]] {
        for (which, [own, plain]) in twins.into_iter().enumerate() {
            let x = normal(11, dims.iter().product());
            let (own, plain) = (run(&x, dims, device, own), run(&x, dims, &cpu(), plain));
            for (part, (own, plain)) in ["value", "gradient"].iter().zip(own.iter().zip(&plain)) {
                let error = relative_error(own, plain);
                assert!(error < bound, "{dims:?}, change {which}: {part} is off by {error:e}");
            }
        }
    }
}

fn resampling_equals_its_plain_twin() {
    check_resampling_twins(&cpu(), BOUND);
}

fn resampling_equals_its_plain_twin_on_the_gpu() {
    check_resampling_twins(&gpu(), BOUND_GPU);
}

fn check_pooling_twins(device: &Device, bound: f64) {
    let twins: [[Operation; 2]; 2] = [
        [|x| Pool::Mean.apply(x), |x| Pool::Mean.apply_plain(x)],
        [|x| Pool::Max.apply(x), |x| Pool::Max.apply_plain(x)],
    ];
    for dims in [[1, 1, 1, 1], [2, 2, 5, 3], [3, 14, 10, 12], [2, 4, 35, 7]] {
        for [own, plain] in twins {
            let x = normal(13, dims.iter().product());
            // A GPU has its kernel only without autodiff.
            let alone = values(own(tensor(&x, dims, device)));
            let ([y, dx], expected) = (run(&x, dims, device, own), run(&x, dims, &cpu(), plain));
            let errors = [(&alone, 0), (&y, 0), (&dx, 1)].map(|(v, i)| relative_error(v, &expected[i]));
            assert!(errors.iter().all(|error| *error < bound), "{dims:?}: {errors:?}");
        }
    }
}

fn pooling_equals_its_plain_twin() {
    check_pooling_twins(&cpu(), BOUND);
}

fn pooling_equals_its_plain_twin_on_the_gpu() {
    check_pooling_twins(&gpu(), BOUND_GPU);
}

/// InstanceNorm++ of one image, written out.
fn normalised(([h, w, c], x): &Image, rows: [&[f64]; 3]) -> Vec<f64> {
    let n = (h * w) as f64;
    let channel = |i: usize| x.iter().skip(i).step_by(*c);
    let means: Vec<f64> = (0..*c).map(|i| channel(i).sum::<f64>() / n).collect();
    let mean = means.iter().sum::<f64>() / *c as f64;
    let spread = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (*c as f64 - 1.0);
    let variances: Vec<f64> =
        (0..*c).map(|i| channel(i).map(|v| (v - means[i]).powi(2)).sum::<f64>() / n).collect();
    let [gamma, alpha, beta] = rows;
    let value = |(place, v): (usize, &f64)| {
        let i = place % c;
        let m = (means[i] - mean) / (spread + 1e-5).sqrt();
        gamma[i] * ((v - means[i]) / (variances[i] + 1e-5).sqrt() + alpha[i] * m) + beta[i]
    };
    x.iter().enumerate().map(value).collect()
}

fn check_instance_norm(name: &str, device: &Device, bound: f64) {
    for (dims @ [b, h, w, c], rows) in
        [([2, 4, 3, 5], 2), ([3, 2, 6, 4], 1), ([2, 3, 5, 12], 2), ([1, 16, 16, 8], 1)]
    {
        let x: Vec<f32> =
            normal(1, b * h * w * c).iter().enumerate().map(|(i, z)| z + (i % c) as f32).collect();
        let inputs = [x, normal(2, rows * c), normal(3, rows * c), normal(4, rows * c)];
        let (plain_device, device) = (device, device.clone().autodiff());
        let leaves = inputs.each_ref().map(|v| tensor(v, [v.len()], &device).require_grad());
        let [x, gamma, alpha, beta] = leaves.clone();
        let [gamma, alpha, beta] = [gamma, alpha, beta].map(|row| row.reshape([rows, c]));
        let y = instance_norm(x.reshape(dims), InstanceNorm { gamma, alpha, beta });
        let probe = normal(9, b * h * w * c);
        let gradients = (y.clone() * tensor(&probe, dims, &device)).sum().backward();
        let defined = |at: [&[f64]; 4]| -> Vec<f64> {
            let row = |i: usize, image: usize| &at[i][image % rows * c..][..c];
            let images = at[0].chunks_exact(h * w * c).enumerate();
            let image = |(i, x): (usize, &[f64])| {
                normalised(&([h, w, c], x.to_vec()), [row(1, i), row(2, i), row(3, i)])
            };
            images.flat_map(image).collect()
        };
        let at = inputs.each_ref().map(|v| wide(v));
        let [gamma, alpha, beta] = [1, 2, 3].map(|i| tensor(&inputs[i], [rows, c], plain_device));
        let x = tensor(&inputs[0], dims, plain_device);
        let fused = values(instance_norm(x, InstanceNorm { gamma, alpha, beta }));
        let all = at.each_ref().map(|v| v.as_slice());
        let expected = narrow(&defined(all));
        let mut errors =
            vec![relative_error(&values(y.inner()), &expected), relative_error(&fused, &expected)];
        for (i, leaf) in leaves.iter().enumerate() {
            let slopes = differences(&at[i], |moved| {
                let mut all = all;
                all[i] = moved;
                dot(&defined(all), &probe)
            });
            errors.push(relative_error(&values(leaf.grad(&gradients).unwrap()), &slopes));
        }
        figure(format_args!("instance normalisation {dims:?} on the {name}: {}", brief(&errors)));
        assert!(errors.iter().all(|error| *error < bound), "{dims:?}: {errors:?}");
    }
}

fn instance_normalisation_equals_its_definition() {
    check_instance_norm("CPU", &cpu(), BOUND);
}

fn instance_normalisation_on_the_gpu() {
    check_instance_norm("GPU", &gpu(), BOUND_GPU);
}

fn check_elu(device: &Device, bound: f64) {
    for dims in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 33, 21, 32]] {
        let x = normal(12, dims.iter().product());
        let defined = |x: &f32| if *x > 0.0 { f64::from(*x) } else { f64::from(*x).exp_m1() };
        let expected: Vec<f32> = x.iter().map(|x| defined(x) as f32).collect();
        let probe = normal(9, x.len());
        let slope =
            |(x, p): (&f32, &f32)| if *x > 0.0 { *p } else { (f64::from(*x).exp() * f64::from(*p)) as f32 };
        let slopes: Vec<f32> = x.iter().zip(&probe).map(slope).collect();
        for f in [elu, elu_plain] {
            let [found, gradient] = run(&x, dims, device, f);
            let errors = [relative_error(&found, &expected), relative_error(&gradient, &slopes)];
            assert!(errors.iter().all(|error| *error < bound), "{dims:?}: {errors:?}");
        }
    }
}

fn elu_equals_its_definition() {
    check_elu(&cpu(), BOUND);
}

fn elu_on_the_gpu() {
    check_elu(&gpu(), BOUND_GPU);
}

/// Values and all gradients of the activation, of its change along a tangent, and of the rows before it.
fn check_silu(device: &Device, bound: f64) {
    type Op = fn(Tensor<4>, Tensor<4>) -> Tensor<4>;
    /// The first pixel of the first `N` points as rows.
    fn rows<const N: usize>(x: Tensor<4>) -> Tensor<2> {
        let [_, _, _, c] = x.dims();
        x.slice([0..1, 0..N, 0..1]).reshape([N, c])
    }
    fn added<const N: usize>(x: Tensor<4>, shift: Tensor<4>) -> Tensor<4> {
        let [_, _, _, c] = x.dims();
        x + rows::<N>(shift).reshape([1, N, 1, c])
    }
    let ops: [(&str, Op, Op); 4] = [
        ("silu", |x, dx| silu(x) * dx, |x, dx| silu_plain(x) * dx),
        ("tangent", silu_tangent, silu_tangent_plain),
        ("a row each", |x, dx| add_rows(x, rows::<5>(dx)), added::<5>),
        ("one row", |x, dx| add_rows(x, rows::<1>(dx)), added::<1>),
    ];
    for dims in [[1, 5, 1, 8], [1, 5, 3, 4], [1, 5, 900, 16]] {
        let of = |seed| normal(seed, dims.iter().product());
        let [x, dx, probe] = [1, 2, 3].map(of).map(|x| tensor(&x, dims, device));
        for (name, op, plain) in ops {
            let found = [op, plain].map(|op| {
                let [x, dx] = [&x, &dx].map(|x| x.clone().autodiff().require_grad());
                let y = op(x.clone(), dx.clone());
                let gradients = (y.clone() * probe.clone()).sum().backward();
                [y.inner(), x.grad(&gradients).unwrap(), dx.grad(&gradients).unwrap()].map(values)
            });
            for (found, expected) in found[0].iter().zip(&found[1]) {
                let error = relative_error(found, expected);
                assert!(error < bound, "{name} of {dims:?}: {error}");
            }
        }
    }
}

fn silu_and_its_tangent_have_their_gradients() {
    check_silu(&cpu(), BOUND);
}

fn silu_on_the_gpu() {
    check_silu(&gpu(), BOUND_GPU);
}

/// A convolution on `device` and the weights it was drawn with.
fn conv_of(device: &Device, [c_in, c_out]: [usize; 2]) -> Conv {
    Conv::new(c_in, c_out, 3, 1, 1.0, &mut Init::new(3, device))
}

fn check_dilation(device: &Device, bound: f64) {
    for (dims @ [b, h, w, c], dilation) in
        [([2, 7, 5, 3], 2), ([1, 8, 8, 4], 4), ([1, 3, 9, 4], 3), ([1, 4, 4, 4], 1)]
    {
        let conv = conv_of(device, [c, 8]);
        let weight = wide(&values(conv.filter().weight));
        let x = normal(5, b * h * w * c);
        let found =
            values(Tensor::<4>::from(conv.forward_dilated(tensor(&x, dims, device).into(), dilation)));
        let mut expected = Vec::new();
        for place in 0..b * h * w {
            let (image, y, column) = (place / (h * w), place / w % h, place % w);
            for o in 0..8 {
                let mut sum = 0.0;
                for (ky, kx) in (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx))) {
                    let at = [(y + ky * dilation), (column + kx * dilation)];
                    let [y, column] = at.map(|place| place.wrapping_sub(dilation));
                    if y < h && column < w {
                        sum += (0..c)
                            .map(|i| {
                                f64::from(x[((image * h + y) * w + column) * c + i])
                                    * weight[((ky * 3 + kx) * c + i) * 8 + o]
                            })
                            .sum::<f64>();
                    }
                }
                expected.push(sum as f32);
            }
        }
        let error = relative_error(&found, &expected);
        assert!(error < bound, "{dims:?}, dilation {dilation}: off by {error:e}");
    }
}

fn dilated_convolutions_equal_their_definition() {
    check_dilation(&cpu(), BOUND);
}

/// Windows that do not begin half their side before their pixel, own code against burn's operations: values and gradients.
fn check_padding(device: &Device, bound: f64) {
    for (dims @ [b, h, w, c], stride, pad) in [
        ([2, 8, 6, 4], 2, 0),
        ([3, 7, 5, 3], 2, 0),
        ([1, 5, 6, 8], 1, 2),
        ([2, 4, 9, 4], 1, 0),
        ([1, 1, 1, 4], 2, 0),
    ] {
        let run = |device: &Device, pass: fn(Pass) -> Tensor<4>| {
            let device = device.clone().autodiff();
            let leaf = |seed, len: usize| tensor(&normal(seed, len), [len], &device).require_grad();
            let leaves = [leaf(1, b * h * w * c), leaf(2, 9 * c * 8), leaf(3, 8)];
            let [x, weight, bias] = leaves.clone();
            let filter = Filter { weight: weight.reshape([9 * c, 8]), bias, kernel: 3, stride, pad };
            let y = pass(Pass { x: x.reshape(dims).into(), upsample: false, filter, then: Then::Nothing });
            assert_eq!(y.dims(), [b, h.div_ceil(stride), w.div_ceil(stride), 8]);
            let probe = tensor(&normal(9, y.dims().iter().product()), y.dims(), &device);
            let gradients = (y.clone() * probe).sum().backward();
            let found = leaves.iter().map(|leaf| values(leaf.grad(&gradients).unwrap()));
            [values(y.inner())].into_iter().chain(found).collect::<Vec<_>>()
        };
        let (own, plain) = (run(device, Pass::run), run(&cpu(), Pass::run_plain));
        for ((part, own), plain) in ["y", "dx", "dweight", "dbias"].iter().zip(own).zip(plain) {
            let error = relative_error(&own, &plain);
            assert!(error < bound, "{part} of {dims:?}, stride {stride}, padding {pad}: off by {error:e}");
        }
    }
}

fn padded_convolutions_equal_their_twin() {
    check_padding(&cpu(), BOUND);
}

fn convolutions_of_other_windows_on_the_gpu() {
    check_padding(&gpu(), BOUND_GPU);
    check_dilation(&gpu(), BOUND_GPU);
}
