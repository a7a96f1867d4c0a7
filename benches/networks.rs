//! The networks that are measured, as model files that every engine reads.

use std::fs;
use std::path::{Path, PathBuf};

use scorefield::images::DataRange;
use scorefield::model::{Preconditioning, ScoreModel};
use scorefield::network::layers::Init;
use scorefield::network::{self, Context, NetworkConfig, UNetConfig};
use scorefield::rng::Noise;
use scorefield::sde::{AnySde, VpSde};
use scorefield::weights::{
    Architecture, FORMAT, ModelCard, ModelFile, Precision, Training, shipped, to_bytes,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{cpu, lively_unet, relative_error, tensor, values};

/// Batches of a forward pass.
pub const BATCHES: [usize; 4] = [1, 16, 64, 256];
/// Images of the inputs that all engines must agree on.
const CHECKED: usize = 2;
/// The noise level of those inputs, as the network reads it.
const C_NOISE: f64 = 0.3;

/// A network and its weights.
pub struct Network {
    pub name: String,
    pub config: UNetConfig,
    /// `[c, h, w]`.
    pub shape: [usize; 3],
    /// Of one forward pass of one image, two for a multiplication with its addition.
    pub flops: f64,
    /// Those of [`Self::flops`] in its convolutions outside of attention, nearly all 3x3.
    pub convolution_flops: f64,
    /// Images of a training step.
    pub training_batch: usize,
    bytes: Vec<u8>,
    card: ModelCard,
}

/// The two reference U-Nets with random weights, and a shipped model.
pub fn all() -> Vec<Network> {
    vec![reference(16, 16), reference(32, 64), mnist()]
}

fn mnist() -> Network {
    let bytes = shipped::bytes("mnist-vp").expect("it is shipped").to_vec();
    Network::new(bytes, 64)
}

fn reference(width: usize, training_batch: usize) -> Network {
    let config = UNetConfig {
        channels: width,
        multipliers: vec![1, 2, 2],
        blocks: 2,
        patch: 1,
        ..UNetConfig::default()
    };
    let sigma_data = 0.5;
    let card = ModelCard {
        format: FORMAT,
        name: format!("unet-w{width}"),
        title: format!("Reference U-Net of width {width}, random weights"),
        architecture: Architecture::Score {
            network: config.clone().into(),
            preconditioning: Preconditioning::Edm { sigma_data },
        },
        sde: Some(AnySde::Vp(VpSde::default())),
        range: DataRange::CENTRED,
        sigma_data,
        data_mean: 0.0,
        channels: 1,
        height: 32,
        width: 32,
        dataset: "none".into(),
        dataset_licence: "none".into(),
        class_names: vec![],
        training: Training::default(),
        published: None,
        quality: vec![],
        accuracy: vec![],
    };
    let network = lively_unet(&config, 1, 5, &cpu());
    Network::new(to_bytes(&network, &card, Precision::F32).expect("finite weights"), training_batch)
}

impl Network {
    fn new(bytes: Vec<u8>, training_batch: usize) -> Self {
        let card = ModelFile::parse("bench", &bytes).expect("a whole file").card;
        let Architecture::Score { network: NetworkConfig::Unet(config), .. } = card.architecture.clone()
        else {
            panic!("{} is no U-Net", card.name);
        };
        let shape = [card.channels, card.height, card.width];
        let [convolution_flops, rest] = flops(&config, shape);
        let flops = convolution_flops + rest;
        Self { name: card.name.clone(), config, shape, flops, convolution_flops, training_batch, bytes, card }
    }

    fn file(&self) -> ModelFile {
        ModelFile::parse(&self.name, &self.bytes).expect("a whole file")
    }

    pub fn score_model(&self, device: &burn::tensor::Device) -> ScoreModel {
        self.file().score_model(device).expect("its own weights")
    }

    /// Inputs and the native CPU's raw output, `[x, features of the noise level, output]`.
    pub fn example(&self) -> [Vec<f32>; 3] {
        let [c, h, w] = self.shape;
        let x = Noise::new(3).normal(0, CHECKED, c * h * w);
        let config = self.config.clone().into();
        let network = network::Network::new(&config, c, c, &mut Init::new(0, &cpu()));
        let network = self.file().fill(network).expect("its own weights");
        let output = network.forward(tensor(&x, [CHECKED, c, h, w], &cpu()), &[C_NOISE], Context::default());
        let features = self.config.embedding.features(&[C_NOISE], self.config.channels);
        [x, features, values(output)]
    }
}

/// The largest difference relative to the largest value; panics where it is too large for the same network.
pub fn agree(who: &str, found: &[f32], expected: &[f32]) -> f64 {
    let error = relative_error(found, expected);
    assert!(error < 1e-3, "{who} computes something else: the relative error is {error:.1e}");
    error
}

/// Writes what the page and the peers read.
pub fn stage(networks: &[Network], folder: &Path) {
    let _ = fs::remove_file(folder.join(MANIFEST));
    for network in networks {
        stage_model(&network.bytes, &network.card, folder);
        for (part, values) in ["x", "features", "output"].iter().zip(network.example()) {
            write(
                folder.join(format!("examples/{}.{part}.f32", network.name)),
                bytemuck::cast_slice(&values),
            );
        }
    }
}

/// The page's list of models.
const MANIFEST: &str = "models/manifest.json";

/// Adds a model file to those that the page reads.
pub fn stage_model(bytes: &[u8], card: &ModelCard, folder: &Path) {
    let old = fs::read(folder.join(MANIFEST)).unwrap_or_else(|_| b"[]".to_vec());
    let mut manifest: Vec<Value> = serde_json::from_slice(&old).expect("what was written here");
    let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = format!("{}.safetensors", card.name);
    write(folder.join("models").join(&file), bytes);
    manifest.push(json!({
        "name": card.name, "title": card.title, "file": file, "bytes": bytes.len(), "sha256": sha256, "card": card,
    }));
    write(folder.join(MANIFEST), json!(manifest).to_string().as_bytes());
}

fn write(path: PathBuf, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a place for the stage");
    fs::write(path, bytes).expect("a place for the stage");
}

/// Of one image, by the shape of a U-Net, two for a multiplication with its addition: those of the convolutions,
/// and those of attention and the dense layers.
fn flops(config: &UNetConfig, [c, h, w]: [usize; 3]) -> [f64; 2] {
    let conv = |pixels: usize, kernel: usize, c_in: usize, c_out: usize| {
        2.0 * (pixels * kernel * kernel * c_in * c_out) as f64
    };
    let (widths, dim): (Vec<_>, _) =
        (config.multipliers.iter().map(|m| m * config.channels).collect(), config.channels);
    let pixels = |level: usize| ((h / config.patch) >> level) * ((w / config.patch) >> level);
    // Three projections in, one out; the weights of all pixels for each, and the sum by them.
    let attention = |level: usize| match config.attention_levels.contains(&level) {
        true => {
            conv(pixels(level), 1, widths[level], 4 * widths[level])
                + 4.0 * (pixels(level).pow(2) * widths[level]) as f64
        }
        false => 0.0,
    };
    let block = |level: usize, c_in: usize| {
        let (p, c_out) = (pixels(level), widths[level]);
        let skip = if c_in == c_out { 0.0 } else { conv(p, 1, c_in, c_out) };
        conv(p, 3, c_in, c_out) + conv(p, 3, c_out, c_out) + skip
    };
    // What the noise level adds to a block's channels.
    let shift = |level: usize| conv(1, 1, 4 * dim, widths[level]);
    let area = config.patch * config.patch;

    let mut rest = conv(1, 1, dim, 4 * dim) + conv(1, 1, 4 * dim, 4 * dim);
    let mut convolutions = conv(pixels(0), 3, c * area, widths[0]);
    let (mut width, mut kept) = (widths[0], vec![widths[0]]);
    for level in 0..widths.len() {
        for _ in 0..config.blocks {
            convolutions += block(level, width);
            rest += shift(level) + attention(level);
            width = widths[level];
            kept.push(width);
        }
        if level + 1 < widths.len() {
            convolutions += conv(pixels(level + 1), 3, width, width);
            kept.push(width);
        }
    }
    let last = widths.len() - 1;
    convolutions += 2.0 * block(last, width);
    rest += 2.0 * shift(last) + attention(last);
    for level in (0..widths.len()).rev() {
        for _ in 0..=config.blocks {
            convolutions += block(level, width + kept.pop().unwrap_or(0));
            rest += shift(level) + attention(level);
            width = widths[level];
        }
        if level > 0 {
            convolutions += conv(pixels(level - 1), 3, width, width);
        }
    }
    [convolutions + conv(pixels(0), 3, width, c * area), rest]
}
