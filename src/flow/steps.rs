use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::check_temperature;
use crate::model::ScoreModel;
use crate::ops::{noise, sum};
use crate::rng::Noise;
use crate::run::{self, Run, Solution};
use crate::schedule::uniform;
use crate::{Error, Result};

/// How often a consistency function is evaluated, and at which noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Steps {
    /// Evaluations of the consistency function.
    pub n_steps: usize,
    /// The noise that the last of several steps takes out, in data units; 0 leaves it to the grid, which then ends as far
    /// above `epsilon` as its levels are apart.
    pub last_sigma: f64,
    /// Exponent of the grid of noise levels.
    pub rho: f64,
}

impl Default for Steps {
    fn default() -> Self {
        Self { n_steps: 1, last_sigma: 0.0, rho: 7.0 }
    }
}

impl Steps {
    /// The images, in the model's units, that the states `prior` at `t = 1` lead to. Costs `n_steps` NFE.
    ///
    /// Each step after the first one asks for fresh standard normals.
    ///
    /// # Errors
    /// Those of the run.
    pub async fn denoised(
        &self,
        model: &ScoreModel,
        prior: Tensor<4>,
        mut noise: impl FnMut() -> Tensor<4>,
        run: &mut Run<'_>,
    ) -> Result<Tensor<4>> {
        let [most, least] = [1.0, model.sde.sampling_eps()].map(|t| model.sde.sigma(t));
        let mut x = model.denoised(prior, &[1.0]);
        run.step(model, [1, self.n_steps], &x, 1.0, 0.0).await?;
        for (step, sigma) in self.levels(most, least).into_iter().enumerate().skip(1) {
            let t = model.sde.time_of_sigma(sigma);
            let (mean, _) = model.sde.marginal_prob(t);
            let noised = sum([(mean, x), (mean * (sigma * sigma - least * least).sqrt(), noise())]);
            x = model.denoised(noised, &[t]);
            run.step(model, [step + 1, self.n_steps], &x, 1.0, 0.0).await?;
        }
        Ok(x)
    }

    /// The images of latent codes, as [`codes`](super::codes) are, one after the other; `temperature` multiplies them.
    ///
    /// Steps after the first one give all images the same noise, that of the first sample of `noise`: images of codes near
    /// each other then differ by their codes alone.
    ///
    /// # Errors
    /// [`Error::Config`] for a temperature outside 0.1 to 2 or codes of another size, [`Error::NonFinite`] if the images are
    /// not finite; those of the run.
    pub async fn images(
        &self,
        model: &ScoreModel,
        codes: &[f32],
        temperature: f64,
        seed: &Noise,
        run: &mut Run<'_>,
    ) -> Result<Solution> {
        check_temperature(temperature)?;
        if codes.is_empty() || !codes.len().is_multiple_of(model.dim()) {
            let problem = format!("have {} values", codes.len());
            return Err(Error::config("the codes", problem, format!("give {} for each image", model.dim())));
        }
        let before = model.nfe();
        run.first_nfe = before;
        let prior = model.upload(codes) * temperature + model.prior_mean();
        let [n, c, h, w] = prior.dims();
        let mut draw = 0;
        let fresh = || {
            draw += 1;
            noise::normal(seed, draw, 1, c * h * w, model.device()).reshape([1, c, h, w]).repeat_dim(0, n)
        };
        let x = self.denoised(model, prior, fresh, run).await?;
        Ok(Solution { images: run::finished(model, x, run.last_step).await?, nfe: model.nfe() - before })
    }

    /// The noise levels of the steps, from `most` down.
    fn levels(&self, most: f64, least: f64) -> Vec<f64> {
        let root = |sigma: f64| sigma.powf(1.0 / self.rho);
        let roots = match self.last_sigma {
            0.0 => uniform(root(most), root(least), self.n_steps + 1),
            last => uniform(root(most), root(last.clamp(least, most)), self.n_steps),
        };
        roots.into_iter().take(self.n_steps).map(|root| root.powf(self.rho)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_fall_from_the_prior_to_what_is_asked() {
        let levels =
            |n_steps, last_sigma| Steps { n_steps, last_sigma, ..Steps::default() }.levels(80.0, 0.002);
        assert_eq!(levels(1, 0.0).len(), 1);
        assert!((levels(1, 0.5)[0] - 80.0).abs() < 1e-9);
        let two = levels(2, 0.8);
        assert!((two[0] - 80.0).abs() < 1e-9 && (two[1] - 0.8).abs() < 1e-9, "{two:?}");
        let four = levels(4, 0.0);
        assert!(four.windows(2).all(|pair| pair[0] > pair[1]) && four[3] > 0.002, "{four:?}");
    }
}
