use std::path::{Path, PathBuf};

use serde_json::json;

use super::{codes, evaluate, likelihood, sample};
use crate::evaluation::{Folder, Results, Status};
use crate::shards::{Parts, Settings, Shard, folder_of, ranges};
use crate::{Error, Result, files};

/// `merge`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folders of an evaluation's shards, in any order; or the one folder that the shards of `sample`, `likelihood` or
    /// `encode` share, samples.png.parts, or what it is to become, samples.png.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Folder for the results of an evaluation [default: the first one], or the file to write [default: the folder's name
    /// without .parts].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Only say what is missing; the exit status is then 1 if anything is, else 0.
    #[arg(long, conflicts_with = "out")]
    status: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Puts together what shards have made, or says what is missing.
    pub fn run(self) -> Result<()> {
        let parts: Vec<PathBuf> = self.folders.iter().filter_map(|path| parts(path)).collect();
        match &parts[..] {
            [] => self.evaluation(),
            [folder] if self.folders.len() == 1 => self.parts(&Parts::open(folder)?),
            [folder, ..] => {
                let problem = format!("cannot put {} together with another folder", folder.display());
                Err(Error::config("merge", problem, "name it alone: all shards share it"))
            }
        }
    }

    fn parts(&self, parts: &Parts) -> Result<()> {
        if self.status {
            return self.status_of_parts(parts);
        }
        let out = self.out.clone().unwrap_or_else(|| parts.out());
        let merge = match parts.settings.command.as_str() {
            sample::COMMAND => sample::merge,
            codes::COMMAND => codes::merge,
            likelihood::COMMAND => likelihood::merge,
            other => {
                let problem = format!("holds parts of `{other}`, which this version cannot merge");
                return Err(Error::data(parts.path(), problem, "merge them with the version that made them"));
            }
        };
        merge(parts, &out, self.json)
    }

    fn status_of_parts(&self, parts: &Parts) -> Result<()> {
        let (missing, folder) = (parts.missing(), parts.path().display());
        let Settings { command, .. } = &parts.settings;
        let batches = parts.settings.batches().len();
        if self.json {
            let complete = missing.is_empty();
            let folder = folder.to_string();
            println!(
                "{}",
                json!({ "folder": folder, "command": command, "complete": complete, "batches": batches, "missing": missing })
            );
        } else {
            let lacks =
                if missing.is_empty() { String::new() } else { format!("; missing: {}", ranges(&missing)) };
            println!(
                "{folder}: {} of {batches} batches of `{command}` are there{lacks}",
                batches - missing.len()
            );
        }
        parts.check_complete()
    }

    fn evaluation(&self) -> Result<()> {
        let folders = self.folders.iter().map(Folder::open).collect::<Result<Vec<_>>>()?;
        if self.status {
            return self.status_of_evaluation(&folders);
        }
        if let Some(out) = &self.out {
            files::make_folder(out)?;
        }
        let results = Results::of(&folders)?;
        evaluate::report(&results, self.out.as_deref().unwrap_or(folders[0].path()), self.json)
    }

    fn status_of_evaluation(&self, folders: &[Folder]) -> Result<()> {
        let status = Status::of(folders)?;
        let Shard { of, .. } = folders[0].settings.shard;
        let absent: Vec<usize> = status.missing_shards.iter().map(|shard| shard.index).collect();
        if self.json {
            println!("{}", json!(status));
        } else {
            println!("{} of {of} shards are there", of - absent.len());
            if !absent.is_empty() {
                println!("missing shards: {} (of {of})", ranges(&absent));
            }
            status.missing.iter().for_each(|gap| println!("{gap}"));
        }
        if status.complete {
            return Ok(());
        }
        let fix = "repeat the `evaluate` commands of those shards, which go on, and name all their folders";
        Err(Error::data(folders[0].path(), "is part of an evaluation that is not complete", fix))
    }
}

/// The folder of parts that `path` is, or that is beside it.
fn parts(path: &Path) -> Option<PathBuf> {
    if path.extension().is_some_and(|ending| ending == "parts") {
        return Some(path.into());
    }
    let beside = folder_of(path);
    (!path.is_dir() && beside.is_dir()).then_some(beside)
}
