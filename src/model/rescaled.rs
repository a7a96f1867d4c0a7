use burn::tensor::Tensor;

use super::{Denoiser, ScoreModel};
use crate::images::DataRange;
use crate::ops::each;

/// A denoiser of images between other values than it was made for: images and noise are taken to its own units, and its
/// result back.
struct Rescaled {
    inner: Box<dyn Denoiser>,
    own: DataRange,
    range: DataRange,
}

impl Denoiser for Rescaled {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let Self { inner, own, range } = self;
        let scale = (own.high - own.low) / (range.high - range.low);
        let denoised = inner.denoise((x - range.low) * scale + own.low, &each(sigma, |sigma| scale * sigma));
        (denoised - own.low) / scale + range.low
    }

    fn evaluations(&self) -> usize {
        self.inner.evaluations()
    }
}

impl ScoreModel {
    /// What this model knows of images, in the units and on the diffusion of `other`: a denoiser depends on the noise alone,
    /// whatever diffusion has brought it.
    pub fn on_the_terms_of(self, other: &Self) -> Self {
        let Self { sde, range, data_mean, .. } = *other;
        let own = self.range;
        let rescaled = Self { sde, range, data_mean, ..self };
        match own == range {
            true => rescaled,
            false => rescaled.map_denoiser(|inner| Box::new(Rescaled { inner, own, range })),
        }
    }
}
