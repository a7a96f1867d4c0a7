//! The program as a user meets it: what it prints, what it writes, and what it says when something is wrong.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use scorefield::picture::{load_npy, save_npy};
use scorefield::weights::ModelFile;

use crate::program::{bad, files, good, run, scorefield};
use crate::support::{digits, figure, trials};

trials! {
    cpu: [
        a_sample_does_not_depend_on_its_neighbours,
        each_class_has_its_turn,
        interpolation_and_models_work_without_a_path,
        codes_lead_back_to_their_image,
        likelihood_is_measured,
        images_are_drawn_under_conditions,
        a_consistency_model_takes_as_many_steps_as_suit_it,
        wrong_usage_exits_with_2_and_names_what_is_allowed,
        failures_exit_with_1_and_say_what_to_change,
        nothing_half_written_is_left,
        without_a_gpu_the_gpu_is_refused_and_auto_takes_the_cpu,
        without_a_display_nothing_is_called_an_error,
        training_stops_on_request_and_goes_on,
        a_run_is_not_overwritten,
        what_is_left_out_of_a_folder_is_told,
        training_starts_from_a_shipped_model,
        training_takes_every_diffusion,
    ],
}

fn a_sample_does_not_depend_on_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let options = "sample --device cpu --sampler pc --steps 4 --seed 7";
    good(at, &format!("{options} --count 5 --batch 3 --out all.npy"));
    good(at, &format!("{options} --count 1 --first 4 --out one.npy"));
    let bytes = |file: &str| std::fs::read(at.join(file)).unwrap();
    let (all, one) = (bytes("all.npy"), bytes("one.npy"));
    assert!(String::from_utf8_lossy(&all[..128]).contains("(5, 1, 28, 28"));
    let size = 28 * 28 * 4;
    assert_eq!(all[all.len() - size..], one[one.len() - size..]);
}

fn each_class_has_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let options = "sample --model mnist-class-vp --device cpu --sampler heun --steps 3 --seed 7 --out a.npy";
    let last = |more: &str| {
        good(at, &format!("{options} {more}"));
        let (_, mut images) = load_npy(at.join("a.npy")).unwrap();
        images.split_off(images.len() - 784)
    };
    // The twelfth image is of the second class, up to the rounding of products of another height.
    let each = last("--class each --count 12 --batch 5");
    let [one, two] = [1, 2].map(|class| last(&format!("--class {class} --first 11 --count 1")));
    let off = |x: &[f32]| each.iter().zip(x).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off(&one) < 1e-3 && off(&two) > 1.0, "{}, {}", off(&one), off(&two));
    let led = last("--class 1 --first 11 --count 1 --weaker mnist-weak");
    assert!(off(&led) > 0.01, "{}", off(&led));
    bad(at, "sample --model mnist-vp --device cpu --class each", 2, &["`each`", "mnist-classifier"]);
}

fn interpolation_and_models_work_without_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    good(at, "sample --model mnist-ve --device cpu --sampler heun --steps 3 --count 2 --out two.png");
    good(
        at,
        "sample --device cpu --sampler pc --steps 3 --option predictor=ancestral --count 1 --out one.png",
    );
    let said = good(
        at,
        "interpolate --device cpu --from seed:3 --to seed:4/1 --frames 3 --rtol 0.05 --atol 0.05 --json",
    );
    let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(summary["shape"], serde_json::json!([3, 1, 28, 28]));
    assert!(summary["nfe"].as_u64().unwrap() > 6);
    assert_eq!(files(at), ["interpolation.png", "one.png", "two.png"]);
    let listed = good(at, "models");
    assert!(
        ["mnist-vp", "mnist-ve", "mnist-classifier"].iter().all(|name| listed.contains(name)),
        "{listed}"
    );
}

