//! Gradients of a network's weights against central differences along them.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use scorefield::network::Network;

use crate::support::tensor;

/// The largest error of the gradients of the sum of `products`, of one weight in `step`, against differences along them; and
/// how many were compared. Those of no length are not: a bias before a normalisation has none, up to rounding.
pub fn against_differences<'a>(
    name: &str,
    network: &Network,
    gradients: impl Iterator<Item = Option<&'a Vec<f32>>>,
    step: usize,
    products: impl Fn(&Network) -> Vec<f64>,
) -> (f64, usize) {
    let size = length(products(network).into_iter());
    let (mut worst, mut tried) = (0.0_f64, 0);
    for (which, gradient) in gradients.enumerate().step_by(step) {
        let Some(gradient) = gradient else { continue };
        let length = length(gradient.iter().map(|g| f64::from(*g)));
        if length < 1e-3 * size {
            continue;
        }
        tried += 1;
        let direction: Vec<f32> = gradient.iter().map(|g| (f64::from(*g) / length) as f32).collect();
        let sum = |step: f64| products(&moved(network, which, &direction, step)).iter().sum::<f64>();
        let errors = [1e-3, 3e-4, 1e-4].map(|change| {
            let h = (change * size / length).min(0.1);
            ((sum(h) - sum(-h)) / (2.0 * h) / length - 1.0).abs()
        });
        let error = errors.into_iter().fold(f64::MAX, f64::min);
        worst = worst.max(error);
        assert!(error < 2e-2, "{name}, weight {which}: {errors:?} of {length}");
    }
    (worst, tried)
}

/// The network with one of its weights moved along `direction`.
fn moved(network: &Network, which: usize, direction: &[f32], step: f64) -> Network {
    struct Move<'a> {
        left: Option<usize>,
        direction: &'a [f32],
        step: f64,
    }
    impl ModuleMapper for Move<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let mine = self.left == Some(0);
            self.left = self.left.and_then(|left| left.checked_sub(1));
            if !mine {
                return param;
            }
            param.map(|weight| {
                let by: Vec<f32> =
                    self.direction.iter().map(|d| (f64::from(*d) * self.step) as f32).collect();
                let by = tensor(&by, weight.dims(), &weight.device());
                weight + by
            })
        }
    }
    network.clone().map(&mut Move { left: Some(which), direction, step })
}

pub fn length(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.map(|v| v * v).sum::<f64>().sqrt()
}
