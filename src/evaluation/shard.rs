use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One of several equal parts of a job, written `i/n` with i from 1 to n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    /// Which one, from 1 on.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

/// Most shards: as many as samples.
const MOST: usize = 1_000_000;

impl Shard {
    /// The only part: the whole job.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// Whether batch `batch` (from 0 on) belongs to it; batches are dealt out in turn.
    pub fn has(self, batch: usize) -> bool {
        batch % self.of == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) && of <= MOST => Ok(Self { index, of }),
            _ => {
                let fix = "write it as 1/3, 2/3 or 3/3, with at most a million shards";
                Err(Error::config("--shard", format!("{text} is not allowed"), fix))
            }
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_belongs_to_one_shard() {
        for of in 1..5 {
            let shards: Vec<Shard> = (1..=of).map(|i| format!("{i}/{of}").parse().unwrap()).collect();
            for batch in 0..20 {
                assert_eq!(shards.iter().filter(|shard| shard.has(batch)).count(), 1);
            }
        }
        assert!((0..9).all(|batch| Shard::WHOLE.has(batch)));
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["0/3", "4/3", "1", "1/0", "a/3", "-1/3", "", "1/1000000000000000000"] {
            assert!(text.parse::<Shard>().unwrap_err().to_string().contains("1/3, 2/3 or 3/3"), "{text}");
        }
        let json = serde_json::to_string(&Shard { index: 2, of: 3 }).unwrap();
        assert_eq!(
            (json.as_str(), serde_json::from_str::<Shard>(&json).unwrap()),
            ("\"2/3\"", Shard { index: 2, of: 3 })
        );
        assert!(serde_json::from_str::<Shard>("\"9/3\"").is_err());
    }
}
