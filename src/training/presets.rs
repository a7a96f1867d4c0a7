//! Starting points of a configuration, by name.

use super::{ClassifierTraining, Course, TrainConfig};
use crate::data::{DataSource, Dataset};
use crate::network::{NetworkConfig, UNetConfig};
use crate::sde::{AnySde, VeSde};
use crate::{Error, Result};

/// A preset's name, and what it sets.
type Preset = (&'static str, fn(TrainConfig) -> Course);

/// All presets. Each is given the default configuration under its own name.
const PRESETS: &[Preset] = &[
    ("mnist-class-vp", |base| {
        let mut network = base.network.clone();
        network.learn_classes(10);
        TrainConfig { label_dropout: 0.2, network, ..base }.into()
    }),
    ("mnist-ve", |base| TrainConfig { sde: measured_ve(), ..base }.into()),
    ("mnist-vp", |base| base.into()),
    ("fashion-mnist-vp", |base| {
        TrainConfig { flip: true, data: DataSource::new(Dataset::FashionMnist), ..base }.into()
    }),
    ("emoji-vp", |base| {
        let data = DataSource {
            data_dir: Some("noto-emoji".into()),
            name: Some("noto-emoji".into()),
            licence: Some("Apache-2.0 (images), Google Noto Emoji".into()),
            ..DataSource::new(Dataset::Npz)
        };
        TrainConfig { steps: 10_000, data, network: digits_unet(vec![1, 2, 2]), ..base }.into()
    }),
    ("cifar10-vp", |base| TrainConfig { ema: 0.9999, ..photographs(base, Dataset::Cifar10, 1) }.into()),
    ("celeba-ve", |base| TrainConfig { sde: measured_ve(), ..photographs(base, Dataset::Celeba, 2) }.into()),
    ("mnist-classifier", |_| ClassifierTraining::default().into()),
];

/// Names of the presets, in the order of the help text.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The preset of that name.
///
/// # Errors
/// [`Error::Config`] lists the names that exist.
pub fn preset(name: &str) -> Result<Course> {
    match PRESETS.iter().find(|(known, _)| *known == name) {
        Some((name, set)) => Ok(set(TrainConfig { name: (*name).into(), ..TrainConfig::default() })),
        None => {
            let fix = format!("use one of {}", names().collect::<Vec<_>>().join(", "));
            Err(Error::config("preset", format!("`{name}` is not known"), fix))
        }
    }
}

/// The network where nothing is said of one.
pub(super) fn usual_network() -> NetworkConfig {
    digits_unet(vec![1, 2])
}

/// A U-Net for images of about 28x28 pixels.
fn digits_unet(multipliers: Vec<usize>) -> NetworkConfig {
    UNetConfig { multipliers, blocks: 2, attention_levels: vec![1], ..UNetConfig::default() }.into()
}

/// VE, its largest noise level measured.
fn measured_ve() -> AnySde {
    VeSde { sigma_min: 0.01, sigma_max: 0.0, ..VeSde::default() }.into()
}

/// Size and pace of Score-SDE's DDPM++.
fn photographs(base: TrainConfig, dataset: Dataset, attention_level: usize) -> TrainConfig {
    let network = UNetConfig {
        channels: 128,
        multipliers: vec![1, 2, 2, 2],
        blocks: 4,
        attention_levels: vec![attention_level],
        patch: 1,
        ..UNetConfig::default()
    };
    TrainConfig {
        data: DataSource::new(dataset),
        network: network.into(),
        steps: 1_300_000,
        batch: 128,
        learning_rate: 2e-4,
        final_rate: 1.0,
        warmup: 5000,
        dropout: 0.1,
        flip: true,
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_survives_its_file() {
        for name in names() {
            let course = preset(name).unwrap();
            course.validate().unwrap();
            assert_eq!(course.pace().name, name);
            let text = toml::to_string(&course).unwrap();
            assert_eq!(toml::from_str::<Course>(&text).unwrap(), course);
        }
        assert!(preset("mnits").unwrap_err().to_string().contains("mnist-ve"));
    }
}
