use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::folder::LIKELIHOOD;
use super::{Folder, Settings};
use crate::shards::{Shard, ranges};
use crate::{Error, Result};

/// What an evaluation lacks before its numbers can be computed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Whether it lacks nothing.
    pub complete: bool,
    /// Shards of which no folder was named.
    pub missing_shards: Vec<Shard>,
    /// What the folders lack that were named.
    pub missing: Vec<Gap>,
}

/// What is missing in a shard's folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gap {
    /// The folder.
    pub folder: PathBuf,
    /// Whose it is.
    pub shard: Shard,
    /// Of what something is missing: the folder of a sampler or of the likelihood, or the file of the real images.
    pub part: String,
    /// The batches that are missing; none where the part is one file.
    pub batches: Vec<usize>,
}

impl Status {
    /// What is missing of the evaluation whose shards are in `folders`, in any order. Files are not read.
    ///
    /// # Errors
    /// [`Error::Config`] if a shard is there twice, or the folders' settings differ.
    pub fn of(folders: &[Folder]) -> Result<Self> {
        let owners = owners(folders)?;
        let of = owners.len();
        let absent = owners.iter().enumerate().filter(|(_, owner)| owner.is_none());
        let missing_shards: Vec<Shard> = absent.map(|(k, _)| Shard { index: k + 1, of }).collect();
        // Every shard judges the real images before it draws; the results take those of the first.
        let reference = owners[0].into_iter().flat_map(missing_reference);
        let missing: Vec<Gap> =
            reference.chain(owners.iter().flatten().flat_map(|folder| missing(folder))).collect();
        Ok(Self { complete: missing_shards.is_empty() && missing.is_empty(), missing_shards, missing })
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, shard, part, batches } = self;
        write!(f, "{} (shard {shard}): {part} is missing", folder.display())?;
        match &batches[..] {
            [] => Ok(()),
            [one] => write!(f, ", batch {one}"),
            many => write!(f, ", batches {}", ranges(many)),
        }
    }
}

/// The files of real images that `folder` lacks.
fn missing_reference(folder: &Folder) -> impl Iterator<Item = Gap> {
    let absent = [folder.reference_path(), folder.training_path()].into_iter().filter(|path| !path.exists());
    let name = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    absent.filter_map(name).map(|part| gap(folder, part, Vec::new()))
}

/// The batches that `folder` lacks of what its shard draws and measures.
fn missing(folder: &Folder) -> impl Iterator<Item = Gap> {
    let Settings { count, likelihood, ref samplers, .. } = folder.settings;
    let absent = |count, path: &dyn Fn(usize) -> PathBuf| -> Vec<usize> {
        folder.own_batches(count).map(|batch| batch.index).filter(|index| !path(*index).exists()).collect()
    };
    let of_sampler = (0..samplers.len()).map(move |k| {
        gap(folder, folder.sampler_folder(k), absent(count, &|batch| folder.judged_path(k, batch)))
    });
    let measured = gap(folder, LIKELIHOOD.into(), absent(likelihood, &|batch| folder.measured_path(batch)));
    of_sampler.chain([measured]).filter(|gap| !gap.batches.is_empty())
}

fn gap(folder: &Folder, part: String, batches: Vec<usize>) -> Gap {
    Gap { folder: folder.path().into(), shard: folder.settings.shard, part, batches }
}

/// The folder of each shard of one evaluation, where there is one; at least one is.
///
/// # Errors
/// [`Error::Config`] for no folder, a shard that is there twice, or settings that differ.
pub(super) fn owners(folders: &[Folder]) -> Result<Vec<Option<&Folder>>> {
    let Some(first) = folders.first() else {
        return Err(Error::config("merge", "needs folders", "name those that `evaluate` has written"));
    };
    let mut owners: Vec<Option<&Folder>> = vec![None; first.settings.shard.of];
    for folder in folders {
        let here = format!("{} and {}", first.path().display(), folder.path().display());
        let Shard { index, of } = folder.settings.shard;
        let same_shard = Settings { shard: Shard { index, of: owners.len() }, ..first.settings.clone() };
        if let Some(difference) = folder.settings.difference(&same_shard) {
            let problem = format!("do not belong together: {difference}");
            return Err(Error::config(here, problem, "merge shards of one evaluation"));
        }
        if let Some(other) = owners[index - 1].replace(folder) {
            let here = format!("{} and {}", other.path().display(), folder.path().display());
            return Err(Error::config(here, format!("are both shard {index}/{of}"), "name each shard once"));
        }
    }
    Ok(owners)
}
