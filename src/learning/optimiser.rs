//! Adam with gradient clipping by global norm, and the moving average of the weights, on all weights of a module in one
//! row: what is done to them takes a dispatch or two on a GPU, where hundreds would be most of a training step.

use std::ops::Range;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::ops::{self, AdamStep};

/// Where in a row each weight of a module lies.
#[derive(Debug, Clone)]
pub struct Layout {
    places: Vec<Place>,
    len: usize,
    in_matrices: Tensor<1, Bool>,
    device: Device,
}

/// Where one of them lies, and its shape if it is a matrix that a layer multiplies by.
#[derive(Debug, Clone)]
struct Place {
    id: ParamId,
    range: Range<usize>,
    matrix: Option<[usize; 2]>,
}

/// Weights begin at multiples of this many values, 256 bytes: a GPU can bind them where they are.
const ALIGNED: usize = 64;

impl Layout {
    /// The places of the weights of `module`, one after another, and the device of its weights without autodiff.
    pub fn of<M: Module>(module: &M, device: &Device) -> Self {
        #[derive(Default)]
        struct Places {
            places: Vec<Place>,
            len: usize,
            /// The names of the modules around, the field's own last.
            path: Vec<String>,
        }
        impl ModuleVisitor for Places {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.path.push(name.into());
            }

            fn exit_module(&mut self, _: &str, _: &str) {
                self.path.pop();
            }

            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let dims = param.val().dims();
                let range = self.len..self.len + dims.iter().product::<usize>();
                // Tables, of which an image reads one row, have other names.
                let multiplies = self.path.last().is_some_and(|name| name == "weight");
                let matrix = <[usize; 2]>::try_from(dims.as_slice()).ok().filter(|_| multiplies);
                self.len = range.end.next_multiple_of(ALIGNED);
                self.places.push(Place { id: param.id, range, matrix });
            }
        }
        let mut places = Places::default();
        module.visit(&mut places);
        let Places { places, len, .. } = places;
        let mut in_matrices = vec![false; len];
        for place in places.iter().filter(|place| place.matrix.is_some()) {
            in_matrices[place.range.clone()].fill(true);
        }
        let in_matrices = Tensor::from_data(TensorData::new(in_matrices, [len]), device);
        Self { places, len, in_matrices, device: device.clone() }
    }

    /// The matrices that layers multiply by: whose they are, where they lie, and their shapes.
    pub(super) fn matrices(&self) -> impl Iterator<Item = (ParamId, &Range<usize>, [usize; 2])> {
        self.places.iter().filter_map(|place| Some((place.id, &place.range, place.matrix?)))
    }

    /// Whether a value of the row is in one of them.
    pub(super) fn in_matrices(&self) -> Tensor<1, Bool> {
        self.in_matrices.clone()
    }

    /// A row of what `part` has for each weight, zero where it has nothing.
    pub(super) fn row_of(&self, mut part: impl FnMut(ParamId) -> Option<Tensor<1>>) -> Tensor<1> {
        self.gather(self.places.iter().map(|place| part(place.id)))
    }

    /// The weights of `module`, off the tape.
    pub fn row<M: Module>(&self, module: &M) -> Tensor<1> {
        struct Weights(Vec<Tensor<1>>);
        impl ModuleVisitor for Weights {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push(flat(param.val().without_autodiff()));
            }
        }
        let mut weights = Weights(vec![]);
        module.visit(&mut weights);
        self.gather(weights.0.into_iter().map(Some))
    }

    /// The gradients of the weights of `module`, zero where there is none.
    pub fn gradients<M: Module>(&self, module: &M, gradients: &GradientsParams) -> Tensor<1> {
        struct All<'a>(&'a GradientsParams, Vec<Option<Tensor<1>>>);
        impl ModuleVisitor for All<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.push(self.0.get::<D>(param.id).map(flat));
            }
        }
        let mut all = All(gradients, vec![]);
        module.visit(&mut all);
        self.gather(all.1.into_iter())
    }

    fn gather(&self, parts: impl Iterator<Item = Option<Tensor<1>>>) -> Tensor<1> {
        let placed =
            self.places.iter().zip(parts).filter_map(|(place, part)| Some((place.range.start, part?)));
        ops::gather(&placed.collect::<Vec<_>>(), self.len, &self.device)
    }

    /// `module` with the values of `row` as its weights; those that learn are on the tape.
    pub fn fill<M: Module>(&self, module: &M, row: &Tensor<1>, learns: bool) -> M {
        struct Fill<'a> {
            places: std::slice::Iter<'a, Place>,
            row: &'a Tensor<1>,
            learns: bool,
        }
        impl ModuleMapper for Fill<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let Place { id, range, .. } = self.places.next().expect("a place for every weight");
                debug_assert_eq!(*id, param.id);
                param.map(|old| {
                    let dims = old.dims();
                    let part = self.row.clone().narrow(0, range.start, range.len()).reshape(dims);
                    if self.learns { Tensor::from_inner(part).require_grad() } else { part }
                })
            }
        }
        module.clone().map(&mut Fill { places: self.places.iter(), row, learns })
    }
}

