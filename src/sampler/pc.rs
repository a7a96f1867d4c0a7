use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Chain, Method, OptionInfo, Run, SamplerInfo};
use crate::{Result, schedule};

/// Predictor-corrector sampling (Song et al. 2021, algorithms 2 to 5).
///
/// Each of `n_steps` steps is a reverse-diffusion predictor followed by `n_corrector` Langevin
/// corrector steps whose size makes the ratio of the norms of drift and noise `corrector_snr`, for
/// each sample by itself (the reference code takes the batch's mean, so that neighbours change a
/// picture; see `corrector_step` for what that takes in few dimensions). Ends with a denoising step
/// (Tweedie). Costs `n_steps·(1 + n_corrector) + 1` NFE, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PredictorCorrector {
    /// Steps from noise to data, uniform in time.
    pub n_steps: usize,
    /// Corrector steps after each predictor step; 0 is the predictor alone.
    pub n_corrector: usize,
    /// Target ratio of the corrector's drift to its noise.
    pub corrector_snr: f64,
}

impl Default for PredictorCorrector {
    fn default() -> Self {
        Self { n_steps: 100, n_corrector: 1, corrector_snr: 0.2 }
    }
}

impl Method for PredictorCorrector {
    const INFO: SamplerInfo = SamplerInfo {
        name: "pc",
        title: "Predictor-corrector",
        help: "Reverse diffusion, each step corrected by Langevin dynamics (Score-SDE, 2021).",
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
        ],
    };

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let model = chain.model;
        let ts = schedule::uniform(1.0, chain.sde().sampling_eps(), self.n_steps + 1);
        let mut x = chain.prior();
        for (i, pair) in ts.windows(2).enumerate() {
            let (t_cur, t_next) = (pair[0], pair[1]);
            // The forward transition from t_next to t_cur: x_cur = a·x_next + b·z.
            let ((mean_cur, std_cur), (mean_next, std_next)) =
                (chain.sde().marginal_prob(t_cur), chain.sde().marginal_prob(t_next));
            let a = mean_cur / mean_next;
            let b_sq = std_cur * std_cur - a * a * std_next * std_next;
            let score = model.score(x.clone(), &[t_cur]);
            x = x * (2.0 - a) + score * b_sq + chain.noise() * b_sq.sqrt();

            for _ in 0..self.n_corrector {
                let score = model.score(x.clone(), &[t_next]);
                let z = chain.noise();
                let root = corrector_step(&score, std_next) * (self.corrector_snr * a);
                let epsilon = root.clone() * root.clone() * 2.0;
                x = x + score * epsilon + z * root * 2.0;
            }
            run.step(model, [i + 1, self.n_steps], &x, mean_next, std_next / mean_next).await?;
        }
        Ok(model.denoised(x, &[ts[self.n_steps]]))
    }
}

/// Values of pure noise that are added, in thought, to a score before its norm is taken.
const PRIOR_VALUES: f64 = 100.0;

/// `|z|/|score|` of each sample, `[n, 1, 1, 1]`: the corrector's step is
/// `epsilon = 2·alpha·(corrector_snr·|z|/|score|)²`, `alpha = a²` (1 for VE, 1 - beta for VP).
///
/// Langevin dynamics whose step depends on its own state and noise has another equilibrium than the
/// density: with the plain norms of a sample it is `p·|score|²`, too wide by the factor `1 + 2/d` in `d`
/// dimensions, with steps without bound where the score vanishes. So `|z|²` is its expectation `d`, and
/// the norm of the score is taken as if it had [`PRIOR_VALUES`] more values of pure noise, of size
/// `1/std`: nothing to an image, and in two dimensions what leaves the right density.
fn corrector_step(score: &Tensor<4>, std: f64) -> Tensor<4> {
    let [n, c, h, w] = score.dims();
    let d = c * h * w;
    let score = score.clone().reshape([n, d]);
    let size = (score.clone() * score).sum_dim(1) + PRIOR_VALUES / (std * std);
    (size / (d as f64 + PRIOR_VALUES)).sqrt().recip().reshape([n, 1, 1, 1])
}
