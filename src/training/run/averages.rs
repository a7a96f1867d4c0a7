//! Averages of any length, made of those that a run has saved.

use std::path::Path;

use super::{AVERAGES, RunFolder};
use crate::learning::PowerAverage;
use crate::weights::{ModelFile, shipped};
use crate::{Error, Result};

/// A saved average: its length, its step, and its file.
type Saved = (PowerAverage, usize, String);

/// The model whose weights are the average of relative `length` up to the last step that the run in `folder` has saved.
///
/// # Errors
/// [`Error::Config`] for a run without saved averages, or a length that none has; those of the files.
pub fn average(folder: &RunFolder, length: f64) -> Result<ModelFile> {
    let wanted = PowerAverage::of_length(length)?;
    let saved = saved(&folder.0.join(AVERAGES))?;
    let Some(last) = saved.iter().map(|(_, step, _)| *step).max() else {
        let problem = format!("has no saved averages ({})", folder.0.display());
        let fix = "set averages = [0.05, 0.1] in the configuration of a run";
        return Err(Error::config("the run", problem, fix));
    };
    let profiles: Vec<_> = saved.iter().map(|(average, step, _)| (*average, *step)).collect();
    let factors = PowerAverage::mixture(&profiles, (wanted, last))?;
    let parts = saved.iter().zip(factors).map(|((_, _, file), factor)| Ok((factor, shipped::open(file)?)));
    ModelFile::sum(parts)
}

/// The saved averages of a run, by step and length.
fn saved(folder: &Path) -> Result<Vec<Saved>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(vec![]) };
    let mut saved: Vec<Saved> = vec![];
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder, e, "make the folder readable"))?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let parsed = name.split_once('-').and_then(|(step, length)| {
            Some((PowerAverage::of_length(length.parse().ok()?).ok()?, step.parse().ok()?))
        });
        if let Some((average, step)) = parsed {
            saved.push((average, step, path.to_string_lossy().into_owned()));
        }
    }
    saved.sort_by(|a, b| a.2.cmp(&b.2));
    Ok(saved)
}
