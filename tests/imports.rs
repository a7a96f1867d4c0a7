//! Models as others publish them: their folders become model files, and what does not fit is named.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pollster::block_on;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use scorefield::model::Learned;
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use scorefield::weights::import::Bundle;
use scorefield::weights::{ModelCard, ModelFile, shipped};
use serde_json::{Value, json};

use crate::program::{bad, good};
use crate::published::path;
use crate::support::{cpu, relative_error, trials, values};

trials! {
    cpu: [
        a_folder_is_a_model,
        other_layouts_of_a_folder_are_the_same_model,
        configurations_of_the_papers_are_models,
        the_program_imports_and_draws,
        what_does_not_fit_is_told_in_one_sentence,
        what_is_exported_is_what_was_imported,
    ],
}

/// The files of a published model in memory.
type Files = BTreeMap<String, Vec<u8>>;

fn files(name: &str) -> Files {
    ["config.json", "scheduler_config.json", "diffusion_pytorch_model.safetensors"]
        .into_iter()
        .map(|file| (file.to_owned(), fs::read(path(name).join(file)).unwrap()))
        .collect()
}

fn model(files: &Files) -> scorefield::Result<ModelFile> {
    let lengths = files.iter().map(|(path, bytes)| (path.clone(), bytes.len()));
    Bundle::new("it", lengths, |path, range| Ok(files[path][range].to_vec())).model()
}

fn draws(file: ModelFile) -> Vec<f32> {
    let classes = file.card.classes();
    let sampler = Sampler::usual_for(file.card.learned().unwrap()).unwrap().within(5).unwrap();
    let loaded = file.load(&cpu()).unwrap();
    let model = if classes > 0 { loaded.class_model(1, 1.0) } else { loaded.score_model() }.unwrap();
    values(block_on(sampler.sample(&model, &Noise::new(3), 2, &mut Run::default())).unwrap().images)
}

fn edit(files: &mut Files, file: &str, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&files[file]).unwrap();
    change(&mut value);
    files.insert(file.into(), value.to_string().into_bytes());
}

fn a_folder_is_a_model() {
    for (name, learned, classes, diffusion, low) in [
        ("diffusers_ddpm", Learned::Score, 0, "DDPM, 1000 levels", -1.0),
        ("diffusers_ncsnpp", Learned::Score, 0, "VE, sigma 0.01 to 1348", 0.0),
        ("diffusers_cm", Learned::Consistency, 5, "EDM, sigma 0.002 to 80", -1.0),
    ] {
        let folder = shipped::open(path(name).to_str().unwrap()).unwrap();
        let card = folder.card.clone();
        assert_eq!((card.name.as_str(), card.shape(), card.classes()), (name, [3, 16, 16], classes));
        assert_eq!((card.learned(), card.range.low), (Some(learned), low), "{name}");
        assert!(card.diffusion().contains(diffusion), "{}", card.diffusion());
        // Written and read again it is the same model, and from the page's files in memory too.
        let bytes = folder.to_bytes().unwrap();
        let again = ModelFile::parse(name, &bytes).unwrap();
        // The last digit of a network's frequencies may change on the way through JSON.
        let architecture = card.architecture.clone();
        assert_eq!(ModelCard { architecture, ..again.card.clone() }, card);
        let expected = draws(folder);
        assert!(expected.iter().all(|v| v.is_finite()) && expected.iter().any(|v| *v != expected[0]));
        assert!(relative_error(&draws(again), &expected) < 1e-5, "{name}");
        assert_eq!(draws(model(&files(name)).unwrap()), expected, "{name}");
    }
}

