//! Networks that others have published: their configuration and state dict become ours.
//!
//! A source has its names for the same weights, and its order of their dimensions. Each file here knows one source:
//! [`score_sde`] and [`diffusers`] say how they call the parts of a U-Net (`unet.rs` walks over them), [`ncsn`] those of a
//! RefineNet. What a state dict lacks, or has left over, is an error that names it: a network with weights in the wrong
//! place still draws something.

pub mod diffusers;
pub mod ncsn;
pub mod score_sde;
mod state;
mod unet;

pub use state::StateDict;

use std::collections::HashMap;

use burn::tensor::Device;

use state::Renamed;

use super::params::{self, Values};
use crate::Result;
use crate::network::layers::Init;
use crate::network::{Network, NetworkConfig};

/// A network of others under our names, not yet on a device.
#[derive(Debug)]
pub struct Published {
    /// Its kind and sizes.
    pub network: NetworkConfig,
    /// Channels of its images.
    pub channels: usize,
    name: String,
    weights: HashMap<String, Values>,
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
        let name = state.name().to_owned();
        let channels = weights.get("stem.weight").map_or(0, |stem| stem.shape[0] / 9);
        state.finish()?;
        Ok(Published { network: config.into(), channels, name, weights })
    }
}
