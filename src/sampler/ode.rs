use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Chain, Claim, Method, OptionInfo, Order, Run, SamplerInfo};
use crate::Result;
use crate::flow::Tolerance;
use crate::model::Learned;

/// The probability-flow ODE solved adaptively (Song et al. 2021, section 4.3).
///
/// Dormand and Prince's 5(4) pair with error control for every sample by itself: each has its own
/// time and step, so that a sample does not depend on its neighbours. Order 5. NFE is counted: six
/// for every attempted step, shared by the batch. Ends with a denoising step (Tweedie).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProbabilityFlow(
    /// How accurately it is solved.
    pub Tolerance,
);

impl Method for ProbabilityFlow {
    const INFO: SamplerInfo = SamplerInfo {
        name: "ode",
        title: "Probability-flow ODE",
        help: "A deterministic path from noise to image, as accurate as asked (Score-SDE, 2021).",
        needs: Learned::Score,
        options: &[
            OptionInfo::real(
                "rtol",
                "Relative tolerance",
                "Smaller is more accurate and slower.",
                1e-6,
                0.5,
                1e-3,
            ),
            OptionInfo::real(
                "atol",
                "Absolute tolerance",
                "Smaller is more accurate and slower.",
                1e-6,
                0.5,
                1e-3,
            ),
            OptionInfo::integer("max_steps", "Most steps", "Gives up after so many.", 1, 100_000),
        ],
    };

    fn evaluations(&self) -> Option<usize> {
        None
    }

    /// The cost grows like the fifth root of the accuracy. That a tolerance of 1e-3 costs about 70
    /// evaluations was measured with the shipped models (docs/GALLERY.md); below 32 the longest step sets the
    /// cost, not the tolerance.
    fn within(self, nfe: usize) -> Option<Self> {
        let tolerance = (1e-3 * (70.0 / nfe as f64).powi(5)).max(1e-6);
        // Two digits are enough for people.
        let tolerance = format!("{tolerance:.1e}").parse().ok()?;
        (nfe >= 32).then_some(Self(Tolerance { rtol: tolerance, atol: tolerance, ..self.0 }))
    }

    fn claims() -> Vec<Claim<Self>> {
        let method = Self::default();
        vec![Claim { method, order: Order::Adaptive, floor_nfe: 70, bias: (111, 0.01), sigma: 0.0 }]
    }

    async fn walk(&self, chain: &mut Chain<'_>, run: &mut Run<'_>) -> Result<Tensor<4>> {
        let prior = chain.prior();
        self.0.denoised(chain.model, prior, run).await
    }
}