fn codes_lead_back_to_their_image() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_digit(at, "seven.png", 14);
    let tolerance = "--device cpu --rtol 1e-3 --atol 1e-3";
    good(at, &format!("encode --image seven.png {tolerance} --out code.npy"));
    let said = good(at, &format!("decode --latent code.npy {tolerance} --inverse --out back.npy --json"));
    assert!(serde_json::from_str::<serde_json::Value>(&said).unwrap()["nfe"].as_u64().unwrap() > 6);
    let (shape, back) = load_npy(at.join("back.npy")).unwrap();
    assert_eq!(shape, [1, 1, 28, 28]);
    let digit = &digits()[14 * 784..15 * 784];
    let sum: f32 = back.iter().zip(digit).map(|(a, b)| (a - f32::from(*b) / 255.0).powi(2)).sum();
    let rms = (sum / 784.0).sqrt();
    figure(format_args!("a digit comes back from its code within {rms:.4} (rms)"));
    assert!(rms < 0.02, "{rms}");
    bad(at, "decode --device cpu --latent seven.png", 1, &["seven.png", "NumPy"]);
    bad(at, "decode --device cpu --latent none.npy", 1, &["none.npy"]);
    save_npy(at.join("flat.npy"), &[784], &back).unwrap();
    bad(at, "decode --device cpu --latent flat.npy", 1, &["flat.npy", "[n, 1, 28, 28]"]);
    bad(at, "encode --device cpu --image seven.png --out code.txt", 2, &[".npy"]);
    bad(at, "encode --device cpu --image none.png", 1, &["none.png"]);
}

fn likelihood_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let said = good(
        at,
        "likelihood --device cpu --dataset synthetic --count 3 --batch 2 --probes 2 --rtol 0.1 --atol 0.1 --json",
    );
    let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((summary["count"].as_u64(), summary["probes"].as_u64()), (Some(3), Some(2)));
    assert!(summary["bits_per_dim"].as_f64().unwrap() > 0.3 && summary["nfe"].as_u64().unwrap() > 12);
    assert!(summary["standard_error"].as_f64().unwrap() > 0.0);
    bad(at, "likelihood --device cpu --dataset synthetic --probes 0 --count 1", 2, &["1 to 1000"]);
    bad(at, "likelihood --device cpu --dataset synthetic --eps 2 --count 1", 2, &["eps"]);
    bad(at, "likelihood --device cpu --dataset synthetic --rtol 9", 2, &["--rtol"]);
    bad(at, "likelihood --device cpu --dataset mnist", 1, &["mnist", "--data-dir"]);
}

/// The page's test digit of that place as a PNG.
fn write_digit(folder: &Path, name: &str, place: usize) {
    let bytes = digits()[place * 784..(place + 1) * 784].to_vec();
    image::GrayImage::from_raw(28, 28, bytes).unwrap().save(folder.join(name)).unwrap();
}

/// `seven.png`, and `lower.png`, which hides its lower half.
fn write_seven_and_mask(folder: &Path) {
    write_digit(folder, "seven.png", 14);
    let lower = image::GrayImage::from_fn(28, 28, |_, y| image::Luma([if y < 14 { 0 } else { 255 }]));
    lower.save(folder.join("lower.png")).unwrap();
}

/// One to draw or to walk, many where a part of the image is known, and as many as are asked for.
fn a_consistency_model_takes_as_many_steps_as_suit_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_seven_and_mask(at);
    let inpaint = "inpaint --image seven.png --mask lower.png --count 1";
    for (command, nfe) in [
        ("sample --count 1", 1),
        ("sample --count 1 --class 3 --guidance 2 --steps 2", 4),
        (inpaint, 40),
        ("inpaint --image seven.png --mask lower.png --count 1 --steps 1", 1),
        ("edit --image seven.png --count 1 --steps 1", 1),
        ("denoise --image seven.png --sigma 0.5", 1),
        ("interpolate --frames 3", 1),
        ("interpolate --frames 3 --steps 2", 2),
    ] {
        let said = good(at, &format!("{command} --model mnist-cm --device cpu --out out.npy --json"));
        let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(summary["nfe"], nfe, "{command}");
    }
    let encoded = "interpolate --from seven.png --frames 3 --model mnist-cm --device cpu --out walk.npy";
    good(at, &format!("{encoded} --encoder mnist-vp"));
    let (shape, walk) = load_npy(at.join("walk.npy")).unwrap();
    assert_eq!(shape, [3, 1, 28, 28]);
    let digit = digits()[14 * 784..15 * 784].to_vec();
    let off = digit.iter().zip(&walk).map(|(b, v)| (f32::from(*b) / 255.0 - v).abs()).sum::<f32>() / 784.0;
    assert!(off < 0.06, "the first image is {off} from the digit");
    bad(at, encoded, 2, &["to encode it", "seeds"]);
    bad(at, &format!("{encoded} --encoder mnist-cm"), 2, &["a score model"]);
    bad(at, &format!("{encoded} --encoder avatars"), 2, &["3x32x32", "1x28x28"]);
    bad(at, "interpolate --model mnist-cm --device cpu --steps 0", 2, &["n_steps", "1 to"]);
    bad(at, "interpolate --device cpu --steps 2", 2, &["leave it out"]);
    bad(at, "interpolate --device cpu --encoder mnist-ve", 2, &["leave it out"]);
    bad(
        at,
        &format!("{inpaint} --model mnist-cm --device cpu --conditioning pigdm"),
        2,
        &["use replacement"],
    );
}

