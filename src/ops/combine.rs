//! Weighted sums of images: what a sampler's update, a stage of an ODE step and a network's scaling are.

use burn::tensor::{Device, Tensor};

use super::launch::wgsl::{self, Kernel, Launch, params, shader};

/// The most terms that one kernel adds: with the factors and the result, the eight buffers that every
/// WebGPU device has.
const MOST_TERMS: usize = 6;
const THREADS: usize = 64;

/// `sum of factor·x` over the terms, each with one factor for all samples or one per sample.
///
/// All tensors are `[n, c, h, w]`. One pass over memory where the device has a kernel, for up to six terms.
pub fn combine(terms: &[(Tensor<4>, &[f64])]) -> Tensor<4> {
    run(terms, None).unwrap_or_else(|| combine_plain(terms))
}

/// Puts the sum into the memory of `y` and returns it again; `None` on a device without a kernel.
#[cfg(feature = "gpu")]
pub(super) fn combine_into(y: Tensor<4>, terms: &[(Tensor<4>, &[f64])]) -> Option<Tensor<4>> {
    run(terms, Some(y))
}

/// `sum of factor·x` over the terms: [`combine`] with one factor each for all samples.
pub fn sum<const N: usize>(terms: [(f64, Tensor<4>); N]) -> Tensor<4> {
    let factors = terms.each_ref().map(|(factor, _)| [*factor]);
    let mut factors = factors.iter();
    let next = |(_, x)| (x, factors.next().expect("a factor for each term").as_slice());
    combine(&terms.map(next))
}

/// [`combine`] in burn's stock operations: the oracle of the tests.
pub fn combine_plain(terms: &[(Tensor<4>, &[f64])]) -> Tensor<4> {
    let scaled = terms.iter().map(|(x, factors)| scale(x.clone(), factors));
    scaled.reduce(|sum, term| sum + term).expect("at least one term")
}

/// `x` times one factor for the whole batch or one per sample.
pub fn scale(x: Tensor<4>, factors: &[f64]) -> Tensor<4> {
    match factors {
        [factor] => x * *factor,
        _ => {
            let device = x.device();
            x * per_sample(factors, &device)
        }
    }
}

/// The inner product of each sample, `[n, 1, 1, 1]`; `b` may be one for all.
pub fn dot(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = a.dims();
    (a * b).reshape([n, c * h * w]).sum_dim(1).reshape([n, 1, 1, 1])
}

/// One value per sample, as `[n, 1, 1, 1]`.
pub fn per_sample(values: &[f64], device: &Device) -> Tensor<4> {
    let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([values.len(), 1, 1, 1])
}

params! {
    struct Params {
        rows: u32,
        len: u32,
        pad0: u32,
        pad1: u32,
        a: [f32; 8],
    }
}

fn kernel(terms: usize, per_row: bool) -> Kernel {
    const SWITCHES: [&str; MOST_TERMS] = ["X0", "X1", "X2", "X3", "X4", "X5"];
    SWITCHES[..terms].iter().fold(shader!("combine").switch("ROWS", per_row), |k, name| k.switch(name, true))
}

fn run(terms: &[(Tensor<4>, &[f64])], y: Option<Tensor<4>>) -> Option<Tensor<4>> {
    const NAMES: [&str; MOST_TERMS] = ["x0", "x1", "x2", "x3", "x4", "x5"];
    let (first, _) = terms.first()?;
    if terms.len() > MOST_TERMS {
        return None;
    }
    let (device, shape) = (first.device(), first.dims());
    let [rows, c, h, w] = shape;
    let per_row = terms.iter().any(|(_, factors)| factors.len() > 1);
    let mut launch = Launch::new(&device, kernel(terms.len(), per_row), THREADS)?;
    for (name, (x, _)) in NAMES.into_iter().zip(terms) {
        launch = launch.input(name, x.clone());
    }
    let mut params = Params { rows: rows as u32, len: (c * h * w) as u32, pad0: 0, pad1: 0, a: [0.0; 8] };
    if per_row {
        let factors =
            terms.iter().flat_map(|(_, factors)| (0..rows).map(|row| factors[row % factors.len()] as f32));
        let factors: Vec<f32> = factors.collect();
        launch = launch.input("factors", Tensor::<1>::from_floats(factors.as_slice(), &device));
    } else {
        for (a, (_, factors)) in params.a.iter_mut().zip(terms) {
            *a = factors[0] as f32;
        }
    }
    let (launch, y) = match y {
        Some(y) => (launch.onto("y", y.clone()), y),
        None => launch.output("y", shape),
    };
    launch.run(&params, wgsl::rows((rows * c * h * w).div_ceil(THREADS)));
    Some(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        for terms in 1..=MOST_TERMS {
            for per_row in [false, true] {
                wgsl::check::<Params>(kernel(terms, per_row), THREADS);
            }
        }
    }
}
