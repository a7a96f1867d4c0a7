//! What every sampler walks with: a model and an endless supply of addressed noise.

use burn::tensor::{Device, Tensor};

use crate::model::ScoreModel;
use crate::ops;
use crate::rng::Noise;
use crate::sde::Sde;
use crate::{Error, Result};

/// A batch of samples on their way from noise to data.
#[derive(Debug)]
pub struct Chain<'a> {
    /// The model that guides them.
    pub model: &'a ScoreModel,
    source: Source,
    n: usize,
    draw: u32,
}

/// Where noise comes from.
#[derive(Debug)]
enum Source {
    Seed(Noise),
    Given(Vec<Tensor<4>>),
}

impl<'a> Chain<'a> {
    /// `n` samples of the noise's seed. Draw 0 is the prior; steps use the draws after it.
    pub fn new(model: &'a ScoreModel, noise: Noise, n: usize) -> Self {
        Self { model, source: Source::Seed(noise), n, draw: 0 }
    }

    /// The samples of these noises `[n, c, h, w]`: of the prior, and then of the steps.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, or one has another shape than the model's and the first's.
    pub fn given(model: &'a ScoreModel, noises: Vec<Tensor<4>>) -> Result<Self> {
        let n = noises.first().map_or(0, |noise| noise.dims()[0]);
        let [c, h, w] = model.shape;
        match noises.iter().map(Tensor::dims).find(|dims| n == 0 || *dims != [n, c, h, w]) {
            None if n > 0 => Ok(Self { model, source: Source::Given(noises), n, draw: 0 }),
            found => {
                let problem = format!("has the shape {:?}", found.unwrap_or_default());
                Err(Error::config("the noise", problem, format!("give tensors of shape [n, {c}, {h}, {w}]")))
            }
        }
    }

    /// That no more noise was asked for than there is.
    pub(super) fn finish(self) -> Result<()> {
        match self.source {
            Source::Given(noises) if noises.len() < self.draw as usize => {
                let problem = format!("is given {} times", noises.len());
                Err(Error::config("the noise", problem, format!("give it {} times", self.draw)))
            }
            _ => Ok(()),
        }
    }

    /// Fresh standard normals for every value of every sample. Where given noise has come to its end they are zeros, and
    /// the run an error.
    pub fn noise(&mut self) -> Tensor<4> {
        self.fresh(ops::noise::normal)
    }

    /// Fresh numbers of this distribution, or what is given in their place.
    fn fresh(&mut self, of: impl Fn(&Noise, u32, usize, usize, &Device) -> Tensor<2>) -> Tensor<4> {
        let [c, h, w] = self.model.shape;
        let (draw, dims) = (self.draw, [self.n, c, h, w]);
        self.draw += 1;
        match &self.source {
            Source::Seed(noise) => of(noise, draw, self.n, c * h * w, self.model.device()).reshape(dims),
            Source::Given(noises) => match noises.get(draw as usize) {
                Some(noise) => noise.clone(),
                None => Tensor::zeros(dims, self.model.device()),
            },
        }
    }

    /// A draw from the prior, the state at `t = 1`.
    pub fn prior(&mut self) -> Tensor<4> {
        let z = self.noise();
        self.model.prior(z)
    }

    /// Images whose pixels are uniform in the range of the data, in the model's units: where NCSN begins (Song and Ermon
    /// 2019). `None` if the model has its own start, an image or what is known of one.
    pub fn uniform(&mut self) -> Option<Tensor<4>> {
        let range = self.model.starts_in_prior().then_some(self.model.range)?;
        Some(range.encode(self.fresh(ops::noise::uniform)))
    }

    /// The diffusion.
    pub fn sde(&self) -> &dyn Sde {
        &*self.model.sde
    }
}