/// All values in one row.
fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let len: usize = x.dims().iter().product();
    x.reshape([len])
}

/// Adam's state: moving averages of the gradients and of their squares, a row each.
#[derive(Debug, Clone)]
pub struct Adam {
    /// The two.
    pub moments: [Tensor<1>; 2],
}

impl Adam {
    /// The state before the first step on a row like `weights`.
    pub fn new(weights: &Tensor<1>) -> Self {
        Self { moments: [weights.zeros_like(), weights.zeros_like()] }
    }

    /// Does one step on `weights` and returns the squared global norm of the gradient before clipping, `[1]`, still
    /// on the device.
    pub fn step(&mut self, weights: &mut Tensor<1>, gradients: Tensor<1>, step: AdamStep) -> Tensor<1> {
        let norm_sq = ops::sum_of_squares(gradients.clone());
        ops::adam(weights, gradients, &mut self.moments, &norm_sq, step);
        norm_sq
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::layers::{Init, Linear};
    use crate::ops::{ADAM_EPSILON, move_average};

    const ROWS: usize = 3;

    /// A layer, its layout and weights, and the gradients of `sum(x·W + b)` for `x` of one row.
    fn layer_and_gradients(x: [f32; ROWS]) -> (Linear, Layout, Tensor<1>, Tensor<1>) {
        let device = Device::flex().autodiff();
        let layer = Linear::new(ROWS, 2, &mut Init::new(1, &device));
        let layout = Layout::of(&layer, &Device::flex());
        let x = Tensor::<1>::from_floats(x, &device).reshape([1, ROWS]);
        let gradients = GradientsParams::from_grads(layer.forward(x).sum().backward(), &layer);
        let (weights, gradients) = (layout.row(&layer), layout.gradients(&layer, &gradients));
        (layer, layout, weights, gradients)
    }

    fn values(row: &Tensor<1>) -> Vec<f32> {
        row.to_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_row_has_every_weight_at_its_place() {
        let (layer, layout, weights, gradients) = layer_and_gradients([1.0, -2.0, 2.0]);
        assert_eq!(values(&gradients)[..2 * ROWS], [1.0, 1.0, -2.0, -2.0, 2.0, 2.0]);
        assert_eq!(values(&gradients)[ALIGNED..ALIGNED + 2], [1.0, 1.0]);
        assert_eq!(values(&gradients).iter().map(|g| g * g).sum::<f32>(), 20.0);
        let twice = layout.fill(&layer, &(weights.clone() * 2.0), true);
        assert_eq!(values(&layout.row(&twice)), values(&(weights * 2.0)));
        let x = Tensor::<2>::from_floats([[0.5, 1.0, -1.0]], &Device::flex().autodiff());
        let [once, doubled] = [&layer, &twice].map(|layer| layer.forward(x.clone()).inner().into_data());
        let [once, doubled] = [once, doubled].map(|data| data.try_to_vec::<f32>().unwrap());
        assert_eq!(once.iter().map(|y| 2.0 * y).collect::<Vec<_>>(), doubled);
        let tape = GradientsParams::from_grads(twice.forward(x).sum().backward(), &twice);
        assert_eq!(values(&layout.gradients(&twice, &tape))[..2], [0.5, 0.5], "it learns");
    }

    /// The gradient of each column of `W` is `x`, that of `b` is one: norm² = 2·(1 + 4 + 4) + 2 = 20. The first moment
    /// after one step is a tenth of the clipped gradient.
    #[test]
    fn clipping_scales_all_gradients_by_the_global_norm() {
        let norm = 20.0_f32.sqrt();
        for clip in [1e-3, 0.5, 4.0, 4.5, 1e6] {
            let (_, _, mut weights, gradients) = layer_and_gradients([1.0, -2.0, 2.0]);
            let mut adam = Adam::new(&weights);
            let norm_sq = adam.step(
                &mut weights,
                gradients.clone(),
                AdamStep { rate: 0.1, step: 1, clip, epsilon: ADAM_EPSILON, rectified: false },
            );
            assert_eq!(values(&norm_sq), [20.0]);
            let factor = (clip as f32 / norm).min(1.0);
            for (moment, gradient) in values(&adam.moments[0]).iter().zip(values(&gradients)) {
                let expected = 0.1 * gradient * factor;
                assert!((moment - expected).abs() <= 1e-6 * expected.abs(), "{clip}: {moment}");
            }
        }
        let (_, _, mut weights, gradients) = layer_and_gradients([f32::NAN, 0.0, 0.0]);
        let step = AdamStep { rate: 0.1, step: 1, clip: 1.0, epsilon: ADAM_EPSILON, rectified: false };
        let norm_sq = Adam::new(&weights).step(&mut weights, gradients, step);
        assert!(values(&norm_sq)[0].is_nan(), "a NaN is reported");
    }

    /// RAdam as Liu et al. (2020, algorithm 2) have it, in f64: of a thousand steps on one weight.
    #[test]
    fn radam_rectifies_its_early_steps() {
        let device = Device::flex();
        let gradient = |t: usize| (0.3 * t as f64).sin() + 0.5;
        let (beta1, beta2, rate, mut weights) =
            (0.9_f64, 0.999_f64, 1e-3, Tensor::<1>::from_floats([1.0], &device));
        let (mut adam, mut expected, mut m, mut v) = (Adam::new(&weights), 1.0, 0.0, 0.0);
        let rho_inf = 2.0 / (1.0 - beta2) - 1.0;
        for step in 1..=1000 {
            let g = gradient(step);
            let row = Tensor::<1>::from_floats([g as f32], &device);
            let clip = 1e6;
            adam.step(
                &mut weights,
                row,
                AdamStep { rate, step, clip, epsilon: ADAM_EPSILON, rectified: true },
            );
            (m, v) = (beta1 * m + (1.0 - beta1) * g, beta2 * v + (1.0 - beta2) * g * g);
            let t = step as i32;
            let corrected = m / (1.0 - beta1.powi(t));
            let rho = rho_inf - 2.0 * f64::from(t) * beta2.powi(t) / (1.0 - beta2.powi(t));
            expected -= rate
                * if rho > 5.0 {
                    let root = ((1.0 - beta2.powi(t)) / v).sqrt();
                    let r = ((rho - 4.0) * (rho - 2.0) * rho_inf / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho))
                        .sqrt();
                    corrected * r * root
                } else {
                    corrected
                };
            let found = f64::from(values(&weights)[0]);
            assert!((found - expected).abs() < 1e-5, "step {step}: {found}, {expected}");
        }
    }

    #[test]
    fn the_average_is_rate_of_itself_and_the_rest_of_the_weights() {
        let (_, _, new, _) = layer_and_gradients([1.0; ROWS]);
        let old = new.clone() + 1.0;
        for rate in [0.0, 0.1, 0.9, 0.999] {
            let mut moved = old.clone();
            move_average(&mut moved, &new, rate);
            for ((found, old), new) in values(&moved).iter().zip(values(&old)).zip(values(&new)) {
                let expected = rate * f64::from(old) + (1.0 - rate) * f64::from(new);
                assert!((f64::from(*found) - expected).abs() < 1e-6);
            }
        }
        let mut moved = old;
        move_average(&mut moved, &new, 0.0);
        assert_eq!(values(&moved), values(&new));
    }

    /// Adam's first step is `-rate·sign(gradient)`, whatever the gradient's size (bias correction), and a
    /// constant gradient repeats it.
    #[test]
    fn adam_corrects_its_bias() {
        for x in [[1.0, -2.0, 2.0], [1e-3, -5e-3, 1e-2]] {
            let (_, _, mut weights, gradients) = layer_and_gradients(x);
            let signs = values(&gradients).into_iter().map(|g| if g == 0.0 { 0.0 } else { g.signum() });
            let signs: Vec<f32> = signs.collect();
            let mut adam = Adam::new(&weights);
            for step in 1..=3 {
                let before = values(&weights);
                adam.step(
                    &mut weights,
                    gradients.clone(),
                    AdamStep { rate: 0.01, step, clip: 1e6, epsilon: ADAM_EPSILON, rectified: false },
                );
                for ((after, before), sign) in values(&weights).iter().zip(&before).zip(&signs) {
                    assert!((after - before + 0.01 * sign).abs() < 1e-6, "{after} after {before}");
                }
            }
        }
    }
}
