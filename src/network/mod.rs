//! Networks. They see scaled inputs and return raw outputs; what those mean is [`crate::model`]'s affair.
//!
//! A score network is named in this room alone: everyone else holds a [`Network`] and its [`NetworkConfig`]. To add one:
//! a file with a type that implements [`ScoreNetwork`] and its sizes, which implement [`Architecture`]; its `mod` line;
//! and a line in the `networks!` list. Model files, configuration, training and the tests that loop over
//! [`NetworkConfig::all`] find it there.

mod classifier;
mod family;
pub mod layers;
mod mlp;
mod refinenet;
mod unet;

pub use classifier::{Classifier, ClassifierConfig, Verdict};
pub use family::{Architecture, Network, NetworkConfig, ScoreNetwork, Sizes};
pub use layers::{Context, Moved};
pub use mlp::MlpConfig;
pub use refinenet::{Levels, RefineNetConfig};
pub use unet::{InputPyramid, Resampling, Style, UNetConfig};

// What CONTRIBUTING.md gives to copy stays a network that works.
#[cfg(test)]
#[path = "../../docs/skeletons/network.rs"]
mod skeleton;

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::{Device, Tensor};

    use super::skeleton::{Plain, PlainConfig};
    use super::*;

    /// The paths of all weights of a module.
    #[derive(Default)]
    struct Paths(Vec<String>, Vec<String>);

    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }

        fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
            self.1.push(self.0.join("."));
        }
    }

    fn paths(module: &impl Module) -> Vec<String> {
        let mut paths = Paths::default();
        module.visit(&mut paths);
        paths.1
    }

    #[test]
    fn the_skeleton_keeps_the_shape_of_its_images() {
        let (config, device) = (PlainConfig { channels: 8, blocks: 2 }, Device::flex());
        config.validate_for(6, 5).unwrap();
        let network = Plain::new(&config, 3, 3, &mut layers::Init::new(0, &device));
        let features = Tensor::from_data(network.features(&[0.1], Context::default()), &device);
        let x = Tensor::<4>::ones([2, 3, 6, 5], &device);
        let y = Tensor::from(network.forward_features(x.into(), features, None));
        assert_eq!(y.dims(), [2, 3, 6, 5]);
        let found = paths(&network);
        assert!(config.main_weights().iter().all(|(name, _)| found.contains(name)), "{found:?}");
    }

    /// A weight's name is the network's own, without the family's, so that files know nothing of the family.
    #[test]
    fn the_family_leaves_no_trace_in_the_names_of_weights() {
        for config in NetworkConfig::all() {
            let network = Network::new(&config, 1, 1, &mut layers::Init::new(0, &Device::flex()));
            let found = paths(&network);
            assert!(found.iter().all(|path| path.starts_with(char::is_lowercase)), "{found:?}");
            assert!(config.main_weights().iter().all(|(name, _)| found.contains(name)), "{found:?}");
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<NetworkConfig>(&text).unwrap(), config);
        }
        let message =
            serde_json::from_str::<NetworkConfig>(r#"{"channels": "many"}"#).unwrap_err().to_string();
        assert!(message.contains("channels"), "{message}");
    }
}
