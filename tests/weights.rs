//! Model files: what is written is read back, and no file whatever makes the reader panic or allocate more
//! than the file holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use burn::module::Module;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use scorefield::Error;
use scorefield::images::DataRange;
use scorefield::model::{Denoiser, Preconditioned, Preconditioning};
use scorefield::network::layers::Init;
use scorefield::network::{Classifier, ClassifierConfig, UNetConfig};
use scorefield::ops::{Adapter, reads_half};
use scorefield::rng::Noise;
use scorefield::sde::{AnySde, VeSde};
use scorefield::weights::{Architecture, FORMAT, ModelCard, ModelFile, Precision, Training, to_bytes};
use serde_json::{Value, json};

use crate::support::{cpu, figure, gpu, lively_unet, small_unet, tensor, trials, values};

trials! {
    cpu: [
        files_in_f32_are_exact,
        files_in_f16_are_within_half_precision,
        classifiers_are_files_too,
        weights_that_cannot_be_written_are_refused,
        truncated_files_are_refused,
        files_with_changed_bytes_never_panic,
        lying_headers_are_refused,
        weights_that_do_not_fit_are_refused,
    ],
    gpu: [
        half_precision_on_the_gpu_changes_nothing,
    ],
}

pub const SHAPE: [usize; 3] = [1, 8, 8];

pub fn card(config: &UNetConfig) -> ModelCard {
    ModelCard {
        format: FORMAT,
        name: "test".into(),
        title: "A test".into(),
        architecture: Architecture::Score {
            network: config.clone().into(),
            preconditioning: Preconditioning::Edm { sigma_data: 0.5 },
        },
        sde: Some(AnySde::Ve(VeSde { sigma_min: 0.01, sigma_max: 12.5, ..VeSde::default() })),
        range: DataRange::UNIT,
        sigma_data: 0.5,
        data_mean: 0.0,
        channels: SHAPE[0],
        height: SHAPE[1],
        width: SHAPE[2],
        dataset: "none".into(),
        dataset_licence: "CC0-1.0".into(),
        class_names: vec![],
        training: Training::default(),
        published: None,
        quality: vec![],
        accuracy: vec![],
    }
}

/// Weights of a file in half precision are kept so where kernels read that, and computed with in single precision: the
/// same images to the bit as from a file in single precision with the same values.
fn half_precision_on_the_gpu_changes_nothing() {
    let config = UNetConfig { channels: 12, ..small_unet() };
    let network = || lively_unet(&config, 1, 3, &cpu());
    let half = to_bytes(&network(), &card(&config), Precision::F16).unwrap();
    let parse = |bytes: &[u8]| ModelFile::parse("test", bytes).unwrap();
    let rounded = parse(&half).fill(network()).unwrap();
    let single = to_bytes(&rounded, &card(&config), Precision::F32).unwrap();
    let x = tensor(&Noise::new(4).normal(0, 2, 64), [2, 1, 8, 8], &gpu());
    let images = |bytes| values(parse(bytes).score_model(&gpu()).unwrap().denoised(x.clone(), &[0.3, 0.7]));
    let both = || [&half, &single].map(|bytes| images(bytes));
    for [half, single] in [both(), Adapter::HARDWARE.pretend(both)] {
        assert!(half.iter().all(|v| v.is_finite()) && half.iter().any(|v| v.abs() > 1e-3));
        assert_eq!(half, single);
    }
    figure(format_args!("the GPU reads weights in half precision: {}", reads_half(&gpu())));
}

/// The smallest network, so that most bytes of its file are header.
pub fn tiny() -> UNetConfig {
    UNetConfig { channels: 4, multipliers: vec![1], ..UNetConfig::default() }
}

pub fn file(config: &UNetConfig, precision: Precision) -> Vec<u8> {
    to_bytes(&lively_unet(config, 1, 3, &cpu()), &card(config), precision).unwrap()
}

