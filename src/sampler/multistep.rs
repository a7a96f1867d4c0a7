use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Chain, Claim, Method, OptionInfo, Run, SamplerInfo};
use crate::Result;
use crate::flow::Steps;
use crate::model::Learned;

/// Sampling with a consistency function `D`, in one step or several (Song et al. 2023, algorithm 1).
///
/// The first image is `D` of the prior's noise. Each further step gives it noise again, less than before, and takes that
/// out: `x ← D(x + sqrt(sigma² - epsilon²)·z; sigma)`, `epsilon` being the least noise level, where `D` changes nothing. On
/// a diffusion that scales its states both are scaled alike. The levels are equally spaced in `sigma^(1/rho)`, as
/// consistency models are trained (Karras et al. 2022, equation 5). Costs `n_steps` NFE, counted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Multistep(
    /// How many, and at which noise.
    pub Steps,
);

impl Method for Multistep {
    const INFO: SamplerInfo = SamplerInfo {
        name: "multistep",
        title: "Consistency steps",
        help: "One evaluation leads from noise to an image; more steps renew its details (2023).",
        needs: Learned::Consistency,
        options: &[
            OptionInfo::integer("n_steps", "Steps", "One evaluation each.", 1, 4000),
            OptionInfo::real(
                "last_sigma",
                "Last noise",
                "What the last of several steps takes out; 0 leaves it to the number of steps.",
                0.0,
                1000.0,
                0.01,
            ),
            OptionInfo::real("rho", "rho", "Larger spends more steps at low noise.", 1.0, 20.0, 0.5),
        ],
    };

    fn evaluations(&self) -> Option<usize> {
        Some(self.0.n_steps)
    }

    fn within(self, nfe: usize) -> Option<Self> {
        Some(Self(Steps { n_steps: nfe, ..self.0 }))
    }

    /// More steps correct what the function has learned badly; of a true one a single step is exact, and its tests ask so.
    fn claims() -> Vec<Claim<Self>> {
        vec![]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let (model, prior) = (chain.model, chain.prior());
        self.0.denoised(model, prior, || chain.noise(), run).await
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::Sampler;
    use super::*;
    use crate::images::DataRange;
    use crate::model::{Denoiser, ScoreModel};
    use crate::ops::{each, scale};
    use crate::rng::Noise;
    use crate::sde::AnySde;

    /// The consistency function of data `N(0, s²)`: along a path `x/sqrt(s² + sigma²)` is constant.
    struct Gaussian {
        variance: f64,
        least: f64,
    }

    impl Denoiser for Gaussian {
        fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
            let end = self.variance + self.least * self.least;
            scale(x, &each(sigma, |sigma| (end / (self.variance + sigma * sigma)).sqrt()))
        }
    }

    /// 4,096 samples of a Gaussian of variance .3, for every diffusion and number of steps: five standard errors of the
    /// variance are 3.3 %, and a prior without the data's own spread lacks at most .1 % (VE).
    #[test]
    fn any_number_of_steps_draws_a_gaussian() {
        let device = Device::flex();
        for sde in AnySde::all() {
            let least = sde.sigma(sde.sampling_eps());
            for (n_steps, last_sigma) in [(1, 0.0), (2, 0.0), (2, 0.4), (5, 0.0), (5, 0.1)] {
                let truth = Box::new(Gaussian { variance: 0.3, least });
                let model = ScoreModel::new(truth, sde, DataRange::CENTRED, [1, 1, 1], &device)
                    .having_learned(Learned::Consistency);
                let sampler =
                    Sampler::Multistep(Multistep(Steps { n_steps, last_sigma, ..Steps::default() }));
                let run = &mut Run::default();
                let solution = pollster::block_on(sampler.sample(&model, &Noise::new(1), 4096, run)).unwrap();
                assert_eq!(solution.nfe, n_steps);
                let images: Vec<f32> = solution.images.into_data().try_to_vec().unwrap();
                let variance = images.iter().map(|x| (2.0 * x - 1.0).powi(2)).sum::<f32>() / 4096.0;
                assert!((variance / 0.3 - 1.0).abs() < 0.034, "{sde:?}, {n_steps}: {variance}");
            }
        }
    }
}
