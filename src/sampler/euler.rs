use burn::tensor::Tensor;

use super::predictor::single_step;
use super::{Chain, Order};

single_step! {
    /// Euler's rule on the probability-flow ODE in time (Song et al. 2021, equation 13 and appendix D.3).
    ///
    /// `x ← x + (f·x - g²·score/2)·(t_next - t_cur)`, everything at `t_cur`. Order 1. For EDM's diffusion this
    /// is the Euler step of Karras et al. 2022 and the same as [`Ddim`](super::Ddim); for the others DDIM is
    /// the better Euler step, since it knows the linear part. Costs `n_steps` NFE, one more with the last
    /// denoising, counted.
    Euler, step,
    n_steps: 100,
    name: "euler",
    title: "Euler ODE",
    help: "The probability-flow ODE with fixed first-order steps, the simplest deterministic sampler.",
    order: Order::Ode(1),
    floor_nfe: 500,
    bias: (501, 0.11),
}

fn step(chain: &mut Chain<'_>, x: Tensor<4>, t_cur: f64, t_next: f64) -> Tensor<4> {
    let (drift, dt) = (chain.sde().probability_flow(t_cur), t_next - t_cur);
    let score = chain.model.score(x.clone(), &[t_cur]);
    x * (1.0 + drift.x * dt) + score * (drift.score * dt)
}
