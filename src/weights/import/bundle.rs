//! The files of a published model, as they lie in its folder: which of them says what, and the model file they become.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::diffusers::UNet2DModel;
use super::scheduler::Scheduler;
use super::{Described, StateDict, diffusers, ncsn, score_sde};
use crate::weights::ModelFile;
use crate::weights::pieces::Pieces;
use crate::{Error, Result};

/// A published model: its name, the paths of its files with `/` between folders, their lengths, and how to read them.
pub struct Bundle<'a> {
    name: String,
    paths: Vec<String>,
    lengths: HashMap<String, usize>,
    read: Box<Read<'a>>,
}

/// Gives a piece of the file at a path.
type Read<'a> = dyn Fn(&str, Range<usize>) -> Result<Vec<u8>> + 'a;

impl std::fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("name", &self.name).field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// What its JSON files are.
#[derive(Default)]
struct Configurations {
    network: Option<(String, Value)>,
    scheduler: Option<(String, Value)>,
    research: Option<(String, Value)>,
    /// Files that the weights are divided into.
    shards: BTreeSet<String>,
}

/// What files of weights are named.
const WEIGHTS: &str = ".safetensors";

/// Pickles can run any code when they are read.
const PICKLES: [&str; 5] = [".bin", ".pt", ".pth", ".pkl", ".ckpt"];

/// The folders of a diffusers pipeline that hold a network without classes of text.
const NETWORK_FOLDERS: [&str; 2] = ["", "unet"];

impl<'a> Bundle<'a> {
    /// The model of these files, paths and lengths; `read` gives a piece of one.
    pub fn new(
        name: &str,
        files: impl IntoIterator<Item = (String, usize)>,
        read: impl Fn(&str, Range<usize>) -> Result<Vec<u8>> + 'a,
    ) -> Self {
        let lengths: HashMap<String, usize> = files.into_iter().collect();
        let mut paths: Vec<String> = lengths.keys().cloned().collect();
        paths.sort();
        Self { name: name.into(), paths, lengths, read: Box::new(read) }
    }

    /// The whole content of a file.
    fn content(&self, path: &str) -> Result<Vec<u8>> {
        (self.read)(path, 0..self.lengths[path])
    }

    /// A file of weights.
    fn weights<'b>(&'b self, path: &'b str) -> Pieces<'b> {
        let read = move |range| Ok(Cow::Owned((self.read)(path, range)?));
        Pieces::new(&self.name, self.lengths[path], read)
    }

    /// The model as a file of ours, in the precision of its weights; a single file may be one already.
    ///
    /// # Errors
    /// [`Error::Weights`] and [`Error::Config`] name the first thing that is missing, unknown, or does not fit.
    pub fn model(&self) -> Result<ModelFile> {
        if let [alone] = &self.paths[..]
            && alone.ends_with(WEIGHTS)
            && let file = self.weights(alone)
            && file.has_card()
        {
            return file.model();
        }
        let Configurations { network, scheduler, research, shards } = self.configurations()?;
        let files = if shards.is_empty() { vec![self.weights_path()?] } else { shards.into_iter().collect() };
        let state = || -> Result<StateDict> {
            let mut state = StateDict::empty(&self.name);
            files.iter().try_for_each(|file| state.add(&self.weights(file), ""))?;
            Ok(state)
        };
        let described = match (network, scheduler, research) {
            (Some(network), Some(scheduler), _) => {
                let model: UNet2DModel = self.parse(network)?;
                let scheduler: Scheduler = self.parse(scheduler)?;
                let trained = scheduler.trained()?;
                let side = model.sides()?;
                let published = diffusers::import(state()?, &model, trained.timestep())?;
                Described { published, trained, side }
            }
            (Some(_), None, _) => {
                let fix = "add the scheduler_config.json of the same model";
                return Err(self.error("does not say which diffusion its network was trained for", fix));
            }
            (None, _, Some((path, config))) => match config["model"].get("ngf") {
                Some(_) => ncsn::describe(state()?, self.parse((path, config))?)?,
                None => score_sde::describe(state()?, self.parse((path, config))?)?,
            },
            (None, _, None) => {
                let fix = "add the config.json of the network, and the scheduler_config.json";
                return Err(self.error("has weights, but nothing says which network they belong to", fix));
            }
        };
        described.file(&self.name, self.licence())
    }

