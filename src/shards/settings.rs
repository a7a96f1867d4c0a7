use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Batch, batches};
use crate::weights::hex;
use crate::{Error, Result};

/// Most samples of a job.
const MOST: usize = 1_000_000;

/// All that the numbers of a job depend on. Kept with them, so that only equals are put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The command that makes them.
    pub command: String,
    /// Number of samples.
    pub count: usize,
    /// How many are made together. What an adaptive method costs depends on it.
    pub batch: usize,
    /// What else the command's numbers depend on.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Settings {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Config`] for no or more than a million samples, or batches of nothing.
    pub fn validate(&self) -> Result<()> {
        for (what, value) in [("count", self.count), ("batch", self.batch)] {
            if !(1..=MOST).contains(&value) {
                return Err(Error::config(what, format!("= {value} is not allowed"), "use 1 to 1000000"));
            }
        }
        Ok(())
    }

    /// All batches of the job.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) would refuse it.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = Batch> {
        batches(self.count, self.batch)
    }

    /// What differs from `other`, as `count = 100, not 200`, or `None` if nothing does.
    pub fn difference(&self, other: &Self) -> Option<String> {
        // Before all: another command has other fields, of which one would be named.
        let command = |settings: &Self| json!({ "command": settings.command });
        difference(&command(self), &command(other)).or_else(|| difference(&json!(self), &json!(other)))
    }

    /// What the command adds, as far as a `T` holds it.
    ///
    /// # Errors
    /// Those of `serde_json`, for what is not there or of another type.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_value(Value::Object(self.more.clone()))
    }

    /// SHA-256, in hex, of all of it: what tells the files of one job from those of another.
    pub fn job(&self) -> String {
        hex(&Sha256::digest(json!(self).to_string()))
    }
}

/// The first field in which two objects differ, as `count = 100, not 200`; a field that one of them lacks is null there.
pub fn difference(mine: &Value, others: &Value) -> Option<String> {
    let fields = [mine, others].into_iter().filter_map(Value::as_object).flat_map(Map::keys);
    let differing = fields.map(|name| (name, &mine[name.as_str()], &others[name.as_str()]));
    let mut differing = differing.filter(|(_, mine, other)| mine != other);
    differing.next().map(|(name, mine, other)| format!("{name} = {mine}, not {other}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_field_and_both_values() {
        let one = json!({"count": 6, "seed": 1});
        assert_eq!(difference(&one, &one), None);
        assert_eq!(difference(&one, &json!({"count": 6, "seed": 2})).unwrap(), "seed = 1, not 2");
        let more = json!({"count": 6, "seed": 1, "guidance": 3.5});
        assert_eq!(difference(&one, &more).unwrap(), "guidance = null, not 3.5");
        assert_eq!(difference(&more, &one).unwrap(), "guidance = 3.5, not null");
    }

    #[test]
    fn settings_come_back_with_what_the_command_adds() {
        let more = json!({"seed": u64::MAX, "shape": [1, 8, 8]}).as_object().unwrap().clone();
        let settings = Settings { command: "sample".into(), count: 7, batch: 3, more };
        let back: Settings = serde_json::from_str(&json!(settings).to_string()).unwrap();
        assert_eq!((&back, back.job()), (&settings, settings.job()));
        #[derive(Deserialize)]
        struct Seed {
            seed: u64,
        }
        assert_eq!(back.read::<Seed>().unwrap().seed, u64::MAX);
        let other = Settings { command: "encode".into(), more: Map::new(), ..back.clone() };
        assert_eq!(back.difference(&other).unwrap(), "command = \"sample\", not \"encode\"");
        assert_eq!(back.difference(&Settings { batch: 4, ..back.clone() }).unwrap(), "batch = 3, not 4");
        let error = Settings { batch: 0, ..back }.validate().unwrap_err().to_string();
        assert!(error.contains("batch = 0"), "{error}");
    }
}
