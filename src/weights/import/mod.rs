//! Networks that others have published: their configuration and state dict become ours.
//!
//! A source has its names for the same weights, and its order of their dimensions. Each file here knows one source:
//! [`score_sde`] and [`diffusers`] say how they call the parts of a U-Net (`unet.rs` walks over them), [`ncsn`] those of a
//! RefineNet. A [`Bundle`] is a model as it lies in a folder: it finds out which file says what, and makes a model file of
//! ours of them. What a state dict lacks, or has left over, is an error that names it: a network with weights in the wrong
//! place still draws something.

pub(super) mod bundle;
pub mod diffusers;
mod export;
mod folder;
pub mod ncsn;
pub mod scheduler;
pub mod score_sde;
mod state;
mod unet;

pub use bundle::Bundle;
pub use state::StateDict;

use std::collections::HashMap;

use burn::tensor::Device;

use state::Renamed;

use super::card::{Publication, Training};
use super::params::{self, Values};
use super::{Architecture, FORMAT, ModelCard, ModelFile, Precision};
use crate::Result;
use crate::images::DataRange;
use crate::model::{Learned, Preconditioning};
use crate::network::layers::Init;
use crate::network::{Network, NetworkConfig};
use crate::sde::AnySde;

/// A network of others under our names, not yet on a device.
#[derive(Debug)]
pub struct Published {
    /// Its kind and sizes.
    pub network: NetworkConfig,
    /// Channels of its images.
    pub channels: usize,
    name: String,
    weights: HashMap<String, Values>,
    precision: Precision,
}

/// What a network was trained for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trained {
    /// The diffusion.
    pub sde: AnySde,
    /// What its output means.
    pub preconditioning: Preconditioning,
    /// What black and white are to it.
    pub range: DataRange,
}

impl Trained {
    fn is_consistency(&self) -> bool {
        self.preconditioning.learned() == Learned::Consistency
    }

    /// By how much the time step of `diffusers` is larger than our noise level: a consistency model calls
    /// `1000·ln(sigma)/4` so.
    fn timestep(&self) -> f64 {
        if self.is_consistency() { 1000.0 } else { 1.0 }
    }
}

/// A network of others, and all that a card says of it.
struct Described {
    published: Published,
    trained: Trained,
    /// Rows and columns of its images.
    side: [usize; 2],
}

impl Described {
    /// The model file of that name.
    fn file(self, name: &str, licence: Option<String>) -> Result<ModelFile> {
        let Self { published, trained: Trained { sde, preconditioning, range }, side: [height, width] } =
            self;
        let Published { network, channels, weights, precision, .. } = published;
        let unknown = || "unknown; see where the weights are from".to_owned();
        let card = ModelCard {
            format: FORMAT,
            name: name.into(),
            title: format!("{name}, {}", sde.title()),
            architecture: Architecture::Score { network, preconditioning },
            sde: Some(sde),
            range,
            // That of natural images in `[-1, 1]`, which Karras et al. (2022) take for all of them.
            sigma_data: preconditioning.sigma_data().unwrap_or((range.high - range.low) / 4.0),
            data_mean: 0.0,
            channels,
            height,
            width,
            dataset: unknown(),
            dataset_licence: unknown(),
            class_names: vec![],
            training: Training::default(),
            published: Some(Publication { source: name.into(), licence }),
            quality: vec![],
            accuracy: vec![],
        };
        card.validate(name)?;
        Ok(ModelFile { card, weights, precision })
    }
}

impl Published {
    /// The network on `device`.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for sizes that are out of range, [`Error::Weights`](crate::Error::Weights) for
    /// a weight that is missing, has another shape, or is left over.
    pub fn network(self, device: &Device) -> Result<Network> {
        self.network.validate()?;
        params::expect(&self.name, &self.weights, &self.network.main_weights())?;
        let network = Network::new(&self.network, self.channels, self.channels, &mut Init::new(0, device));
        params::fill(&self.name, network, self.weights)
    }
}

impl Renamed {
    /// The network, once everything of the state dict has found its place.
    fn published(self, config: impl Into<NetworkConfig>) -> Result<Published> {
        let Self { state, weights } = self;
        let (name, precision) = (state.name().to_owned(), state.precision());
        let channels = weights.get("stem.weight").map_or(0, |stem| stem.shape[0] / 9);
        state.finish()?;
        Ok(Published { network: config.into(), channels, name, weights, precision })
    }
}
