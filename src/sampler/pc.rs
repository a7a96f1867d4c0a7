use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::ancestral::Variance;
use super::options::Choice;
use super::predictor::{LastStep, descend};
use super::{
    Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo, ancestral, euler_maruyama, reverse_diffusion,
};
use crate::model::Learned;
use crate::ops::{StepSize, langevin, sum};
use crate::{Error, Result};

/// Predictor-corrector sampling (Song et al. 2021, algorithms 1 to 5).
///
/// Each of `n_steps` steps is a predictor step to the next time, followed there by `n_corrector` Langevin
/// steps `x ← x + epsilon·score + sqrt(2·epsilon)·z`. The corrector `langevin` makes the ratio of the norms
/// of drift and noise `corrector_snr`, for each sample by itself (the reference code takes the batch's mean,
/// so that neighbours change a picture; see `corrector_step` for what that takes in few dimensions);
/// `ald` takes `epsilon = 2·alpha·(corrector_snr·std)²`, annealed Langevin dynamics. Ends with a denoising
/// step (Tweedie) unless told otherwise. With `p = 0` for no predictor, else 1, `c = 0` for no corrector, else
/// `n_corrector`, costs `n_steps·(p + c) + 1` NFE, one less without the last denoising, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PredictorCorrector {
    /// Steps from noise to data, on the diffusion's own grid.
    pub n_steps: usize,
    /// Corrector steps after each predictor step; 0 is the predictor alone.
    pub n_corrector: usize,
    /// Target ratio of the corrector's drift to its noise.
    pub corrector_snr: f64,
    /// What leads from one time to the next.
    pub predictor: Predictor,
    /// What then brings the state nearer to the density of that time.
    pub corrector: Corrector,
    /// What becomes of the last noise.
    pub last_step: LastStep,
}

/// What leads from one time to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predictor {
    /// As [`ReverseDiffusion`](super::ReverseDiffusion).
    ReverseDiffusion,
    /// As [`EulerMaruyama`](super::EulerMaruyama).
    EulerMaruyama,
    /// As [`Ancestral`](super::Ancestral), with the posterior's variance.
    Ancestral,
    /// The image stays, on the next time's scale `mean_coeff`: the corrector alone follows the falling noise, as in NCSN.
    None,
}

/// What brings a state nearer to the density of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corrector {
    /// Langevin steps whose size follows the norm of the score (Song et al. 2021, algorithms 4 and 5).
    Langevin,
    /// Langevin steps whose size follows the noise, annealed Langevin dynamics: for VE and
    /// `corrector_snr = sqrt(step_size/2)` NCSN's own.
    Ald,
    /// None.
    None,
}

impl Default for PredictorCorrector {
    fn default() -> Self {
        Self {
            n_steps: 100,
            n_corrector: 1,
            corrector_snr: 0.2,
            predictor: Predictor::ReverseDiffusion,
            corrector: Corrector::Langevin,
            last_step: LastStep::Denoise,
        }
    }
}

impl Method for PredictorCorrector {
    const INFO: SamplerInfo = SamplerInfo {
        name: "pc",
        title: "Predictor-corrector",
        help: "A step of the reverse-time SDE, each corrected by Langevin dynamics (Score-SDE, 2021).",
        needs: Learned::Score,
        options: &[
            OptionInfo::integer("n_steps", "Steps", "Predictor steps from noise to data.", 2, 4000),
            OptionInfo::integer(
                "n_corrector",
                "Corrector steps",
                "Langevin steps after each predictor step.",
                0,
                20,
            ),
            OptionInfo::real(
                "corrector_snr",
                "Corrector signal-to-noise",
                "How large a corrector step is: the ratio of its drift to its noise.",
                0.001,
                1.0,
                0.01,
            ),
            OptionInfo::choice(
                "predictor",
                "Predictor",
                "What leads from one noise level to the next.",
                &[
                    Choice { name: "reverse_diffusion", title: "Reverse diffusion" },
                    Choice { name: "euler_maruyama", title: "Euler-Maruyama" },
                    Choice { name: "ancestral", title: "Ancestral" },
                    Choice { name: "none", title: "None" },
                ],
            ),
            OptionInfo::choice(
                "corrector",
                "Corrector",
                "What sets the size of the Langevin steps.",
                &[
                    Choice { name: "langevin", title: "Langevin, by the score" },
                    Choice { name: "ald", title: "Annealed Langevin, by the noise" },
                    Choice { name: "none", title: "None" },
                ],
            ),
            LastStep::OPTION,
        ],
    };

    fn evaluations(&self) -> Option<usize> {
        Some(self.n_steps * self.evaluations_each() + self.last_step.evaluations())
    }

