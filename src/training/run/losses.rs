use serde::{Deserialize, Serialize};

/// The loss between two rows of the log, and over the run. A part of the checkpoint: the log of a resumed run is that of
/// the uninterrupted one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Losses {
    sum: f64,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    average: Option<f64>,
}

impl Losses {
    /// Takes in the loss of one step.
    pub fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.count += 1;
        self.average = Some(self.average.map_or(loss, |average| 0.99 * average + 0.01 * loss));
    }

    /// The mean since this was asked before, and the exponential moving average.
    pub fn row(&mut self) -> [f64; 2] {
        let mean = self.sum / self.count.max(1) as f64;
        (self.sum, self.count) = (0.0, 0);
        [mean, self.average.unwrap_or(mean)]
    }
}