/// Weights divided into shards, in subfolders, in half precision, and a licence in the README.
fn other_layouts_of_a_folder_are_the_same_model() {
    let plain = files("diffusers_ddpm");
    let expected = draws(model(&plain).unwrap());
    let weights = &plain["diffusion_pytorch_model.safetensors"];
    let tensors = SafeTensors::deserialize(weights).unwrap();
    let names = tensors.names();
    let (first, second) = names.split_at(names.len() / 2);
    let mut divided = Files::new();
    let mut places = BTreeMap::new();
    for (file, names) in [("a.safetensors", first), ("b.safetensors", second)] {
        let part = names.iter().map(|name| (*name, tensors.tensor(name).unwrap()));
        divided.insert(format!("unet/{file}"), safetensors::serialize(part, None).unwrap());
        places.extend(names.iter().map(|name| (name.to_string(), file)));
    }
    divided.insert("unet/config.json".into(), plain["config.json"].clone());
    divided.insert("scheduler/scheduler_config.json".into(), plain["scheduler_config.json"].clone());
    divided.insert(
        "unet/diffusion_pytorch_model.safetensors.index.json".into(),
        json!({"metadata": {}, "weight_map": places}).to_string().into_bytes(),
    );
    divided.insert("model_index.json".into(), br#"{"_class_name": "DDPMPipeline"}"#.to_vec());
    divided.insert("README.md".into(), b"---\ntags:\n- x\nlicense: apache-2.0\n---\n# A model".to_vec());
    let file = model(&divided).unwrap();
    assert_eq!(file.card.published.as_ref().unwrap().licence.as_deref(), Some("apache-2.0"));
    assert_eq!(draws(file), expected);

    let missing = {
        let mut files = divided.clone();
        files.remove("unet/b.safetensors");
        model(&files).unwrap_err().to_string()
    };
    assert!(missing.contains("lacks unet/b.safetensors"), "{missing}");

    let half = |view: &TensorView<'_>| -> Vec<u8> {
        let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        numbers.flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect()
    };
    let halves: Vec<_> =
        tensors.iter().map(|(name, view)| (name, view.shape().to_vec(), half(&view))).collect();
    let views = halves
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F16, shape.clone(), bytes).unwrap()));
    let mut smaller = plain.clone();
    smaller
        .insert("diffusion_pytorch_model.safetensors".into(), safetensors::serialize(views, None).unwrap());
    let bytes = model(&smaller).unwrap().to_bytes().unwrap();
    assert!(bytes.len() < weights.len() * 3 / 5, "{} of {}", bytes.len(), weights.len());
}

/// Score-SDE's and NCSN's checkpoints, turned into safetensors, beside their configuration as JSON.
fn configurations_of_the_papers_are_models() {
    for (name, training, learned) in [
        ("ncsn_28", None, "VE, sigma 0.01 to 1.0"),
        ("ncsnv2_32", None, "VE, sigma 0.01 to 50"),
        ("ncsnv2_deeper", None, "VE, sigma 0.01 to 50"),
        ("ncsnv2_deepest", None, "VE, sigma 0.01 to 50"),
        ("ddpm_vp", Some(("vpsde", true)), "VP, beta 0.1 to 20"),
        ("ddpm_vp", Some(("vpsde", false)), "DDPM, 1000 levels, beta 0.0001 to 0.02"),
        ("ddpmpp_vp", Some(("subvpsde", true)), "sub-VP"),
        ("ncsnpp_ve", Some(("vesde", true)), "VE, sigma 0.01 to 50"),
        ("ncsnpp_256_ve", Some(("vesde", true)), "VE, sigma 0.01 to 348"),
    ] {
        let bytes = fs::read(path(&format!("{name}.safetensors"))).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let about: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["about"]).unwrap();
        let config = match training {
            None => about["config"].clone(),
            Some((sde, continuous)) => json!({
                "model": about["model"],
                "data": {"image_size": 16, "num_channels": 3, "centered": about["centered"]},
                "training": {"sde": sde, "continuous": continuous},
            }),
        };
        // As a checkpoint has them: no inputs and outputs beside the weights, and the mark of several devices.
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let weights = tensors
            .iter()
            .filter_map(|(name, view)| Some((format!("module.{}", name.strip_prefix("weights.")?), view)));
        let files: Files = [
            ("config.json".into(), config.to_string().into_bytes()),
            ("weights.safetensors".into(), safetensors::serialize(weights, None).unwrap()),
        ]
        .into();
        let file = model(&files).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(file.card.diffusion().contains(learned), "{name}: {}", file.card.diffusion());
        assert!(draws(file).iter().all(|v| v.is_finite()), "{name}");
    }
}

