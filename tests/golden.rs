//! Files of earlier versions, which every later one has to read: tests/golden/README.md says how they came about.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use safetensors::tensor::SafeTensors;
use scorefield::data::{DataSource, Dataset};
use scorefield::network::{NetworkConfig, UNetConfig};
use scorefield::objective::{Dsm, TimeDistribution, Weighting};
use scorefield::picture::load_npy;
use scorefield::rng::Noise;
use scorefield::training::run::checkpoint::Checkpoint;
use scorefield::training::{Course, ScoreLesson, TrainConfig, Trainer};
use scorefield::weights::{ModelFile, shipped};
use serde_json::{Value, json};

use crate::support::{cpu, draw, named, relative_error, trials};

trials! {
    cpu: [
        model_files_stay_the_same_when_written_again,
        an_old_model_draws_what_it_drew,
        an_old_configuration_means_what_it_meant,
        an_old_checkpoint_goes_on,
    ],
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// The names of the weights, their types, shapes and bytes, and what the card says. (JSON's numbers may change in their last
/// digit.)
fn model_files_stay_the_same_when_written_again() {
    let golden = bytes("model.safetensors");
    let shipped = shipped::names().map(|name| shipped::bytes(name).unwrap().to_vec());
    for file in [golden].into_iter().chain(shipped) {
        let parsed = ModelFile::parse("golden", &file).unwrap();
        let written = parsed.to_bytes().unwrap();
        let name = parsed.card.name.clone();
        let [before, after] = [&file, &written].map(|bytes| {
            let (length, header) = SafeTensors::read_metadata(bytes).unwrap();
            let card: Value =
                serde_json::from_str(&header.metadata().as_ref().unwrap()["scorefield"]).unwrap();
            let keys: Vec<String> = card["architecture"].as_object().unwrap().keys().cloned().collect();
            (keys, header.tensors().keys().cloned().collect::<BTreeSet<_>>(), bytes[8 + length..].to_vec())
        });
        assert!(before == after, "{name}");
        assert_eq!(ModelFile::parse("golden", &written).unwrap().card, parsed.card);
    }
}

fn an_old_model_draws_what_it_drew() {
    let model = ModelFile::parse("golden", &bytes("model.safetensors")).unwrap().score_model(&cpu()).unwrap();
    let (shape, expected) = load_npy(path("samples.npy")).unwrap();
    assert_eq!(shape, [2, 1, 8, 8]);
    let found = draw(&named("heun", json!({"n_steps": 3})), &model, Noise::new(5), 2);
    let error = relative_error(&found, &expected);
    assert!(error < 1e-5, "off by {error:e}");
}

fn an_old_configuration_means_what_it_meant() {
    let text = String::from_utf8(bytes("config.toml")).unwrap();
    let Course::Score(config) = toml::from_str(&text).unwrap() else { panic!("it is a score network's") };
    config.validate().unwrap();
    assert_eq!((config.name.as_str(), config.steps, config.batch), ("golden", 3, 4));
    let data = DataSource { size: Some(8), limit: Some(40), ..DataSource::new(Dataset::Synthetic) };
    assert_eq!(config.data, data);
    assert!(!config.muon, "there was Adam alone");
    assert!(config.sde.is_open(), "its largest noise level is to be measured");
    let dsm = Dsm { weighting: Weighting::Std2, times: TimeDistribution::Uniform, references: 0 };
    assert_eq!(config.objective, dsm.into());
    let network = UNetConfig { channels: 4, attention_levels: vec![1], classes: 10, ..UNetConfig::default() };
    assert_eq!(config.network, NetworkConfig::from(network));
    let short: TrainConfig = toml::from_str("steps = 3").unwrap();
    assert_eq!((short.muon, short.learning_rate), (false, 1e-3), "what a file did not say");
}

fn an_old_checkpoint_goes_on() {
    let checkpoint = Checkpoint::read(&path("checkpoint.safetensors")).unwrap();
    assert_eq!(checkpoint.state.step, 2);
    let Course::Score(config) = checkpoint.state.config.clone() else { panic!("it is a score network's") };
    let images = config.data.load().unwrap();
    let mut trainer = Trainer::new(ScoreLesson::new(&config, &images).unwrap(), &cpu());
    checkpoint.restore(&mut trainer).unwrap();
    assert_eq!(trainer.step_count(), 2);
}
