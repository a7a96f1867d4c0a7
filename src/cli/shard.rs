//! How commands do one shard of their work, or all of it.

use std::path::Path;

use serde_json::{Value, json};

use super::shared::{bar, watched};
use crate::cancel::CancelToken;
use crate::images::ImageSet;
use crate::run::Run;
use crate::shards::arrays::Number;
use crate::shards::environment::{self, Choice};
use crate::shards::{Batch, Made, Parts, Settings, Shard};
use crate::training::run::checkpoint::fingerprint;
use crate::weights::ModelFile;
use crate::{Error, Result};

/// Which part of the work to do.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ShardArgs {
    /// Do one of n parts of the work, written i/n, or auto: the one that a Slurm array, an Indexed Job of Kubernetes, MPI
    /// or srun says. It is kept batch by batch, so that the same command goes on after an interruption; `merge` puts the parts
    /// together.
    #[arg(long, value_name = "I/N", value_parser = str::parse::<Choice>, conflicts_with = "json")]
    shard: Option<Choice>,
}

impl ShardArgs {
    /// The shard that was asked for, if one was. Says on stderr what the environment has said.
    pub fn get(self) -> Result<Option<Shard>> {
        match self.shard {
            None => Ok(None),
            Some(Choice::Given(shard)) => Ok(Some(shard)),
            Some(Choice::Auto) => {
                let (shard, why) = environment::read(|name| std::env::var(name).ok())?;
                eprintln!("shard {shard}, {why}");
                Ok(Some(shard))
            }
        }
    }
}

/// The settings of a job of `command`, `count` samples in batches of `batch`; `of` are JSON objects of what its numbers
/// depend on besides.
pub fn settings(command: &str, [count, batch]: [usize; 2], of: impl IntoIterator<Item = Value>) -> Settings {
    let fields = of.into_iter().filter_map(|object| match object {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    Settings { command: command.into(), count, batch, more: fields.flatten().collect() }
}

/// Which model the numbers of a job depend on, in the role of `role`.
pub fn of_model(role: &str, file: &ModelFile) -> Value {
    json!({ role: file.card.name, format!("{role}_sha256"): file.fingerprint() })
}

/// Which images they depend on.
pub fn of_images(images: &ImageSet) -> Value {
    json!({ "dataset": images.name, "images_sha256": fingerprint(images) })
}

/// Makes all batches of a job and returns them together; or, of a `shard`, those that are missing in the parts of
/// `out`, and returns nothing. A progress bar follows the run that `make` is given.
pub async fn make<T: Number>(
    settings: &Settings,
    out: &Path,
    shard: Option<Shard>,
    cancel: &CancelToken,
    mut make: impl AsyncFnMut(Batch, &mut Run<'_>) -> Result<Made<T>>,
) -> Result<Option<Made<T>>> {
    let bar = bar();
    let mut make = async |batch| make(batch, &mut watched(cancel, &bar)).await;
    let Some(shard) = shard else {
        let mut all = Made::default();
        for batch in settings.batches() {
            all.extend(make(batch).await?);
        }
        bar.finish_and_clear();
        return Ok(Some(all));
    };
    shard.check(settings.batches().len())?;
    let parts = Parts::create(out, settings)?;
    let made = parts.make(shard, make).await;
    bar.finish_and_clear();
    report(parts.path(), shard, made)?;
    Ok(None)
}

/// Says that a shard, whose work is in `folder`, is done, or that it was stopped and can go on.
pub fn report(folder: &Path, shard: Shard, made: Result<()>) -> Result<()> {
    match made {
        Ok(()) => println!("{}: shard {shard} is done", folder.display()),
        Err(Error::Cancelled { .. }) => {
            println!("stopped; the same command goes on with what is in {}", folder.display());
        }
        Err(problem) => return Err(problem),
    }
    Ok(())
}
