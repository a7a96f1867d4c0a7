//! Networks. They see scaled inputs and return raw outputs; what those mean is [`crate::model`]'s affair.
//!
//! A score network is named in this room alone: everyone else holds a [`Network`] and its [`NetworkConfig`]. To add one:
//! a file with a type that implements [`ScoreNetwork`] and its sizes, which implement [`Architecture`]; its `mod` line;
//! and a line in the `networks!` list. Model files, configuration, training and the tests that loop over
//! [`NetworkConfig::all`] find it there.

mod classifier;
mod family;
pub mod layers;
mod unet;

pub use classifier::{Classifier, ClassifierConfig, Verdict};
pub use family::{Architecture, Context, Network, NetworkConfig, ScoreNetwork, Sizes};
pub use unet::UNetConfig;