/// Reads a file all the way to a model, and looks at one output.
pub fn load(bytes: &[u8]) -> scorefield::Result<Vec<f32>> {
    let model = ModelFile::parse("test", bytes)?.score_model(&cpu())?;
    let [c, h, w] = model.shape;
    if c * h * w > 4096 {
        return Ok(vec![]);
    }
    let x = tensor(&Noise::new(1).normal(0, 1, c * h * w), [1, c, h, w], &cpu());
    Ok(values(model.denoised(x, &[0.5])))
}

#[track_caller]
pub fn refused(bytes: &[u8], what: &str) -> String {
    match catch_unwind(AssertUnwindSafe(|| load(bytes))) {
        Err(_) => panic!("{what}: it panicked"),
        Ok(Ok(_)) => panic!("{what}: it was accepted"),
        Ok(Err(error @ Error::Weights { .. })) => error.to_string(),
        Ok(Err(error)) => panic!("{what}: {error:?}"),
    }
}

fn files_in_f32_are_exact() {
    let config = small_unet();
    let bytes = file(&config, Precision::F32);
    let read = ModelFile::parse("test", &bytes).unwrap();
    assert_eq!(read.card, card(&config));
    let model = read.score_model(&cpu()).unwrap();
    assert_eq!((model.shape, model.range, Some(model.sde)), (SHAPE, DataRange::UNIT, card(&config).sde));

    let x = || tensor(&Noise::new(1).normal(0, 2, 64), [2, 1, 8, 8], &cpu());
    let preconditioning = Preconditioning::Edm { sigma_data: 0.5 };
    let network = lively_unet(&config, 1, 3, &cpu());
    let original = Preconditioned::new(network, preconditioning, model.sde);
    let t = model.sde.time_of_sigma(0.8);
    assert_eq!(values(model.denoised(x(), &[t])), values(original.denoise(x(), &[model.sde.sigma(t)])));
    assert_eq!(bytes, file(&config, Precision::F32), "the same network gives the same bytes");
}

/// Every weight `w` is within `|w|·2⁻¹¹`, or half the smallest subnormal, 2⁻²⁵.
fn files_in_f16_are_within_half_precision() {
    let config = small_unet();
    let (single, half) = (file(&config, Precision::F32), file(&config, Precision::F16));
    assert!(half.len() < single.len() * 6 / 10, "{} and {} bytes", half.len(), single.len());
    let (single, half) =
        (SafeTensors::deserialize(&single).unwrap(), SafeTensors::deserialize(&half).unwrap());
    assert_eq!(single.len(), half.len());
    let mut worst = 0.0_f64;
    for (name, exact) in single.tensors() {
        let rounded = half.tensor(&name).unwrap();
        assert_eq!((rounded.dtype(), rounded.shape()), (Dtype::F16, exact.shape()));
        for (a, b) in exact.data().chunks_exact(4).zip(rounded.data().chunks_exact(2)) {
            let a = f64::from(f32::from_le_bytes(a.try_into().unwrap()));
            let b = half::f16::from_le_bytes(b.try_into().unwrap()).to_f64();
            let bound = (a.abs() * 2.0_f64.powi(-11)).max(2.0_f64.powi(-25));
            assert!((a - b).abs() <= bound, "{name}: {a} became {b}");
            worst = worst.max((a - b).abs() / a.abs().max(1e-4));
        }
    }
    figure(format_args!("f16: largest relative error {worst:.1e}"));
}

fn classifiers_are_files_too() {
    let config = ClassifierConfig { channels: 8, classes: 5, features: 6 };
    let network = Classifier::new(&config, 1, &mut Init::new(1, &cpu()));
    let architecture = Architecture::Classifier { config };
    let card = ModelCard { architecture, sde: None, ..card(&tiny()) };
    let bytes = to_bytes(&network, &card, Precision::F32).unwrap();
    let x = || tensor(&Noise::new(1).normal(0, 2, 63), [2, 1, 7, 9], &cpu());
    let read = ModelFile::parse("test", &bytes).unwrap().classifier(&cpu()).unwrap();
    assert_eq!(values(read.forward(x(), &[0.3]).logits), values(network.forward(x(), &[0.3]).logits));
    assert!(refused(&bytes, "a classifier as score model").contains("classifier"));
    let unet = ModelFile::parse("test", &file(&tiny(), Precision::F32)).unwrap();
    assert!(matches!(unet.classifier(&cpu()), Err(Error::Weights { .. })));
}

