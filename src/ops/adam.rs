//! The optimiser's step as one pass over memory: burn's takes twenty, which is most of the dispatches of a training
//! step on a GPU.

use burn::tensor::Tensor;

use super::launch::wgsl::{self, Launch, params, shader};
use super::{host, is_flex};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;

/// What the papers add to the root of the second moment, but where they say otherwise.
pub const EPSILON: f64 = 1e-8;

/// The numbers of one step of Adam.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// Learning rate.
    pub rate: f64,
    /// Number of this step, from 1.
    pub step: usize,
    /// The largest global norm of the gradient that is not scaled down.
    pub clip: f64,
    /// Added to the root of the second moment, [`EPSILON`] where nothing is said.
    pub epsilon: f64,
    /// Whether it is RAdam's (Liu et al. 2020, algorithm 2): early on, where few gradients make the second moment
    /// uncertain, it takes a smaller step, and the first five without that moment.
    pub rectified: bool,
}

/// Adam (Kingma and Ba 2015, algorithm 1), or RAdam, with the papers' constants: betas 0.9 and 0.999.
///
/// The gradient is first scaled by `min(1, clip/norm)`; `norm_sq` `[1]` is the squared norm of all gradients
/// together, which stays on the device. Changes weights and both moments, `[n]` each, without autodiff.
pub fn adam(
    weight: &mut Tensor<1>,
    gradient: Tensor<1>,
    moments: &mut [Tensor<1>; 2],
    norm_sq: &Tensor<1>,
    step: AdamStep,
) {
    let device = weight.device();
    if is_flex(&device) {
        return adam_on_host(weight, &gradient, moments, norm_sq, step);
    }
    let old = (weight.clone(), moments.clone());
    let [new, first, second] = match Launch::new(&device, shader!("adam"), THREADS) {
        Some(launch) => run(launch, [old.0, gradient], old.1, norm_sq, step),
        None => adam_plain(old.0, gradient, old.1, norm_sq, step),
    };
    (*weight, *moments) = (new, [first, second]);
}

/// [`adam`] in burn's stock operations: the oracle of the tests.
pub fn adam_plain(
    weight: Tensor<1>,
    gradient: Tensor<1>,
    [first, second]: [Tensor<1>; 2],
    norm_sq: &Tensor<1>,
    step: AdamStep,
) -> [Tensor<1>; 3] {
    let gradient = gradient / (norm_sq.clone().sqrt() / step.clip).clamp_min(1.0);
    let first = first * BETA1 + gradient.clone() * (1.0 - BETA1);
    let second = second * BETA2 + gradient.clone() * gradient * (1.0 - BETA2);
    let Factors { rate, correction1, correction2, epsilon } = step.factors();
    let slope = first.clone() * correction1 / ((second.clone() * correction2).sqrt() + epsilon);
    [weight - slope * rate, first, second]
}

/// `sum of x²`, `[1]`: over all gradients, the squared norm that [`adam`] takes.
pub fn sum_of_squares(x: Tensor<1>) -> Tensor<1> {
    match Launch::new(&x.device(), shader!("squares"), MANY_THREADS) {
        Some(launch) => {
            let [len] = x.dims();
            let groups = len.div_ceil(16 * MANY_THREADS).clamp(1, MANY_THREADS);
            let params = SquaresParams { len: len as u32 };
            launch.input("x", x).run_for("sums", [groups], &params, [groups, 1, 1]).sum()
        }
        None => (x.clone() * x).sum(),
    }
}

/// `weight - rate·correction1·first/(sqrt(correction2·second) + epsilon)` is the new weight.
struct Factors {
    rate: f64,
    correction1: f64,
    correction2: f64,
    epsilon: f64,
}

