//! Starting points of a configuration, by name.

use super::{ClassifierTraining, Course, TrainConfig};
use crate::data::{DataSource, Dataset};
use crate::model::PreconditioningChoice;
use crate::network::{ClassifierConfig, NetworkConfig, RefineNetConfig, UNetConfig};
use crate::objective::{ConsistencyTraining, Dsm, DsmAnnealed, Likelihood, Objective, TimeDistribution};
use crate::sde::{AnySde, VeSde, VpSde};
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
    // Smaller, and trained for a shorter time: what it does badly, a better model is led away from (autoguidance).
    ("mnist-weak", |base| {
        let network = UNetConfig { channels: 16, attention_levels: vec![1], ..UNetConfig::default() };
        TrainConfig { steps: 1500, network: network.into(), ..by_adam(base) }.into()
    }),
    ("mnist-cm", |base| {
        let mut network = base.network.clone();
        network.learn_classes(10);
        tuned_from("mnist-class-vp", TrainConfig { network, steps: 11_500, ..base }).into()
    }),
    ("mnist-likelihood", |base| {
        let (sde, preconditioning) =
            (VpSde { beta_max: 12.0, ..VpSde::default() }, PreconditioningChoice::Bytes);
        let objective = Likelihood::default().into();
        let averages = vec![0.05, 0.1];
        // At small noise, which decides here, weights that move far in a step cost more than they find.
        let base = TrainConfig { learning_rate: 1e-3, final_rate: 0.02, averages, ..base };
        TrainConfig { steps: 34_000, sde: sde.into(), preconditioning, objective, ..base }.into()
    }),
    ("fashion", |base| {
        let mut network = base.network.clone();
        network.learn_classes(10);
        let data = DataSource::new(Dataset::FashionMnist);
        let objective = at_large_noise_too();
        TrainConfig { steps: 18_000, data, network, objective, averages: vec![0.05, 0.1], ..base }.into()
    }),
    ("avatars", |base| {
        let mut network = digits_unet(vec![1, 2, 2]);
        network.learn_classes(4);
        let data = DataSource::new(Dataset::Avatars);
        let (objective, averages) = (at_small_noise_too(), vec![0.05, 0.1]);
        TrainConfig { steps: 15_500, flip: true, data, network, objective, averages, ..base }.into()
    }),
    ("letters", |base| TrainConfig { steps: 8000, averages: vec![0.05, 0.1], ..letters(base) }.into()),
    ("letters-cm", |base| tuned_from("letters", TrainConfig { steps: 8000, ..letters(base) }).into()),
    ("cifar10-vp", |base| {
        TrainConfig { ema: 0.9999.into(), ..photographs(base, Dataset::Cifar10, 1) }.into()
    }),
    ("celeba-ve", |base| TrainConfig { sde: measured_ve(), ..photographs(base, Dataset::Celeba, 2) }.into()),
    ("mnist-ncsn", |base| {
        let network = RefineNetConfig { channels: 16, ..RefineNetConfig::ncsn() };
        TrainConfig { ema: 0.999.into(), steps: 12_000, batch: 64, ..ncsn(base, Dataset::Mnist, network) }
            .into()
    }),
    ("mnist-ncsnv2", |base| {
        let network = RefineNetConfig { channels: 16, ..RefineNetConfig::ncsnv2() };
        let config = ncsnv2(base, DataSource::new(Dataset::Mnist), network, [16.876, 96.0]);
        TrainConfig { flip: false, learning_rate: 1e-3, steps: 12_000, batch: 64, ..config }.into()
    }),
    ("cifar10-ncsn", |base| ncsn(base, Dataset::Cifar10, RefineNetConfig::ncsn()).into()),
    ("celeba-ncsn", |base| {
        let mut config = ncsn(base, Dataset::Celeba, RefineNetConfig::ncsn());
        (config.data.crop, config.data.size) = (Some(140), Some(32));
        config.into()
    }),
    ("cifar10-ncsnv2", |base| {
        ncsnv2(base, DataSource::new(Dataset::Cifar10), RefineNetConfig::ncsnv2(), [50.0, 232.0]).into()
    }),
    ("celeba-ncsnv2", |base| {
        let data = DataSource { crop: Some(140), size: Some(64), ..DataSource::new(Dataset::Celeba) };
        let config = ncsnv2(base, data, RefineNetConfig::ncsnv2(), [90.0, 500.0]);
        TrainConfig { steps: 210_000, ..config }.into()
    }),
    ("church-ncsnv2", |base| {
        let config = ncsnv2(base, folder("church", 96), RefineNetConfig::ncsnv2_deeper(), [140.0, 788.0]);
        TrainConfig { steps: 200_000, ..config }.into()
    }),
    ("bedroom-ncsnv2", |base| {
        let config = ncsnv2(base, folder("bedroom", 128), RefineNetConfig::ncsnv2_deeper(), [190.0, 1086.0]);
        TrainConfig { steps: 150_000, ..config }.into()
    }),
    ("ffhq-ncsnv2", |base| {
        let config = ncsnv2(base, folder("ffhq", 256), RefineNetConfig::ncsnv2_deepest(), [348.0, 2311.0]);
        TrainConfig { steps: 80_000, batch: 32, adam_epsilon: 1e-3, ..config }.into()
    }),
    ("mnist-classifier", |_| ClassifierTraining::default().into()),
    ("letters-classifier", |_| judge_of("letters-classifier", Dataset::Letters, 52)),
    ("fashion-classifier", |_| judge_of("fashion-classifier", Dataset::FashionMnist, 10)),
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

