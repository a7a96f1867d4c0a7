use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor, TensorData};
use serde::de::{DeserializeOwned, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::layers::{Context, Dropout, Init};
use super::mlp::Mlp;
use super::refinenet::RefineNet;
use super::unet::{UNet, UNetConfig};
use crate::Result;
use crate::kind::Tagged;
use crate::ops::Value;

/// A network that predicts an image-shaped quantity from a noisy image and its noise level.
pub trait ScoreNetwork: Module {
    /// Its sizes.
    type Config: Architecture;

    /// Builds the network for images of `c_in` channels, weights drawn from `init`.
    fn new(config: &Self::Config, c_in: usize, c_out: usize, init: &mut Init) -> Self;

    /// How the network reads noise levels and what else it is told: what [`Self::forward_features`] takes of them,
    /// `[rows, n]`, a row for the whole batch or one per image.
    ///
    /// # Panics
    /// For a class that the network does not have.
    fn features(&self, c_noise: &[f64], context: Context<'_>) -> TensorData;

    /// The raw output `[b, c_out, h, w]` for `x` `[b, c_in, h, w]`, or how it changes as `x` does, for the [`Self::features`] of the noise levels and
    /// classes. On a GPU nothing but launches, so that it can be recorded.
    fn forward_features(&self, x: Value, features: Tensor<2>, dropout: Option<&Dropout>) -> Value;

    /// Whether its weights are those of a training run, which records gradients for them.
    fn is_autodiff(&self) -> bool;
}

/// The sizes of a network, as its table in a file.
pub trait Architecture: std::fmt::Debug + Clone + PartialEq + Default + Serialize + DeserializeOwned {
    /// Checks every size, so that a hostile file cannot ask for an absurd network.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) names the field and its allowed range.
    fn validate(&self) -> Result<()>;

    /// Checks the sizes, and that images of this size fit into memory.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) names the field and what it may be.
    fn validate_for(&self, height: usize, width: usize) -> Result<()>;

    /// About how many operations its largest kernel takes for an image of this size, two for a multiplication with its
    /// addition: where there are many images, their evaluation is divided by it.
    fn heaviest(&self, height: usize, width: usize) -> f64;

    /// Names and shapes of large weights of all its parts: by them a file shows that it holds this network, without the
    /// network being built.
    fn main_weights(&self) -> Vec<(String, [usize; 2])>;

    /// Values of the largest layer's output for one image of this size.
    fn largest_output(&self, height: usize, width: usize) -> u64;

    /// Classes that the images may be asked for; 0 for a network that knows of none.
    fn classes(&self) -> usize;

    /// Whether it was never trained without being told a class.
    fn needs_class(&self) -> bool {
        false
    }

    /// Lets the network know `classes` classes. Returns the name of the weight whose last rows read them, so that a
    /// network that knew of none goes on with its weights: new rows of zeros make no difference. `None` for a network that
    /// takes no classes.
    fn learn_classes(&mut self, classes: usize) -> Option<&'static str>;

    /// Whether it can be told how images were moved.
    fn knows_moves(&self) -> bool {
        false
    }

    /// Lets the network be told how images were moved; returns the name of a weight as [`Self::learn_classes`] does.
    fn learn_moves(&mut self) -> Option<&'static str> {
        None
    }
}

/// Lists the networks. `Module` is implemented by hand: burn's derive would enter the variant's name into the name of
/// every weight, and no file written before there was a family could be read.
macro_rules! networks {
    (usual: $usual:literal, $($(#[$doc:meta])* $name:literal => $variant:ident($network:ty)),+ $(,)?) => {
        /// A score network of any kind.
        #[derive(Debug, Clone)]
        #[allow(clippy::large_enum_variant, reason = "a model has one network, and it is not moved about")]
        pub enum Network { $($(#[$doc])* $variant($network)),+ }

        /// The sizes of a [`Network`]: in a file a table whose `kind` names the network, `unet` if it names none.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "kind")]
        pub enum NetworkConfig {
            $($(#[$doc])* #[serde(rename = $name)] $variant(<$network as ScoreNetwork>::Config)),+
        }

        impl NetworkConfig {
            /// Every network, with its default sizes.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$variant(Default::default())),+]
            }

            /// The network's name in files.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),+ }
            }

            /// [`Architecture::validate`].
            ///
            /// # Errors
            /// As there.
            pub fn validate(&self) -> Result<()> {
                match self { $(Self::$variant(config) => config.validate()),+ }
            }

            /// [`Architecture::validate_for`].
            ///
            /// # Errors
            /// As there.
            pub fn validate_for(&self, height: usize, width: usize) -> Result<()> {
                match self { $(Self::$variant(config) => config.validate_for(height, width)),+ }
            }

            /// [`Architecture::heaviest`].
            pub fn heaviest(&self, height: usize, width: usize) -> f64 {
                match self { $(Self::$variant(config) => config.heaviest(height, width)),+ }
            }

            /// [`Architecture::main_weights`].
            pub fn main_weights(&self) -> Vec<(String, [usize; 2])> {
                match self { $(Self::$variant(config) => config.main_weights()),+ }
            }

            /// [`Architecture::largest_output`].
            pub fn largest_output(&self, height: usize, width: usize) -> u64 {
                match self { $(Self::$variant(config) => config.largest_output(height, width)),+ }
            }

            /// [`Architecture::classes`].
            pub fn classes(&self) -> usize {
                match self { $(Self::$variant(config) => config.classes()),+ }
            }

            /// [`Architecture::needs_class`].
            pub fn needs_class(&self) -> bool {
                match self { $(Self::$variant(config) => config.needs_class()),+ }
            }

            /// [`Architecture::learn_classes`].
            pub fn learn_classes(&mut self, classes: usize) -> Option<&'static str> {
                match self { $(Self::$variant(config) => config.learn_classes(classes)),+ }
            }

            /// [`Architecture::knows_moves`].
            pub fn knows_moves(&self) -> bool {
                match self { $(Self::$variant(config) => config.knows_moves()),+ }
            }

            /// [`Architecture::learn_moves`].
            pub fn learn_moves(&mut self) -> Option<&'static str> {
                match self { $(Self::$variant(config) => config.learn_moves()),+ }
            }
        }

        impl<'de> Deserialize<'de> for NetworkConfig {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let table = Tagged::read(deserializer, "kind", $usual)?;
                match table.kind.clone().as_str() {
                    $($name => table.into_fields().map(Self::$variant),)+
                    _ => Err(table.unknown(&[$($name),+])),
                }
            }
        }

        $(impl From<<$network as ScoreNetwork>::Config> for NetworkConfig {
            fn from(config: <$network as ScoreNetwork>::Config) -> Self {
                Self::$variant(config)
            }
        })+

        /// The sizes without `kind`, for a file that has it elsewhere.
        #[derive(Debug)]
        pub struct Sizes<'a>(pub &'a NetworkConfig);

        impl Serialize for Sizes<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                match self.0 { $(NetworkConfig::$variant(config) => config.serialize(serializer)),+ }
            }
        }

        impl Network {
            /// Builds the network for images of `c_in` channels, weights drawn from `init`.
            pub fn new(config: &NetworkConfig, c_in: usize, c_out: usize, init: &mut Init) -> Self {
                match config {
                    $(NetworkConfig::$variant(config) => {
                        Self::$variant(<$network as ScoreNetwork>::new(config, c_in, c_out, init))
                    }),+
                }
            }

            /// [`ScoreNetwork::features`].
            ///
            /// # Panics
            /// As there.
            pub fn features(&self, c_noise: &[f64], context: Context<'_>) -> TensorData {
                match self { $(Self::$variant(network) => network.features(c_noise, context)),+ }
            }

            /// [`ScoreNetwork::forward_features`].
            pub fn forward_features(
                &self,
                x: Value,
                features: Tensor<2>,
                dropout: Option<&Dropout>,
            ) -> Value {
                match self { $(Self::$variant(network) => network.forward_features(x, features, dropout)),+ }
            }

            /// [`ScoreNetwork::is_autodiff`].
            pub fn is_autodiff(&self) -> bool {
                match self { $(Self::$variant(network) => network.is_autodiff()),+ }
            }
        }

        impl Module for Network {
            fn collect_devices(&self, devices: Devices) -> Devices {
                match self { $(Self::$variant(network) => network.collect_devices(devices)),+ }
            }

            fn fork(self, device: &Device) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.fork(device))),+ }
            }

            fn to_device(self, device: &Device) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.to_device(device))),+ }
            }

            fn train(self) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.train())),+ }
            }

            fn valid(&self) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.valid())),+ }
            }

            fn materialize(self) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.materialize())),+ }
            }

            fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
                match self { $(Self::$variant(network) => network.visit(visitor)),+ }
            }

            fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.map(mapper))),+ }
            }
        }
    };
}

networks! {
    usual: "unet",
    /// The U-Net of the DDPM++/NCSN++ family.
    "unet" => Unet(UNet),
    /// The RefineNet of NCSN and NCSNv2.
    "refinenet" => RefineNet(RefineNet),
    /// Dense layers, for points.
    "mlp" => Mlp(Mlp),
}

impl NetworkConfig {
    /// The sizes of a U-Net, if it is one.
    pub fn as_unet(&self) -> Option<&UNetConfig> {
        match self {
            Self::Unet(config) => Some(config),
            Self::RefineNet(_) | Self::Mlp(_) => None,
        }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        UNetConfig::default().into()
    }
}

impl Network {
    /// The network's raw output `[b, c_out, h, w]` for `x` `[b, c_in, h, w]` and one noise level for
    /// the whole batch or one per image. Of a [`Dual`](crate::ops::Dual) it is one too.
    ///
    /// # Panics
    /// For a class that the network does not have.
    pub fn forward<T: Into<Value> + From<Value>>(&self, x: T, c_noise: &[f64], context: Context<'_>) -> T {
        let x = x.into();
        let features = Tensor::from_data(self.features(c_noise, context), &x.device());
        self.forward_features(x, features, context.dropout).into()
    }
}
