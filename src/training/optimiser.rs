//! Adam with gradient clipping by global norm, and the moving average of the weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;

use crate::ops::{self, AdamStep};

/// Adam's state: both moments of every weight's gradient, each in a module of its own.
#[derive(Debug, Clone)]
pub struct Adam<M> {
    /// Moving averages of the gradients and of their squares.
    pub moments: [M; 2],
}

impl<M: Module> Adam<M> {
    /// The state before the first step of training `module`.
    pub fn new(module: &M) -> Self {
        let zeros = module.valid().map(&mut Zero);
        Self { moments: [zeros.clone(), zeros] }
    }

    /// Does one step on `module` and returns the squared global norm of the gradient before clipping, `[1]`, still
    /// on the device.
    pub fn step(&mut self, module: &mut M, gradients: GradientsParams, step: AdamStep) -> Tensor<1> {
        let mut squares = Squares { gradients: &gradients, total: None };
        module.visit(&mut squares);
        let norm_sq = squares.total.unwrap_or_else(|| Tensor::zeros([1], &Default::default()));
        let moments = self.moments.each_ref().map(collect);
        let new_moments = [TensorContainer::new(), TensorContainer::new()];
        let mut update = Update { gradients, moments, new_moments, norm_sq: &norm_sq, step };
        take(module, |module| module.map(&mut update));
        for (moment, new) in self.moments.iter_mut().zip(update.new_moments) {
            take(moment, |moment| moment.map(&mut Replace(new)));
        }
        norm_sq
    }
}

/// Replaces `*value` by `f` of it, for functions that take and return ownership.
fn take<M: Module>(value: &mut M, f: impl FnOnce(M) -> M) {
    *value = f(value.clone());
}

struct Zero;

impl ModuleMapper for Zero {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| weight.zeros_like())
    }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    total: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let total = self.total.take().unwrap_or_else(|| Tensor::zeros([1], &gradient.device()));
            self.total = Some(ops::add_squares(total, flat(gradient)));
        }
    }
}

/// All values in one row.
fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let len: usize = x.dims().iter().product();
    x.reshape([len])
}

struct Update<'a> {
    gradients: GradientsParams,
    moments: [TensorContainer<ParamId>; 2],
    new_moments: [TensorContainer<ParamId>; 2],
    norm_sq: &'a Tensor<1>,
    step: AdamStep,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        let moments = self.moments.each_mut().map(|moments| moments.remove::<Tensor<D>>(&id));
        let (Some(gradient), [Some(first), Some(second)]) = (self.gradients.remove::<D>(id), moments) else {
            return param;
        };
        param.map(|weight| {
            let dims = weight.dims();
            let moments = [flat(first), flat(second)];
            let [weight, new @ ..] =
                ops::adam(flat(weight.inner()), flat(gradient), moments, self.norm_sq, self.step);
            for (moments, new) in self.new_moments.iter_mut().zip(new) {
                moments.register::<Tensor<D>>(id, new.reshape(dims));
            }
            Tensor::from_inner(weight.reshape(dims)).require_grad()
        })
    }
}

struct Replace(TensorContainer<ParamId>);

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.remove::<Tensor<D>>(&param.id) {
            Some(new) => param.map(|_| new),
            None => param,
        }
    }
}

/// Moves `average` towards `module`: `rate·average + (1 - rate)·module`, weight by weight.
///
/// `average` is a clone of `module` off the tape, so that both hold the same parameter ids.
pub fn update_average<M: Module>(average: &mut M, module: &M, rate: f64) {
    let mut blend = Blend { current: collect(module), rate };
    take(average, |average| average.map(&mut blend));
}

/// The weights of a module, off the tape.
fn collect<M: Module>(module: &M) -> TensorContainer<ParamId> {
    let mut collect = Collect(TensorContainer::new());
    module.visit(&mut collect);
    collect.0
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
        let Some(current) = self.current.remove::<Tensor<D>>(&param.id) else {
            return param;
        };
        param.map(|average| {
            let dims = average.dims();
            let row = |x: Tensor<D>| flat(x).unsqueeze::<4>();
            ops::combine(&[(row(average), &[self.rate]), (row(current), &[1.0 - self.rate])]).reshape(dims)
        })
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

    /// The gradient of each column of `W` is `x`, that of `b` is one: norm² = 2·(1 + 4 + 4) + 2 = 20. The first moment
    /// after one step is a tenth of the clipped gradient.
    #[test]
    fn clipping_scales_all_gradients_by_the_global_norm() {
        let norm = 20.0_f32.sqrt();
        for clip in [1e-3, 0.5, 4.0, 4.5, 1e6] {
            let (mut layer, gradients) = layer_and_gradients([1.0, -2.0, 2.0]);
            let before = all(&layer, Some(&gradients));
            let mut adam = Adam::new(&layer);
            let norm_sq = adam.step(&mut layer, gradients, AdamStep { rate: 0.1, step: 1, clip });
            assert_eq!(norm_sq.into_data().try_to_vec::<f32>().unwrap(), [20.0]);
            let factor = (clip as f32 / norm).min(1.0);
            for (moment, gradient) in all(&adam.moments[0], None).iter().zip(&before) {
                let expected = 0.1 * gradient * factor;
                assert!((moment - expected).abs() < 1e-6 * expected.abs(), "{clip}: {moment}");
            }
        }
        let (mut layer, gradients) = layer_and_gradients([f32::NAN, 0.0, 0.0]);
        let step = AdamStep { rate: 0.1, step: 1, clip: 1.0 };
        let norm_sq = Adam::new(&layer).step(&mut layer, gradients, step);
        assert!(norm_sq.into_data().try_to_vec::<f32>().unwrap()[0].is_nan(), "a NaN is reported");
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
            let mut moved = average.clone();
            update_average(&mut moved, &module, rate);
            for ((found, old), new) in all(&moved, None).iter().zip(&old).zip(&new) {
                let expected = rate * f64::from(*old) + (1.0 - rate) * f64::from(*new);
                assert!((f64::from(*found) - expected).abs() < 1e-6);
            }
        }
        let mut moved = average;
        update_average(&mut moved, &module, 0.0);
        assert_eq!(all(&moved, None), new);
    }

    /// Adam's first step is `-rate·sign(gradient)`, whatever the gradient's size (bias correction), and a
    /// constant gradient repeats it.
    #[test]
    fn adam_corrects_its_bias() {
        for x in [[1.0, -2.0, 2.0], [1e-3, -5e-3, 1e-2]] {
            let (mut layer, gradients) = layer_and_gradients(x);
            let signs: Vec<f32> = all(&layer, Some(&gradients)).into_iter().map(f32::signum).collect();
            let mut adam = Adam::new(&layer);
            for step in 1..=3 {
                let before = all(&layer, None);
                let device = Device::flex().autodiff();
                let input = Tensor::<1>::from_floats(x, &device).reshape([1, ROWS]);
                let gradients = GradientsParams::from_grads(layer.forward(input).sum().backward(), &layer);
                adam.step(&mut layer, gradients, AdamStep { rate: 0.01, step, clip: 1e6 });
                for ((after, before), sign) in all(&layer, None).iter().zip(&before).zip(&signs) {
                    assert!((after - before + 0.01 * sign).abs() < 1e-6, "{after} after {before}");
                }
            }
        }
    }
}
