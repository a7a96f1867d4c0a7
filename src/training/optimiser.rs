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
