//! Networks. They see scaled inputs and return raw outputs; what those mean is [`crate::model`]'s affair.

mod classifier;
pub mod layers;
mod unet;

pub use classifier::{Classifier, ClassifierConfig, Verdict};
pub use unet::{Context, UNet, UNetConfig};