    /// The one file with weights.
    fn weights_path(&self) -> Result<String> {
        let in_place = |path: &&String| {
            let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
            NETWORK_FOLDERS.contains(&folder)
        };
        let of = |end: &str| -> Vec<&String> {
            self.paths.iter().filter(|path| path.ends_with(end)).filter(in_place).collect()
        };
        let found = of(WEIGHTS);
        let usual = |path: &&&String| path.ends_with("diffusion_pytorch_model.safetensors");
        match (&found[..], found.iter().find(usual)) {
            ([one], _) => Ok((*one).clone()),
            (_, Some(usual)) => Ok((**usual).clone()),
            ([], _) => {
                self.paths.iter().filter(in_place).try_for_each(|path| refuse_pickle(path))?;
                Err(self.error("has no weights", "name a folder or a file with .safetensors weights"))
            }
            (several, _) => {
                let names: Vec<&str> = several.iter().map(|path| path.as_str()).collect();
                let problem = format!("has several files of weights ({})", names.join(", "));
                Err(self.error(&problem, "name one of them"))
            }
        }
    }

    /// What every JSON file says it is; those of other parts of a pipeline, such as an image decoder, are refused.
    fn configurations(&self) -> Result<Configurations> {
        let mut found = Configurations::default();
        for path in self.paths.iter().filter(|path| path.ends_with(".json")) {
            let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
            let value: Value = serde_json::from_slice(&self.content(path)?)
                .map_err(|e| self.error(&format!("{path} is no JSON ({e})"), "download the file again"))?;
            let class = value["_class_name"].as_str().unwrap_or_default();
            if let Some(map) = value["weight_map"].as_object() {
                if NETWORK_FOLDERS.contains(&folder) {
                    let place =
                        |file: &str| if folder.is_empty() { file.into() } else { format!("{folder}/{file}") };
                    found.shards = map.values().filter_map(Value::as_str).map(place).collect();
                }
            } else if class == "UNet2DModel" {
                found.network = Some((path.clone(), value));
            } else if class.ends_with("Scheduler") {
                found.scheduler = Some((path.clone(), value));
            } else if value["model"].is_object() && value["data"].is_object() {
                found.research = Some((path.clone(), value));
            } else if !class.is_empty() && !class.ends_with("Pipeline") {
                let fix = "use a pipeline of a UNet2DModel and a scheduler, which draws pixels";
                return Err(self.error(&format!("has a part of the unknown class {class} ({path})"), fix));
            }
        }
        if let Some(missing) = found.shards.iter().find(|shard| !self.paths.contains(shard)) {
            return Err(self.error(&format!("lacks {missing}, a part of its weights"), "add the file"));
        }
        Ok(found)
    }

    fn parse<T: DeserializeOwned>(&self, (path, value): (String, Value)) -> Result<T> {
        serde_json::from_value(value).map_err(|e| {
            self.error(&format!("{path} does not fit ({e})"), "use the file as it was published")
        })
    }

    /// What the model's own README says of its licence, in the lines before its text.
    fn licence(&self) -> Option<String> {
        let readme = self.content(self.paths.iter().find(|path| *path == "README.md")?).ok()?;
        let text = String::from_utf8(readme).ok()?;
        let front = text.strip_prefix("---")?.split("\n---").next()?;
        let licence = front.lines().find_map(|line| line.strip_prefix("license:"))?;
        Some(licence.trim().trim_matches(['"', '\'']).to_owned()).filter(|licence| !licence.is_empty())
    }

    fn error(&self, problem: &str, fix: &str) -> Error {
        Error::weights(&self.name, problem, fix)
    }
}

/// Refuses a file that would have to be run to be read, with the line of Python that turns it into one of numbers.
pub(in crate::weights) fn refuse_pickle(path: &str) -> Result<()> {
    let Some(stem) = PICKLES.iter().find_map(|end| path.strip_suffix(end)) else { return Ok(()) };
    let fix = format!(
        "make numbers of it where you trust it: python3 -c \"import torch; from safetensors.torch import save_file; \
         w = torch.load('{path}', map_location='cpu'); save_file({{k: v.contiguous() for k, v in w.items()}}, \
         '{stem}.safetensors')\""
    );
    Err(Error::weights(path, "is a pickle, which is a program", fix))
}
