use burn::tensor::Tensor;

use super::predictor::single_step;
use super::{Chain, Order};
use crate::ops::sum;

single_step! {
    /// Euler and Maruyama's rule on the reverse-time SDE (Song et al. 2021, equation 6 and appendix E).
    ///
    /// `x ← x + (f·x - g²·score)·(t_next - t_cur) + g·sqrt(t_cur - t_next)·z`, everything at `t_cur`, on the
    /// true distances of the grid (the reference code steps by `1/N` on a grid of another spacing). Weak
    /// order 1. Costs `n_steps` NFE, one more with the last denoising, counted.
    EulerMaruyama, step,
    n_steps: 200,
    name: "euler_maruyama",
    title: "Euler-Maruyama",
    help: "The reverse-time SDE by its simplest rule: each step removes a little noise and adds less (Score-SDE, 2021).",
    order: Order::Weak(1),
    floor_nfe: 200,
    bias: (301, 0.02),
}

pub(super) fn step(chain: &mut Chain<'_>, x: Tensor<4>, t_cur: f64, t_next: f64) -> Tensor<4> {
    let drift = chain.sde().reverse_drift(t_cur);
    let dt = t_next - t_cur;
    let std = chain.sde().diffusion(t_cur) * (-dt).sqrt();
    let score = chain.model.score(x.clone(), &[t_cur]);
    sum([(1.0 + drift.x * dt, x), (drift.score * dt, score), (std, chain.noise())])
}