/// The classifier that judges images of a data set.
fn judge_of(name: &str, dataset: Dataset, classes: usize) -> Course {
    let network = ClassifierConfig { classes, ..ClassifierConfig::default() };
    ClassifierTraining {
        name: name.into(),
        data: DataSource::new(dataset),
        network,
        ..ClassifierTraining::default()
    }
    .into()
}

/// A U-Net for images of about 28x28 pixels.
fn digits_unet(multipliers: Vec<usize>) -> NetworkConfig {
    UNetConfig { multipliers, blocks: 2, attention_levels: vec![1], ..UNetConfig::default() }.into()
}

/// Noise levels for pictures of flat colours, where grain is seen at once. Whether an area is grainy is learned at
/// small noise: by default a ninth of the images has noise below a tenth of the range, here a third.
fn at_small_noise_too() -> Objective {
    let times = TimeDistribution::LogNormal { mean: -0.5, std: 1.5 };
    Dsm { times, ..Dsm::default() }.into()
}

/// Noise levels for images whose shape as a whole is varied: it is decided at large noise, which by default few images
/// have. What is expected there is learned from many images at once.
fn at_large_noise_too() -> Objective {
    Dsm { times: TimeDistribution::LogNormal { mean: 0.7, std: 1.4 }, references: 4096, ..Dsm::default() }
        .into()
}

/// Letters with their classes.
fn letters(base: TrainConfig) -> TrainConfig {
    let mut network = digits_unet(vec![1, 2, 2]);
    network.learn_classes(52);
    TrainConfig { data: DataSource::new(Dataset::Letters), network, ..base }
}

/// A consistency function, tuned from a score model of the same network as Geng et al. (2024) do.
fn tuned_from(model: &str, config: TrainConfig) -> TrainConfig {
    TrainConfig {
        init: Some(model.into()),
        learning_rate: 3e-4,
        rectified: true,
        muon: false,
        sde: measured_ve(),
        preconditioning: PreconditioningChoice::Consistency,
        objective: ConsistencyTraining::default().into(),
        ..config
    }
}

/// VE, its largest noise level measured.
fn measured_ve() -> AnySde {
    VeSde { sigma_min: 0.01, sigma_max: 0.0, ..VeSde::default() }.into()
}

/// NCSN's training (Song and Ermon 2019; its code's `anneal.yml`): ten levels from 1 to 0.01, no average of the weights.
fn ncsn(base: TrainConfig, dataset: Dataset, network: RefineNetConfig) -> TrainConfig {
    TrainConfig {
        data: DataSource::new(dataset),
        network: network.into(),
        sde: VeSde { sigma_min: 0.01, sigma_max: 1.0, ..VeSde::default() }.into(),
        preconditioning: PreconditioningChoice::Score,
        objective: DsmAnnealed::default().into(),
        steps: 200_000,
        batch: 128,
        final_rate: 1.0,
        warmup: 1,
        clip: NO_CLIP,
        ema: 0.0.into(),
        flip: dataset != Dataset::Mnist,
        ..by_adam(base)
    }
}

/// NCSNv2's training (Song and Ermon 2020; its code's configurations), with its largest level and number of levels.
fn ncsnv2(
    base: TrainConfig,
    data: DataSource,
    network: RefineNetConfig,
    [sigma_max, levels]: [f64; 2],
) -> TrainConfig {
    TrainConfig {
        data,
        network: network.into(),
        sde: VeSde { sigma_min: 0.01, sigma_max, ..VeSde::default() }.into(),
        preconditioning: PreconditioningChoice::Eps,
        objective: DsmAnnealed { levels: levels as usize, ..DsmAnnealed::default() }.into(),
        steps: 300_000,
        batch: 128,
        learning_rate: 1e-4,
        final_rate: 1.0,
        warmup: 1,
        clip: NO_CLIP,
        ema: 0.999.into(),
        flip: true,
        ..by_adam(base)
    }
}

/// Adam for all weights, at its usual rate.
fn by_adam(config: TrainConfig) -> TrainConfig {
    TrainConfig { muon: false, learning_rate: 1e-3, ..config }
}

/// A gradient is never as long as this.
const NO_CLIP: f64 = 1e9;

/// Images in a folder of their own.
fn folder(name: &str, size: usize) -> DataSource {
    DataSource { data_dir: Some(name.into()), size: Some(size), ..DataSource::new(Dataset::Folder) }
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
        ..by_adam(base)
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
