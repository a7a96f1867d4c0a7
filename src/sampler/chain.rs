//! What every sampler walks with: a model and an endless supply of addressed noise.

use burn::tensor::Tensor;

use crate::model::ScoreModel;
use crate::ops;
use crate::rng::Noise;
use crate::sde::Sde;

/// A batch of samples on their way from noise to data.
#[derive(Debug)]
pub struct Chain<'a> {
    /// The model that guides them.
    pub model: &'a ScoreModel,
    noise: Noise,
    n: usize,
    draw: u32,
}

impl<'a> Chain<'a> {
    /// `n` samples of the noise's seed. Draw 0 is the prior; steps use the draws after it.
    pub fn new(model: &'a ScoreModel, noise: Noise, n: usize) -> Self {
        Self { model, noise, n, draw: 0 }
    }

    /// Fresh standard normals for every value of every sample.
    pub fn noise(&mut self) -> Tensor<4> {
        let [c, h, w] = self.model.shape;
        let z = ops::noise::normal(&self.noise, self.draw, self.n, c * h * w, self.model.device());
        self.draw += 1;
        z.reshape([self.n, c, h, w])
    }

    /// A draw from the prior, the state at `t = 1`.
    pub fn prior(&mut self) -> Tensor<4> {
        let z = self.noise();
        self.model.prior(z)
    }

    /// The diffusion.
    pub fn sde(&self) -> &dyn Sde {
        &*self.model.sde
    }
}