fn images_are_drawn_under_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_seven_and_mask(at);
    image::GrayImage::new(28, 28).save(at.join("black.png")).unwrap();
    image::GrayImage::new(14, 14).save(at.join("small.png")).unwrap();
    let few = "--device cpu --steps 3 --count 2 --out out.npy --json";
    for command in [
        "inpaint --image seven.png --mask lower.png",
        "inpaint --image seven.png --mask lower.png --sampler pc --model mnist-ve",
        "upscale --image small.png --factor 2",
        "edit --image seven.png --strength 0.4",
        "denoise --image seven.png --sigma 0.5 --draw",
        "sample --class 4 --guidance 2",
        "inpaint --image seven.png --mask lower.png --model mnist-cm",
    ] {
        let said = good(at, &format!("{command} {few}"));
        let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(summary["shape"], serde_json::json!([2, 1, 28, 28]), "{command}");
        let (_, drawn) = load_npy(at.join("out.npy")).unwrap();
        if command.starts_with("inpaint") {
            let kept = digits()[14 * 784..14 * 784 + 392].to_vec();
            assert!(
                kept.into_iter().map(|b| f32::from(b) / 255.0).eq(drawn[..392].iter().copied()),
                "{command}"
            );
        }
        assert!(drawn[..784] != drawn[784..], "{command}: both images are the same");
    }
    for (command, count) in [("edit --image seven.png", 4), ("sample", 64)] {
        let said = good(at, &format!("{command} --device cpu --steps 2 --out out.npy --json"));
        let summary: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(summary["shape"][0], count, "{command} without --count");
    }
    let said = good(at, "denoise --image seven.png --sigma 0.5 --device cpu --out mean.png --json");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said).unwrap()["nfe"], 1);

    for (arguments, code, words) in [
        ("inpaint --image small.png --mask lower.png", 1, &["small.png", "14 x 14", "28 x 28"][..]),
        ("inpaint --image seven.png --mask small.png", 1, &["small.png", "28 x 28"]),
        ("inpaint --image seven.png --mask black.png", 1, &["black.png", "white"]),
        ("inpaint --image seven.png", 2, &["--mask"]),
        ("colorize --image seven.png", 2, &["3 channels"]),
        ("upscale --image seven.png --factor 2", 1, &["seven.png", "14 x 14"]),
        ("upscale --image small.png --factor 3", 2, &["divisor"]),
        ("upscale --image small.png --factor 0", 2, &["divisor"]),
        ("edit --image seven.png --strength 2", 2, &["0.011 to 1"]),
        ("denoise --image seven.png --sigma 1e9", 2, &["sigma"]),
        ("denoise --image seven.png", 2, &["--sigma"]),
        ("sample --class 10", 2, &["class", "0 to 9"]),
        ("sample --class 1 --guidance 101", 2, &["guidance", "0 to 100"]),
        ("sample --guidance 2", 2, &["--class"]),
        ("sample --class 1 --classifier mnist-vp", 1, &["classifier"]),
        ("edit --image none.png", 1, &["none.png"]),
        ("edit --image seven.png --out a.jpg", 2, &[".png or .npy"]),
    ] {
        bad(at, &format!("{arguments} --device cpu"), code, words);
    }
}

