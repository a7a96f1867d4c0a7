use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::sampler::Sampler;
use crate::shards::{self, Batch, Shard};
use crate::{Error, Result};

/// All that the numbers of an evaluation depend on. Kept with them, so that only equals are put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name in the model's card.
    pub model: String,
    /// [`ModelFile::fingerprint`](crate::weights::ModelFile::fingerprint) of the model.
    pub model_sha256: String,
    /// Name in the judging classifier's card.
    pub classifier: String,
    /// Its fingerprint.
    pub classifier_sha256: String,
    /// What its classes are called, in the order of the histograms; empty if they have no names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// The data set whose test images are the reference.
    pub dataset: String,
    /// How many test images it has.
    pub test_images: usize,
    /// How many training images are judged as the yardstick.
    pub training_images: usize,
    /// Samples of each sampler.
    pub count: usize,
    /// How many are drawn together. An adaptive sampler's NFE depends on it, the samples do not.
    pub batch: usize,
    /// Seed; the samples are its first `count`.
    pub seed: u64,
    /// Each class in turn, asked for with this guidance; images of any class where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// What guides the model as a weaker version of itself; none where it goes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weaker: Option<Weaker>,
    /// Samplers with all their options.
    pub samplers: Vec<Sampler>,
    /// Test images of which bits per dimension are measured; 0 for none.
    pub likelihood: usize,
    /// Which part of the samples is drawn here.
    pub shard: Shard,
}

/// A model that guides another one; see [`autoguided`](crate::control::autoguided).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weaker {
    /// Name in its card.
    pub model: String,
    /// Its fingerprint.
    pub sha256: String,
    /// 1 is the guided model alone.
    pub weight: f64,
}

/// Images below which nothing is to be read from precision and recall: their sampling error alone is then above 0.05.
const FEW: usize = 100;

impl Settings {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than four samples, batches of nothing, no sampler, or a shard without a
    /// batch.
    pub fn validate(&self) -> Result<()> {
        if !(4..=1_000_000).contains(&self.count) {
            let problem = format!("= {} is not allowed", self.count);
            return Err(Error::config("--count", problem, "use 4 to 1000000: distances need neighbours"));
        }
        if self.batch == 0 {
            return Err(Error::config("--batch", "= 0 is not allowed", "use 1 or more"));
        }
        if self.samplers.is_empty() {
            return Err(Error::config("--samplers", "leave none to judge", "name samplers, or raise --nfe"));
        }
        self.shard.check(self.batches(self.count).len())
    }

    /// What to beware of in the results. The balls of [`precision_recall`](super::precision_recall) reach to the third
    /// neighbour: of few images they cover nearly everything, so that both are near 1 whatever was drawn.
    pub fn caution(&self) -> Option<String> {
        let n = self.count.min(self.test_images);
        let fix = format!("draw {FEW} or more, and compare them with {FEW} test images or more");
        (n < FEW).then(|| format!("With {n} images precision and recall mean nothing; {fix}."))
    }

    /// All batches of `count` samples, of all shards.
    ///
    /// # Panics
    /// If `batch` is 0.
    pub fn batches(&self, count: usize) -> impl ExactSizeIterator<Item = Batch> + use<> {
        shards::batches(count, self.batch)
    }

    /// What differs from `other`, as `count = 100, not 200`, or `None` if nothing does.
    pub fn difference(&self, other: &Self) -> Option<String> {
        shards::difference(&json!(self), &json!(other))
    }
}
