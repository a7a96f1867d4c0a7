use serde::de::{DeserializeOwned, Deserializer, Error};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::Preconditioning;
use crate::network::{ClassifierConfig, NetworkConfig, Sizes};

/// What the weights of a model file are. In the card an object of `kind`, which names the network or is `classifier`,
/// `config`, its sizes, and for a score network `preconditioning`.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one for each model, and pages have smaller addresses")]
pub enum Architecture {
    /// A score network.
    Score {
        /// Its kind and sizes.
        network: NetworkConfig,
        /// Its scaling.
        preconditioning: Preconditioning,
    },
    /// A noise-conditional classifier.
    Classifier {
        /// Its sizes.
        config: ClassifierConfig,
    },
}

const CLASSIFIER: &str = "classifier";

impl Architecture {
    /// Classes that it can be asked for, or that it tells apart; 0 if it knows of none.
    pub fn classes(&self) -> usize {
        match self {
            Self::Score { network, .. } => network.classes(),
            Self::Classifier { config } => config.classes,
        }
    }
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Score { network, preconditioning } => {
                let mut fields = serializer.serialize_struct("Architecture", 3)?;
                fields.serialize_field("kind", network.kind())?;
                fields.serialize_field("config", &Sizes(network))?;
                fields.serialize_field("preconditioning", preconditioning)?;
                fields.end()
            }
            Self::Classifier { config } => {
                let mut fields = serializer.serialize_struct("Architecture", 2)?;
                fields.serialize_field("kind", CLASSIFIER)?;
                fields.serialize_field("config", config)?;
                fields.end()
            }
        }
    }
}

/// The fields as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    config: Map<String, Value>,
    preconditioning: Option<Preconditioning>,
}

impl<'de> Deserialize<'de> for Architecture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { kind, mut config, preconditioning } = Written::deserialize(deserializer)?;
        match preconditioning {
            None if kind == CLASSIFIER => Ok(Self::Classifier { config: from_map(config)? }),
            None => Err(D::Error::missing_field("preconditioning")),
            Some(_) if kind == CLASSIFIER => Err(D::Error::custom("a classifier has no preconditioning")),
            Some(preconditioning) => {
                config.insert("kind".into(), kind.into());
                Ok(Self::Score { network: from_map(config)?, preconditioning })
            }
        }
    }
}

fn from_map<T: DeserializeOwned, E: Error>(map: Map<String, Value>) -> Result<T, E> {
    serde_json::from_value(map.into()).map_err(|e| E::custom(e.to_string()))
}