fn wrong_usage_exits_with_2_and_names_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        ("smaple", &["sample"][..]),
        ("sample --sampler leapfrog", &["ald", "pc", "ode", "heun", "dpmpp_2m", "langevin"]),
        ("sample --sampler pc --option snr=0.1", &["corrector_snr"]),
        ("sample --sampler pc --option corrector_snr", &["NAME=VALUE"]),
        ("sample --sampler pc --option corrector_snr=high", &["corrector_snr", "a number from 0.001 to 1"]),
        ("sample --sampler pc --option predictor=euler", &["predictor", "euler_maruyama, ancestral, none"]),
        ("sample --sampler pc --option predictor=none --option corrector=none", &["choose a predictor"]),
        ("sample --sampler heun --option s_tmin=2 --option s_tmax=1", &["s_tmin <= s_tmax"]),
        ("sample --sampler heun --steps 0", &["from 1 to 1000"]),
        ("sample --count 0", &["--count", "1 to 1000000"]),
        ("sample --device cpu --weaker avatars", &["the weaker model", "the same data set"]),
        ("sample --device cpu --weaker mnist-weak --weaker-weight 200", &["use 0 to 100"]),
        ("sample --weaker-weight 2", &["--weaker"]),
        ("sample --device tpu", &["gpu:0"]),
        ("sample --device gpu:first", &["gpu:first", "gpu:0"]),
        ("sample --out picture.jpg", &[".png or .npy"]),
        ("interpolate --device cpu --from seed:x", &["seed:7"]),
        ("interpolate --device cpu --frames 1", &["2 to 1024"]),
        ("train --preset mnits", &["mnist-vp"]),
        ("train --dataset minst", &["fashion-mnist"]),
        ("train --batch 0 --dry-run", &["batch", "1 or more"]),
    ] {
        bad(folder.path(), arguments, 2, words);
    }
    assert_eq!(files(folder.path()), [""; 0]);
}

fn failures_exit_with_1_and_say_what_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("broken.safetensors"), b"\x10\0\0\0\0\0\0\0{\"__metadata__\":{").unwrap();
    std::fs::write(at.join("words.txt"), "not a model").unwrap();
    std::fs::write(at.join("bad.toml"), "stepz = 3").unwrap();
    image::GrayImage::new(5, 7).save(at.join("small.png")).unwrap();
    for (arguments, words) in [
        ("sample --model mnist-vq", &["mnist-vp", ".safetensors"][..]),
        ("sample --model broken.safetensors", &["broken.safetensors", "safetensors file"]),
        ("sample --model words.txt", &["words.txt"]),
        ("sample --model mnist-classifier --device cpu", &["classifier", "choose another model"]),
        ("interpolate --device cpu --from small.png --to seed:1", &["small.png", "28"]),
        ("interpolate --device cpu --from nowhere.png --to seed:1", &["nowhere.png"]),
        ("train --dataset mnist --device cpu", &["mnist", "--download", "--data-dir"]),
        ("train --config bad.toml", &["bad.toml", "stepz"]),
        ("train --resume --out nothing", &["nothing", "--resume"]),
        ("sample --device cpu --steps 2 --count 1 --out missing/grid.png", &["missing", "folder"]),
    ] {
        bad(at, arguments, 1, words);
    }
    assert_eq!(files(at), ["bad.toml", "broken.safetensors", "small.png", "words.txt"]);
}

fn nothing_half_written_is_left() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A device that is always full, reached through a name with the ending of an array.
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/full", folder.path().join("full.npy")).unwrap();
    bad(folder.path(), "sample --device cpu --steps 2 --count 1 --out full.npy", 1, &["full.npy", "space"]);
    assert_eq!(files(folder.path()), ["full.npy"]);
}

fn without_a_gpu_the_gpu_is_refused_and_auto_takes_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let hidden = |arguments: &str| {
        let mut command = scorefield(folder.path(), arguments);
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
            command.env(variable, "/nonexistent");
        }
        command.env("CUBECL_WGPU_DEFAULT_DEVICE", "DiscreteGpu(0)").output().expect("the program starts")
    };
    let arguments = "sample --steps 2 --count 1 --device";
    let refused = hidden(&format!("{arguments} gpu"));
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("--device cpu") && !stderr.contains("panicked"), "{stderr}");
    let auto = hidden(&format!("{arguments} auto"));
    let stderr = String::from_utf8_lossy(&auto.stderr);
    assert!(auto.status.success() && stderr.contains("CPU"), "{stderr}");
}

fn without_a_display_nothing_is_called_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = scorefield(folder.path(), "sample --device auto --steps 2 --count 1");
    for variable in ["XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DISPLAY"] {
        command.env_remove(variable);
    }
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !stderr.to_lowercase().contains("error"), "{stderr}");
}

const TINY: &str = "train --dataset synthetic --batch 4 --device cpu --name tiny";