fn the_program_imports_and_draws() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let source = path("diffusers_ddpm").display().to_string();
    let out = good(folder, &format!("import {source} --name other"));
    assert!(out.contains("other.safetensors: DDPM, 1000 levels"), "{out}");
    assert!(out.contains("253123 weights") && out.contains("--sampler heun"), "{out}");
    let draw = |model: &str, to: &str| {
        good(folder, &format!("sample --model {model} --count 2 --steps 3 --device cpu --out {to}"));
        fs::read(folder.join(to)).unwrap()
    };
    assert_eq!(draw("other.safetensors", "a.npy"), draw(&source, "b.npy"));
    // The folder from within, and its weights by their name.
    let inside = folder.join("inside");
    fs::create_dir(&inside).unwrap();
    for file in fs::read_dir(&source).unwrap().map(|file| file.unwrap().path()) {
        fs::copy(&file, inside.join(file.file_name().unwrap())).unwrap();
    }
    for model in [".", "diffusion_pytorch_model.safetensors"] {
        good(&inside, &format!("sample --model {model} --count 2 --steps 3 --device cpu --out c.npy"));
        assert_eq!(
            fs::read(inside.join("c.npy")).unwrap(),
            fs::read(folder.join("b.npy")).unwrap(),
            "{model}"
        );
    }
    let whole = fs::metadata(folder.join("other.safetensors")).unwrap().len();
    good(folder, &format!("import {source} --half --out half.safetensors"));
    let half = fs::metadata(folder.join("half.safetensors")).unwrap().len();
    assert!(half < whole * 3 / 5, "{half} of {whole}");
    bad(folder, &format!("import {source} --name a/b"), 2, &["without slashes"]);
    bad(folder, "import nowhere", 1, &["is not there"]);

    // A consistency model is drawn from by its own sampler unless another is asked for, and needs a class.
    let sample =
        format!("sample --device cpu --count 1 --out c.png --model {}", path("diffusers_cm").display());
    good(folder, &format!("{sample} --class 2"));
    bad(folder, &sample, 2, &["choose one, 0 to 4"]);
    bad(folder, &format!("{sample} --class 2 --guidance 3"), 2, &["use 1"]);
    bad(folder, &format!("{sample} --class 2 --sampler heun"), 2, &["use multistep"]);
}