    fn within(self, nfe: usize) -> Option<Self> {
        let steps = nfe.checked_sub(self.last_step.evaluations())?;
        Some(Self { n_steps: steps.checked_div(self.evaluations_each())?, ..self })
    }

    fn check(&self) -> Result<()> {
        match self.predictor == Predictor::None && self.corrections() == 0 {
            false => Ok(()),
            true => Err(Error::config(
                "pc",
                "without predictor and corrector would leave the noise as it is",
                "choose a predictor, or a corrector with n_corrector of 1 or more",
            )),
        }
    }

    /// The corrector's step depends on the state, which widens the density by up to 2 % in two dimensions. Without a
    /// predictor the corrector alone has to follow the noise, which takes many more steps.
    fn claims() -> Vec<Claim<Self>> {
        let mut claims = Vec::new();
        for predictor in [Predictor::ReverseDiffusion, Predictor::EulerMaruyama, Predictor::Ancestral] {
            for corrector in [Corrector::Langevin, Corrector::Ald, Corrector::None] {
                let method = Self { predictor, corrector, ..Self::default() };
                claims.push(Claim {
                    method,
                    order: if corrector == Corrector::None { Order::Weak(1) } else { Order::None },
                    floor_nfe: 200,
                    bias: (501, 0.08),
                    sigma: 0.0,
                });
            }
        }
        for corrector in [Corrector::Langevin, Corrector::Ald] {
            let method =
                Self { predictor: Predictor::None, corrector, corrector_snr: 0.4, ..Self::default() };
            claims.push(Claim {
                method,
                order: Order::None,
                floor_nfe: 4000,
                bias: (2000, 0.05),
                sigma: 0.0,
            });
        }
        claims
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let step = |chain: &mut Chain<'_>, x: Tensor<4>, t_cur: f64, t_next: f64| {
            let x = self.predict(chain, x, t_cur, t_next);
            (0..self.corrections()).fold(x, |x, _| self.correct(chain, x, t_cur, t_next))
        };
        descend(chain, run, self.n_steps, self.last_step, step).await
    }
}

impl PredictorCorrector {
    /// Evaluations of a predictor step and its corrector steps.
    fn evaluations_each(&self) -> usize {
        usize::from(self.predictor != Predictor::None) + self.corrections()
    }

    /// Corrector steps after each predictor step.
    fn corrections(&self) -> usize {
        if self.corrector == Corrector::None { 0 } else { self.n_corrector }
    }

    fn predict(&self, chain: &mut Chain<'_>, x: Tensor<4>, t_cur: f64, t_next: f64) -> Tensor<4> {
        match self.predictor {
            Predictor::ReverseDiffusion => reverse_diffusion::step(chain, x, t_cur, t_next),
            Predictor::EulerMaruyama => euler_maruyama::step(chain, x, t_cur, t_next),
            Predictor::Ancestral => ancestral::step(chain, x, t_cur, t_next, Variance::BetaTilde),
            Predictor::None => {
                let [mean_cur, mean_next] = [t_cur, t_next].map(|t| chain.sde().marginal_prob(t).0);
                x * (mean_next / mean_cur)
            }
        }
    }

    /// One Langevin step at `t_next`; `alpha = a²` is 1 for VE and DDPM's `1 - beta` for VP.
    fn correct(&self, chain: &mut Chain<'_>, x: Tensor<4>, t_cur: f64, t_next: f64) -> Tensor<4> {
        let (a, _) = chain.sde().transition(t_next, t_cur);
        let (_, std_next) = chain.sde().marginal_prob(t_next);
        let score = chain.model.score(x.clone(), &[t_next]);
        let z = chain.noise();
        match self.corrector {
            Corrector::Langevin => {
                let prior = (PRIOR_VALUES, PRIOR_VALUES / (std_next * std_next));
                langevin(x, score, z, StepSize { factor: self.corrector_snr * a, prior })
            }
            Corrector::Ald => {
                let root = self.corrector_snr * a * std_next;
                sum([(1.0, x), (2.0 * root * root, score), (2.0 * root, z)])
            }
            Corrector::None => x,
        }
    }
}

/// Values of pure noise that are added, in thought, to a score before its norm is taken.
///
/// The corrector's step is `epsilon = 2·alpha·(corrector_snr·|z|/|score|)²`, `alpha = a²` (1 for VE, 1 - beta for
/// VP). Langevin dynamics whose step depends on its own state and noise has another equilibrium than the
/// density: with the plain norms of a sample it is `p·|score|²`, too wide by the factor `1 + 2/d` in `d`
/// dimensions, with steps without bound where the score vanishes. So `|z|²` is its expectation `d`, and
/// the norm of the score is taken as if it had so many more values of pure noise, of size `1/std`: nothing to an
/// image, and in two dimensions what leaves the right density.
const PRIOR_VALUES: f64 = 100.0;