fn weights_that_cannot_be_written_are_refused() {
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::Tensor;
    struct Times(f32);
    impl ModuleMapper for Times {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|old| old * self.0)
        }
    }
    for (factor, precision, allowed) in [
        (1e6, Precision::F16, false),
        (1e6, Precision::F32, true),
        (f32::NAN, Precision::F32, false),
        (f32::INFINITY, Precision::F32, false),
        (f32::NAN, Precision::F16, false),
    ] {
        let network = lively_unet(&tiny(), 1, 3, &cpu()).map(&mut Times(factor));
        let result = to_bytes(&network, &card(&tiny()), precision);
        assert_eq!(result.is_ok(), allowed, "{factor} in {precision:?}");
        assert!(result.is_ok() || matches!(result, Err(Error::Weights { .. })));
    }
}

fn truncated_files_are_refused() {
    let bytes = file(&tiny(), Precision::F16);
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let offsets = (0..header + 64).step_by(7).chain((header..bytes.len()).step_by(97));
    for cut in offsets.chain([1, 7, 8, 9, header - 1, header, header + 1, bytes.len() - 1]) {
        refused(&bytes[..cut], &format!("cut at {cut} of {}", bytes.len()));
    }
    let mut longer = bytes;
    longer.push(0);
    refused(&longer, "a byte too many");
}

/// One to eight bytes changed, half of the time in the header: an error that says so, or a model that works
/// as well as a changed weight lets it.
fn files_with_changed_bytes_never_panic() {
    let bytes = file(&tiny(), Precision::F16);
    load(&bytes).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut random = Noise::new(2).stream(0);
    let mut accepted = 0;
    const CASES: usize = 4000;
    for case in 0..CASES {
        let mut bytes = bytes.clone();
        let end = if case % 2 == 0 { header } else { bytes.len() };
        for _ in 0..=random.below(8) {
            let at = random.below(end);
            bytes[at] = match random.below(3) {
                0 => bytes[at] ^ (1 << random.below(8)),
                1 => random.below(256) as u8,
                _ => b"0123456789\"{}[],:-.e"[random.below(20)],
            };
        }
        match catch_unwind(AssertUnwindSafe(|| load(&bytes))) {
            Ok(Ok(_)) => accepted += 1,
            Ok(Err(Error::Weights { .. })) => {}
            Ok(Err(error)) => panic!("case {case}: {error:?}"),
            Err(_) => panic!("case {case} panicked"),
        }
    }
    figure(format_args!("{accepted} of {CASES} files with changed bytes still load"));
    assert!((CASES / 50..CASES / 2).contains(&accepted), "{accepted} of {CASES} still load");
}

/// A file of the given header and `len` bytes of data.
pub fn raw(header: &Value, len: usize) -> Vec<u8> {
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + len, 0);
    bytes
}

/// The header of a good file, as JSON, and its data.
pub fn opened(bytes: &[u8]) -> (Value, Vec<u8>) {
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..end]).unwrap(), bytes[end..].to_vec())
}