impl AdamStep {
    fn factors(&self) -> Factors {
        let (t, Self { rate, epsilon, .. }) = (self.step as f64, *self);
        // What makes up for moments that start at zero.
        let [correction1, correction2] = [BETA1, BETA2].map(|beta| 1.0 / (1.0 - beta.powf(t)));
        if !self.rectified {
            return Factors { rate, correction1, correction2, epsilon };
        }
        let most = 2.0 / (1.0 - BETA2) - 1.0;
        let rho = most - 2.0 * t * BETA2.powf(t) * correction2;
        match rho > 5.0 {
            true => {
                let certain = |rho: f64| (rho - 4.0) * (rho - 2.0) / rho;
                Factors {
                    rate: rate * (certain(rho) / certain(most)).sqrt(),
                    correction1,
                    correction2,
                    epsilon,
                }
            }
            false => Factors { rate, correction1, correction2: 0.0, epsilon: 1.0 },
        }
    }
}

const THREADS: usize = 64;
const MANY_THREADS: usize = 256;

params! {
    struct Params {
        len: u32,
        rate: f32,
        beta1: f32,
        beta2: f32,
        rest1: f32,
        rest2: f32,
        correction1: f32,
        correction2: f32,
        epsilon: f32,
        clip: f32,
    }
}

params! {
    struct SquaresParams {
        len: u32,
    }
}

impl Params {
    fn new(len: usize, step: AdamStep) -> Self {
        let Factors { rate, correction1, correction2, epsilon } = step.factors();
        Self {
            len: len as u32,
            rate: rate as f32,
            beta1: BETA1 as f32,
            beta2: BETA2 as f32,
            rest1: (1.0 - BETA1) as f32,
            rest2: (1.0 - BETA2) as f32,
            correction1: correction1 as f32,
            correction2: correction2 as f32,
            epsilon: epsilon as f32,
            clip: step.clip as f32,
        }
    }
}

fn run(
    launch: Launch,
    [weight, gradient]: [Tensor<1>; 2],
    [first, second]: [Tensor<1>; 2],
    norm_sq: &Tensor<1>,
    step: AdamStep,
) -> [Tensor<1>; 3] {
    let len = weight.dims()[0];
    let launch = launch.input("weight", weight).input("gradient", gradient);
    let launch = launch.input("first", first).input("second", second).input("norm_sq", norm_sq.clone());
    let (launch, weight) = launch.output("new_weight", [len]);
    let (launch, first) = launch.output("new_first", [len]);
    let (launch, second) = launch.output("new_second", [len]);
    launch.run(&Params::new(len, step), wgsl::rows(len.div_ceil(THREADS)));
    [weight, first, second]
}

fn adam_on_host(
    weight: &mut Tensor<1>,
    gradient: &Tensor<1>,
    [first, second]: &mut [Tensor<1>; 2],
    norm_sq: &Tensor<1>,
    step: AdamStep,
) {
    /// Values that a thread takes at once.
    const CHUNK: usize = 1 << 13;
    let [gradient, norm_sq] = [gradient, norm_sq].map(host::values);
    let gradient = gradient.slice();
    let Params { rate, beta1, beta2, rest1, rest2, correction1, correction2, epsilon, clip, .. } =
        Params::new(gradient.len(), step);
    // Not `max`, which would hide a norm that is not a number.
    let norm = norm_sq.slice()[0].sqrt() / clip;
    let divisor = if norm < 1.0 { 1.0 } else { norm };
    let update = |i: usize, [w, m, v]: [&mut [f32]; 3]| {
        let gradient = &gradient[i * CHUNK..][..w.len()];
        host::vectorised(
            #[inline(always)]
            || {
                for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(gradient) {
                    let g = g / divisor;
                    *m = beta1 * *m + rest1 * g;
                    *v = beta2 * *v + rest2 * g * g;
                    *w -= rate * correction1 * *m / ((correction2 * *v).sqrt() + epsilon);
                }
            },
        );
    };
    host::change(weight, |w| {
        host::change(first, |m| {
            host::change(second, |v| host::for_each_parts([w, m, v].map(|row| (row, CHUNK)), update));
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        wgsl::check::<Params>(shader!("adam"), THREADS);
        wgsl::check::<SquaresParams>(shader!("squares"), MANY_THREADS);
    }
}
