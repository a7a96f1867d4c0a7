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

    /// Whether it has anything to do where there are so many batches.
    ///
    /// # Errors
    /// [`Error::Config`] if it has not.
    pub fn check(self, batches: usize) -> Result<()> {
        if self.index <= batches {
            return Ok(());
        }
        let problem = format!("{self} has nothing to do: there are {batches} batches");
        Err(Error::config("--shard", problem, "use fewer shards or a smaller --batch"))
    }
}

/// Some neighbouring samples that are made together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Which batch of the job, from 0 on.
    pub index: usize,
    /// Index of its first sample in the job.
    pub first: usize,
    /// Number of samples.
    pub len: usize,
}

/// All batches of `size` that `count` samples are cut into; the last one may be smaller.
///
/// # Panics
/// If `size` is 0.
pub fn batches(count: usize, size: usize) -> impl ExactSizeIterator<Item = Batch> {
    let cut = move |(index, first)| Batch { index, first, len: size.min(count - first) };
    (0..count).step_by(size).enumerate().map(cut)
}

/// Numbers that rise, in few words: `0 to 3, 5`.
pub fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [first, .., last] => format!("{first} to {last}"),
        alone => format!("{}", alone[0]),
    });
    runs.collect::<Vec<_>>().join(", ")
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
    fn batches_cover_a_job_and_shards_without_one_are_refused() {
        let cut: Vec<Batch> = batches(7, 3).collect();
        assert_eq!(
            cut.iter().map(|batch| (batch.first, batch.len)).collect::<Vec<_>>(),
            [(0, 3), (3, 3), (6, 1)]
        );
        assert!(Shard { index: 3, of: 4 }.check(cut.len()).is_ok());
        let error = Shard { index: 4, of: 4 }.check(cut.len()).unwrap_err().to_string();
        assert!(error.contains("4/4") && error.contains("3 batches"), "{error}");
    }

    #[test]
    fn neighbours_are_named_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 3, 5, 7, 8]), "0 to 3, 5, 7 to 8");
        assert_eq!(ranges(&[]), "");
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