fn training_stops_on_request_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut child = scorefield(at, &format!("{TINY} --steps 100000"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let log = at.join("runs/tiny/loss.csv");
    let patience = Instant::now() + Duration::from_secs(120);
    while std::fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 2 {
        assert!(Instant::now() < patience, "no step was done in two minutes");
        std::thread::sleep(Duration::from_millis(50));
    }
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(interrupt.success());
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "Ctrl-C saves and is no failure");
    assert!(said.contains("stopped after step") && said.contains("--resume"), "{said}");

    let step = said.split_whitespace().find_map(|word| word.trim_end_matches(';').parse::<usize>().ok());
    let steps = step.expect("the step is named") + 2;
    let model = good(at, &format!("train --name tiny --device cpu --resume --steps {steps}"));
    assert_eq!(model.trim(), "runs/tiny/tiny.safetensors");
    good(at, "sample --model runs/tiny/tiny.safetensors --device cpu --sampler heun --steps 2 --count 1");
    let kept = files(&at.join("runs/tiny"));
    for name in ["checkpoint.safetensors", "config.toml", "loss.csv", "loss.png", "tiny.safetensors"] {
        assert!(kept.iter().any(|file| file == name), "{kept:?}");
    }
}

fn a_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path(), &format!("{TINY} --steps 1"));
    bad(folder.path(), &format!("{TINY} --steps 1"), 2, &["--resume", "another folder"]);
    std::fs::write(folder.path().join("runs/tiny/checkpoint.safetensors"), "half a file").unwrap();
    bad(
        folder.path(),
        "train --name tiny --device cpu --resume --steps 2",
        1,
        &["checkpoint.safetensors", "not a whole checkpoint"],
    );
}

fn what_is_left_out_of_a_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let warned = || {
        let said = run(at, "train --dataset folder --data-dir own --name own --conditional --dry-run").stderr;
        let said = String::from_utf8(said).unwrap();
        said.lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let class = |name: &str| {
        let class = at.join("own").join(name);
        std::fs::create_dir_all(&class).unwrap();
        image::RgbImage::from_pixel(4, 4, image::Rgb([9, 90, 200])).save(class.join("1.png")).unwrap();
    };
    class("cat");
    class("dog");
    assert_eq!(warned(), [""; 0]);
    std::fs::write(at.join("own/dog/notes.txt"), "not a picture").unwrap();
    let told = warned();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("left out 1 file") && told[0].contains("notes.txt"), "{told:?}");
    (0..255).for_each(|i| class(&i.to_string()));
    assert!(warned().iter().any(|line| line.contains("257 folders are more classes than the 256")));
}

/// Fine-tuning by a step of learning rate 1e-3/300 changes each of Adam's weights by about 3e-6: far from random
/// weights, whose first loss is above 1, and not nothing.
fn training_starts_from_a_shipped_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    good(at, &format!("{TINY} --steps 1 --init mnist-vp"));
    let log = std::fs::read_to_string(at.join("runs/tiny/loss.csv")).unwrap();
    let loss: f64 = log.lines().nth(1).unwrap().split(',').nth(1).unwrap().parse().unwrap();
    assert!(loss < 0.6, "{log}");
    bad(at, &format!("{TINY} --steps 1 --init mnist-classifier --out other"), 1, &["mnist-classifier"]);
}

fn training_takes_every_diffusion() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let vp = "kind = \"vp\"\nbeta_min = 0.1\nbeta_max = 20.0";
    let config = good(at, &format!("{TINY} --steps 1 --dry-run"));
    assert!(config.contains(vp), "{config}");
    for (kind, parameters, named) in [
        ("ve", "sigma_min = 0.01\nsigma_max = 9.0", "VE, sigma 0.01 to 9.0"),
        ("sub_vp", "beta_min = 0.2\nbeta_max = 15.0", "sub-VP, beta 0.2 to 15"),
        ("edm", "sigma_min = 0.002\nsigma_max = 80.0", "EDM, sigma 0.002 to 80.0"),
    ] {
        let text = config.replace(vp, &format!("kind = \"{kind}\"\n{parameters}"));
        std::fs::write(at.join("config.toml"), text).unwrap();
        let model = good(at, &format!("train --config config.toml --device cpu --out {kind}"));
        good(at, &format!("sample --model {} --device cpu --steps 2 --count 1", model.trim()));
        let file = ModelFile::parse(kind, &std::fs::read(at.join(model.trim())).unwrap()).unwrap();
        assert_eq!(file.card.diffusion(), named);
    }
    std::fs::write(
        at.join("config.toml"),
        config.replace("beta_max = 20.0", "beta_max = 0.01").replace("vp", "sub_vp"),
    )
    .unwrap();
    bad(at, "train --config config.toml --device cpu --dry-run", 2, &["0 < beta_min < beta_max"]);
}