fn lying_headers_are_refused() {
    let good = file(&tiny(), Precision::F16);
    let (header, data) = opened(&good);
    let started = Instant::now();
    for length in
        [u64::MAX, u64::MAX - 7, 1 << 62, 1 << 40, 100_000_001, good.len() as u64, good.len() as u64 - 7]
    {
        let mut bytes = good.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        refused(&bytes, &format!("a header of {length} bytes"));
    }
    let with = |name: &str, entry: Value| {
        let mut header = header.clone();
        header[name] = entry;
        let mut bytes = raw(&header, 0);
        bytes.extend_from_slice(&data);
        bytes
    };
    let name = "time.first.weight";
    assert!(!header[name].is_null(), "{header}");
    let end = data.len();
    for entry in [
        json!({"dtype": "F16", "shape": [1_u64 << 40], "data_offsets": [0, 1_u64 << 41]}),
        json!({"dtype": "F16", "shape": [u64::MAX, 2], "data_offsets": [0, 4]}),
        json!({"dtype": "F16", "shape": [1_u64 << 33, 1_u64 << 33], "data_offsets": [0, 4]}),
        json!({"dtype": "F16", "shape": [4, 16], "data_offsets": [0, u64::MAX]}),
        json!({"dtype": "F16", "shape": [4, 16], "data_offsets": [end, 0]}),
        json!({"dtype": "F16", "shape": [4, -16], "data_offsets": [0, 128]}),
        json!({"dtype": "F99", "shape": [4, 16], "data_offsets": [0, 128]}),
        json!({"dtype": "F16", "shape": [], "data_offsets": [0, 2]}),
        json!({"dtype": "F16"}),
        json!([]),
        json!(null),
    ] {
        refused(&with(name, entry.clone()), &entry.to_string());
        refused(&with("another", entry.clone()), &format!("another tensor {entry}"));
    }
    for bytes in
        [vec![], vec![0; 8], raw(&json!({}), 0), raw(&json!([]), 0), raw(&json!(3), 8), vec![b'{'; 4096]]
    {
        refused(&bytes, "not a model at all");
    }
    // Deeper than any reader's stack.
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let mut bytes = (deep.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(deep.as_bytes());
    refused(&bytes, "200,000 brackets");
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

/// Writes the tensors of a good file, changed, with its card.
pub fn rewritten(
    change: impl Fn(&str, Dtype, Vec<usize>, Vec<u8>) -> Option<(String, Dtype, Vec<usize>, Vec<u8>)>,
) -> Vec<u8> {
    let good = file(&tiny(), Precision::F32);
    let tensors = SafeTensors::deserialize(&good).unwrap();
    let changed: Vec<_> = tensors
        .iter()
        .filter_map(|(name, view)| change(name, view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    let views = changed.iter().map(|(name, dtype, shape, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let (_, header) = SafeTensors::read_metadata(&good).unwrap();
    safetensors::serialize(views, header.metadata().clone()).unwrap()
}

fn weights_that_do_not_fit_are_refused() {
    load(&rewritten(|name, dtype, shape, data| Some((name.into(), dtype, shape, data)))).unwrap();
    let tensors = file(&tiny(), Precision::F32);
    let names: Vec<String> =
        SafeTensors::deserialize(&tensors).unwrap().names().into_iter().map(String::from).collect();
    for target in &names {
        let is_it = |name: &str| name == target;
        let missing =
            rewritten(|name, dtype, shape, data| (!is_it(name)).then(|| (name.into(), dtype, shape, data)));
        assert!(refused(&missing, &format!("without {target}")).contains(target.as_str()));
        let renamed = rewritten(|name, dtype, shape, data| {
            Some((if is_it(name) { "stranger".into() } else { name.into() }, dtype, shape, data))
        });
        refused(&renamed, &format!("with {target} renamed"));
        let longer = rewritten(|name, dtype, mut shape, mut data| {
            if is_it(name) {
                let row = data.len() / shape[0];
                shape[0] += 1;
                data.resize(data.len() + row, 0);
            }
            Some((name.into(), dtype, shape, data))
        });
        refused(&longer, &format!("with {target} longer"));
        let flat = rewritten(|name, dtype, shape, data| {
            let shape = if is_it(name) { vec![1, shape.iter().product(), 1] } else { shape };
            Some((name.into(), dtype, shape, data))
        });
        refused(&flat, &format!("with {target} of another rank"));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let poisoned = rewritten(|name, dtype, shape, mut data| {
                if is_it(name) {
                    let end = data.len();
                    data[end - 4..].copy_from_slice(&bad.to_le_bytes());
                }
                Some((name.into(), dtype, shape, data))
            });
            assert!(refused(&poisoned, &format!("{bad} in {target}")).contains("NaN"));
        }
        let integers = rewritten(|name, dtype, shape, data| {
            Some((name.into(), if is_it(name) { Dtype::I32 } else { dtype }, shape, data))
        });
        assert!(refused(&integers, &format!("{target} of integers")).contains("I32"));
    }
}
