//! Adam with gradient clipping by global norm, and the moving average of the weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;

/// Adam with the papers' constants (betas 0.9 and 0.999, epsilon 1e-8).
pub fn adam() -> ModuleOptimizer {
    AdamConfig::new().with_epsilon(1e-8).init()
}

/// Scales all gradients by `min(1, limit/norm)` and returns `norm²`, their global squared norm
/// before that, still on the device.
pub fn clip_by_global_norm<M: Module>(module: &M, grads: &mut GradientsParams, limit: f64) -> Tensor<1> {
    let mut sum = SquaredSum { grads, total: None };
    module.visit(&mut sum);
    let total = sum.total.unwrap_or_else(|| Tensor::zeros([1], &Default::default()));
    let factor = (total.clone().sqrt() / limit).clamp_min(1.0).recip();
    module.visit(&mut Scale { grads, factor });
    total
}

struct SquaredSum<'a> {
    grads: &'a GradientsParams,
    total: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredSum<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let sum = (grad.clone() * grad).sum();
            self.total = Some(match self.total.take() {
                Some(total) => total + sum,
                None => sum,
            });
        }
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad * self.factor.clone().reshape([1; D]));
        }
    }
}

/// Moves `average` towards `module`: `rate·average + (1 - rate)·module`, weight by weight.
///
/// `average` is a clone of `module` off the tape, so that both hold the same parameter ids.
pub fn update_average<M: Module>(average: M, module: &M, rate: f64) -> M {
    let mut collect = Collect(TensorContainer::new());
    module.visit(&mut collect);
    average.map(&mut Blend { current: collect.0, rate })
}

struct Collect(TensorContainer<ParamId>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().inner());
    }
}

struct Blend {
    current: TensorContainer<ParamId>,
    rate: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.current.remove::<Tensor<D>>(&param.id) {
            Some(current) => param.map(|average| average * self.rate + current * (1.0 - self.rate)),
            None => param,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::layers::{Init, Linear};
    use burn::tensor::Device;

    const ROWS: usize = 3;

    /// A layer and its gradients of `sum(x·W + b)` for `x` of one row.
    fn layer_and_gradients(x: [f32; ROWS]) -> (Linear, GradientsParams) {
        let device = Device::flex().autodiff();
        let layer = Linear::new(ROWS, 2, &mut Init::new(1, &device));
        let x = Tensor::<1>::from_floats(x, &device).reshape([1, ROWS]);
        let gradients = layer.forward(x).sum().backward();
        (layer.clone(), GradientsParams::from_grads(gradients, &layer))
    }

    /// All values of a module's gradients or weights, in order.
    #[derive(Default)]
    struct All<'a>(Option<&'a GradientsParams>, Vec<f32>);

    impl ModuleVisitor for All<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = match self.0 {
                Some(gradients) => gradients.get::<D>(param.id).unwrap(),
                None => param.val(),
            };
            self.1.extend(tensor.into_data().try_to_vec::<f32>().unwrap());
        }
    }

    fn all<M: Module>(module: &M, gradients: Option<&GradientsParams>) -> Vec<f32> {
        let mut all = All(gradients, vec![]);
        module.visit(&mut all);
        all.1
    }

    /// The gradient of each column of `W` is `x`, that of `b` is one: norm² = 2·(1 + 4 + 4) + 2 = 20.
    #[test]
    fn clipping_scales_all_gradients_by_the_global_norm() {
        let norm = 20.0_f32.sqrt();
        for limit in [1e-3, 0.5, 4.0, 4.5, 1e6] {
            let (layer, mut gradients) = layer_and_gradients([1.0, -2.0, 2.0]);
            let before = all(&layer, Some(&gradients));
            let norm_sq = clip_by_global_norm(&layer, &mut gradients, limit);
            assert_eq!(norm_sq.into_data().try_to_vec::<f32>().unwrap(), [20.0]);
            let after = all(&layer, Some(&gradients));
            let factor = (limit as f32 / norm).min(1.0);
            for (a, b) in after.iter().zip(&before) {
                assert!((a - b * factor).abs() < 1e-6 * b.abs(), "{limit}: {after:?}");
            }
            let found = after.iter().map(|g| g * g).sum::<f32>().sqrt();
            assert!((found - norm.min(limit as f32)).abs() < 1e-5 * found);
            if limit > 4.48 {
                assert_eq!(after, before, "a gradient below the limit keeps its bits");
            }
        }
        let (layer, mut gradients) = layer_and_gradients([f32::NAN, 0.0, 0.0]);
        let norm_sq =
            clip_by_global_norm(&layer, &mut gradients, 1.0).into_data().try_to_vec::<f32>().unwrap();
        assert!(norm_sq[0].is_nan(), "a NaN is reported");
    }

    #[test]
    fn the_average_is_rate_of_itself_and_the_rest_of_the_module() {
        let (module, _) = layer_and_gradients([1.0; ROWS]);
        struct Shift;
        impl ModuleMapper for Shift {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|old| old + 1.0)
            }
        }
        let average = module.clone().map(&mut Shift).valid();
        let (new, old) = (all(&module.valid(), None), all(&average, None));
        for rate in [0.0, 0.1, 0.9, 0.999] {
            let found = all(&update_average(average.clone(), &module, rate), None);
            for ((found, old), new) in found.iter().zip(&old).zip(&new) {
                let expected = rate * f64::from(*old) + (1.0 - rate) * f64::from(*new);
                assert!((f64::from(*found) - expected).abs() < 1e-6);
            }
        }
        assert_eq!(all(&update_average(average, &module, 0.0), None), new);
    }

    /// Adam's first step is `-rate·sign(gradient)`, whatever the gradient's size (bias correction), and a
    /// constant gradient repeats it.
    #[test]
    fn adam_corrects_its_bias() {
        for x in [[1.0, -2.0, 2.0], [1e-3, -5e-3, 1e-2]] {
            let (mut layer, gradients) = layer_and_gradients(x);
            let signs: Vec<f32> = all(&layer, Some(&gradients)).into_iter().map(f32::signum).collect();
            let mut optimiser = adam();
            for _ in 0..3 {
                let before = all(&layer, None);
                let device = Device::flex().autodiff();
                let input = Tensor::<1>::from_floats(x, &device).reshape([1, ROWS]);
                let gradients = GradientsParams::from_grads(layer.forward(input).sum().backward(), &layer);
                layer = optimiser.step(0.01, layer, gradients);
                for ((after, before), sign) in all(&layer, None).iter().zip(&before).zip(&signs) {
                    assert!((after - before + 0.01 * sign).abs() < 1e-6, "{after} after {before}");
                }
            }
        }
    }
}