fn what_does_not_fit_is_told_in_one_sentence() {
    type Change = fn(&mut Files);
    let changes: [(&str, Change); 16] = [
        ("lacks the tensor", |files| edit(files, "config.json", |c| c["layers_per_block"] = json!(3))),
        ("unknown tensor", |files| edit(files, "config.json", |c| c["layers_per_block"] = json!(1))),
        ("block_out_channels", |files| {
            edit(files, "config.json", |c| c["block_out_channels"] = json!([16, 40]))
        }),
        ("FancyBlock2D", |files| {
            edit(files, "config.json", |c| c["down_block_types"] = json!(["DownBlock2D", "FancyBlock2D"]));
        }),
        ("UNet2DConditionModel", |files| {
            edit(files, "config.json", |c| c["_class_name"] = json!("UNet2DConditionModel"));
        }),
        ("VQModel", |files| {
            files.insert("vqvae/config.json".into(), br#"{"_class_name": "VQModel"}"#.to_vec());
        }),
        ("sample_size", |files| edit(files, "config.json", |c| c["sample_size"] = Value::Null)),
        ("in_channels", |files| edit(files, "config.json", |c| c["out_channels"] = json!(6))),
        ("v_prediction", |files| {
            edit(files, "scheduler_config.json", |c| c["prediction_type"] = json!("v_prediction"));
        }),
        ("StrangeScheduler", |files| {
            edit(files, "scheduler_config.json", |c| c["_class_name"] = json!("StrangeScheduler"));
        }),
        ("add the scheduler_config.json", |files| drop(files.remove("scheduler_config.json"))),
        ("add the config.json", |files| {
            files.retain(|file, _| file.ends_with(".safetensors"));
        }),
        ("config.json is no JSON", |files| drop(files.insert("config.json".into(), b"{\"a\": ".to_vec()))),
        ("torch.load('diffusion_pytorch_model.bin'", |files| {
            let weights = files.remove("diffusion_pytorch_model.safetensors").unwrap();
            files.insert("diffusion_pytorch_model.bin".into(), weights);
        }),
        ("has no weights", |files| files.retain(|file, _| file == "config.json")),
        ("is a pickle, which is a program", |files| {
            *files = [("model.ckpt".to_owned(), vec![128, 2])].into()
        }),
    ];
    for (word, change) in changes {
        let mut files = files("diffusers_ddpm");
        change(&mut files);
        let message = model(&files).and_then(|file| file.load(&cpu())).unwrap_err().to_string();
        assert!(message.contains(word) && !message.contains('\n'), "{word}: {message}");
    }
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut files = files("diffusers_ddpm");
        change(files.get_mut("diffusion_pytorch_model.safetensors").unwrap());
        model(&files).unwrap_err().to_string()
    };
    let cut = broken(|bytes| bytes.truncate(bytes.len() / 2));
    assert!(cut.contains("not a whole safetensors file"), "{cut}");
    let nan = broken(|bytes| {
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert!(nan.contains("NaN"), "{nan}");
    let none = shipped::open("no/such/folder").unwrap_err().to_string();
    assert!(none.contains("the folder of a published model"), "{none}");
    let pickle = Path::new(&std::env::temp_dir()).join("scorefield-pickle.pt");
    fs::write(&pickle, b"PK").unwrap();
    let refused = shipped::open(pickle.to_str().unwrap()).unwrap_err().to_string();
    fs::remove_file(&pickle).unwrap();
    assert!(refused.contains("is a pickle") && refused.contains("save_file"), "{refused}");
}

/// Every tensor bit for bit, and a configuration that means the same. Networks of our own style have no form there.
fn what_is_exported_is_what_was_imported() {
    for name in ["diffusers_ddpm", "diffusers_ncsnpp", "diffusers_cm"] {
        let original = files(name);
        let file = model(&original).unwrap();
        let exported: Files =
            file.to_diffusers().unwrap().into_iter().map(|(path, bytes)| (path.to_owned(), bytes)).collect();
        let theirs = SafeTensors::deserialize(&exported["unet/diffusion_pytorch_model.safetensors"]).unwrap();
        let tensors = SafeTensors::deserialize(&original["diffusion_pytorch_model.safetensors"]).unwrap();
        let names = |file: &SafeTensors<'_>| -> std::collections::BTreeSet<String> {
            file.names().into_iter().map(String::from).collect()
        };
        assert_eq!(names(&theirs), names(&tensors), "{name}");
        for (tensor, view) in tensors.iter() {
            let found = theirs.tensor(tensor).unwrap();
            let mut data = found.data().to_vec();
            // Cosines before sines or after them, which the configuration says.
            if tensor == "time_embedding.linear_1.weight" && name == "diffusers_cm" {
                let row = 4 * found.shape()[1];
                data.chunks_exact_mut(row).for_each(|row| row.rotate_left(row.len() / 2));
            }
            assert_eq!((found.shape(), &data[..]), (view.shape(), view.data()), "{name}: {tensor}");
        }
        let again = model(&exported).unwrap();
        assert_eq!(again.card.sde, file.card.sde);
        assert_eq!(draws(again), draws(file), "{name}");
    }

    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    good(folder, &format!("export {} --out there", path("diffusers_ddpm").display()));
    assert!(folder.join("there/unet/config.json").exists() && folder.join("there/model_index.json").exists());
    good(folder, "sample --model there --device cpu --count 1 --steps 2 --out a.png");
    bad(
        folder,
        &format!("export {} --out there", path("diffusers_ddpm").display()),
        2,
        &["name a new folder"],
    );
    for (model, word) in [("mnist-vp", "preconditioning"), ("mnist-classifier", "it is a classifier")] {
        bad(folder, &format!("export {model} --out other"), 1, &["has no form in diffusers", word]);
        assert!(!folder.join("other").exists());
    }
}
