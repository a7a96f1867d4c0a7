use burn::tensor::Tensor;

use super::Step;
use crate::flow::Probe;
use crate::model::Preconditioned;
use crate::ops::{Dual, dot, each, scale};

/// What the integral of `½|score|² + trace(J)` is estimated by, along one vector `v` of covariance one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// `½(v·score)² + v·Jv`: the scores of random slices of the density.
    Projected,
    /// `½|score|² + v·Jv`: the first term without chance, so with less variance.
    Whole,
}

/// The score of the data with noise `sigma`, the point at which it is matched, and what the network is told.
///
/// At a level of zero the data are taken as they are, and the network is told the least level of its diffusion.
pub struct Point<'a> {
    model: &'a Preconditioned,
    step: &'a Step<'a>,
    x: Tensor<4>,
    told: Vec<f64>,
}

impl<'a> Point<'a> {
    /// The images of `step` with noise of the levels `sigma`, one for all or one each.
    pub fn new(model: &'a Preconditioned, step: &'a Step<'a>, sigma: &[f64]) -> Self {
        let least = model.sde.sigma(model.sde.sampling_eps());
        let x = match sigma {
            [0.0] => step.x0.clone(),
            _ => step.x0.clone() + scale(step.noise(), sigma),
        };
        Self { model, step, x, told: each(sigma, |sigma| sigma.max(least)) }
    }

    /// The score, and its Jacobian times `v`.
    fn score(&self, v: Tensor<4>) -> Dual {
        let masks = self.step.masks();
        let x = Dual { value: self.x.clone(), tangent: v };
        let denoised = self.model.forward_dual(x.clone(), &self.told, self.step.context(&masks));
        let precision = each(&self.told, |sigma| sigma.powi(-2));
        Dual::combine(&[(denoised, &precision), (x, &each(&precision, |p| -p))])
    }

    /// The estimate of each image by `projections` vectors, per dimension, `[b, 1, 1, 1]`.
    pub fn sliced(&self, slice: Slice, probe: Probe, projections: usize) -> Tensor<4> {
        let along = |k| {
            let v = self.step.probe(k, probe);
            let Dual { value: score, tangent } = self.score(v.clone());
            let square = match slice {
                Slice::Projected => dot(v.clone(), score).powi_scalar(2),
                Slice::Whole => dot(score.clone(), score),
            };
            square * 0.5 + dot(v, tangent)
        };
        let estimates = (0..projections).map(along).reduce(|sum, estimate| sum + estimate);
        estimates.expect("a projection at least") / (projections * self.dim()) as f64
    }

    /// The same exactly, the trace being the sum over all axes.
    pub fn exact(&self) -> Tensor<4> {
        let dims @ [_, c, h, w] = self.x.dims();
        let axis = |i| {
            let unit: Vec<f32> = (0..c * h * w).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
            let e = Tensor::<1>::from_floats(unit.as_slice(), &self.x.device().without_autodiff());
            let e = Tensor::from_inner(e.reshape([1, c, h, w]).expand(dims));
            let Dual { value: score, tangent } = self.score(e.clone());
            // Each axis has its part of |score|² as well.
            dot(e.clone(), tangent) + dot(e, score).powi_scalar(2) * 0.5
        };
        let axes = (0..self.dim()).map(axis).reduce(|sum, axis| sum + axis);
        axes.expect("a dimension at least") / self.dim() as f64
    }

    /// Values of an image.
    pub fn dim(&self) -> usize {
        self.x.dims()[1..].iter().product()
    }
}

/// `[b, 1, 1, 1]` as `[b]`.
pub fn row(x: Tensor<4>) -> Tensor<1> {
    let [b, ..] = x.dims();
    x.reshape([b])
}
