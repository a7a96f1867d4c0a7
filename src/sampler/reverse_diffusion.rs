use burn::tensor::Tensor;

use super::predictor::single_step;
use super::{Chain, Order};
use crate::ops::sum;

single_step! {
    /// The reverse-time SDE, discretised as the forward one is (Song et al. 2021, equation 46 and algorithms 2
    /// and 3).
    ///
    /// If the forward chain goes from `t_next` to `t_cur` by `x_cur = a·x_next + b·z`
    /// ([`Sde::transition`](crate::sde::Sde::transition)), one step back is
    /// `x ← (2 - a)·x + b²·score + b·z`. Weak order 1. Costs `n_steps` NFE, one more with the last denoising,
    /// counted.
    ReverseDiffusion, step,
    n_steps: 200,
    name: "reverse_diffusion",
    title: "Reverse diffusion",
    help: "The reverse-time SDE, discretised as its forward process (Score-SDE, 2021).",
    order: Order::Weak(1),
    floor_nfe: 200,
    bias: (501, 0.04),
}

pub(super) fn step(chain: &mut Chain<'_>, x: Tensor<4>, t_cur: f64, t_next: f64) -> Tensor<4> {
    let (a, b_sq) = chain.sde().transition(t_next, t_cur);
    let score = chain.model.score(x.clone(), &[t_cur]);
    sum([(2.0 - a, x), (b_sq, score), (b_sq.sqrt(), chain.noise())])
}
