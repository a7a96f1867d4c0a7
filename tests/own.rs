//! The user's own images: classes with names, grey ones, archives, and pictures that do not fit.

use std::path::Path;

use scorefield::picture::load_npy;
use scorefield::weights::ModelFile;

use crate::program::{bad, files, good, run};
use crate::support::trials;

trials! {
    cpu: [
        classes_are_asked_for_by_name,
        a_test_part_without_a_class_keeps_the_others_in_place,
        grey_pictures_are_told_of_and_read_as_grey,
        arrays_of_archives_are_named,
        the_advice_on_a_picture_that_does_not_fit_helps,
        what_cannot_be_written_is_refused_before_anything_is_drawn,
        a_hostile_picture_is_named,
        few_samples_are_told_to_mean_nothing,
    ],
}

/// A picture of one colour.
fn picture(folder: &Path, name: &str, side: u32, color: [u8; 3]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).unwrap();
    image::RgbImage::from_pixel(side, side, image::Rgb(color)).save(path).unwrap();
}

fn warnings(folder: &Path, arguments: &str) -> Vec<String> {
    let output = run(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {said}");
    said.lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned).collect()
}

/// A configuration of a tiny network, in `tiny.toml`.
fn tiny(folder: &Path, dataset: &str) {
    let text = format!(
        "name = \"tiny\"\nsteps = 1\nbatch = 2\nsample_every = 0\n[data]\ndataset = \"{dataset}\"\n\
         [network]\nchannels = 8\nmultipliers = [1]\nblocks = 1\nattention_levels = []\npatch = 1\n"
    );
    std::fs::write(folder.join("tiny.toml"), text).unwrap();
}

const TRAIN: &str = "train --config tiny.toml --device cpu";

fn classes_are_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (i, class) in ["2", "10", "1", "moon"].iter().enumerate() {
        picture(at, &format!("own/{class}/0.png"), 8, [60 * i as u8, 90, 200]);
    }
    std::fs::create_dir(at.join("own/0")).unwrap();
    tiny(at, "folder");
    let told = warnings(at, &format!("{TRAIN} --data-dir own --conditional"));
    assert!(told.len() == 1 && told[0].contains("left out 1 folder without a picture"), "{told:?}");
    let model = "runs/tiny/tiny.safetensors";
    let card = ModelFile::parse("tiny", &std::fs::read(at.join(model)).unwrap()).unwrap().card;
    assert_eq!((card.class_names.join(" ").as_str(), card.classes()), ("1 2 10 moon", 4));

    let drawn = |class: &str| {
        good(
            at,
            &format!("sample --model {model} --device cpu --steps 2 --count 1 --class {class} --out a.npy"),
        );
        load_npy(at.join("a.npy")).unwrap().1
    };
    assert_eq!(drawn("moon"), drawn("3"), "a number that is no name is a number");
    assert_eq!(card.class("2").unwrap(), 1, "a name goes before a number");
    let sample = format!("sample --model {model} --device cpu --class");
    bad(at, &format!("{sample} noon"), 2, &["`noon`", "use one of 1, 2, 10, moon"]);
    bad(at, "sample --model mnist-class-vp --device cpu --class four", 2, &["`four`", "use 0 to 9"]);
    bad(at, "sample --model mnist-vp --device cpu --class four", 2, &["mnist-classifier", "use 0 to 9"]);
}

fn a_test_part_without_a_class_keeps_the_others_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let colors = [[250, 20, 20], [20, 250, 20], [20, 20, 250]];
    for (class, color) in ["a", "b", "c"].iter().zip(colors) {
        for i in 0..4 {
            picture(at, &format!("own/train/{class}/{i}.png"), 28, color);
            if *class != "b" {
                picture(at, &format!("own/test/{class}/{i}.png"), 28, color);
            }
        }
    }
    let train =
        "train --preset mnist-classifier --dataset folder --data-dir own --device cpu --steps 40 --batch 12";
    let said = good(at, &format!("{train} --name abc"));
    assert!(said.contains("noise 0.00: 100.00 % of the test images right"), "{said}");
    picture(at, "own/test/d/0.png", 28, [9; 3]);
    bad(at, &format!("{train} --name abcd"), 1, &["test/d", "training part lacks", "use one of a, b, c"]);
}

fn grey_pictures_are_told_of_and_read_as_grey() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for i in 0..2 {
        picture(at, &format!("own/{i}.png"), 8, [100 * i; 3]);
    }
    tiny(at, "folder");
    let told = warnings(at, &format!("{TRAIN} --data-dir own --out color"));
    assert!(told.len() == 1 && told[0].contains("--gray"), "{told:?}");
    assert_eq!(warnings(at, &format!("{TRAIN} --data-dir own --gray --out gray")), [""; 0]);
    for (out, channels) in [("color", 3), ("gray", 1)] {
        let model = std::fs::read(at.join(out).join("tiny.safetensors")).unwrap();
        assert_eq!(ModelFile::parse(out, &model).unwrap().card.channels, channels);
    }
    bad(at, &format!("{TRAIN} --gray --out gray --resume"), 2, &["--gray", "--resume"]);
    std::fs::create_dir(at.join("parts")).unwrap();
    std::fs::rename(at.join("own"), at.join("parts/test")).unwrap();
    let measure = "likelihood --device cpu --dataset folder --data-dir parts --rtol .5 --atol .5";
    good(at, &format!("{measure} --model gray/tiny.safetensors --gray"));
    bad(at, &format!("{measure} --model gray/tiny.safetensors"), 2, &["[3, 8, 8]", "[1, 8, 8]"]);
}

fn arrays_of_archives_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut archive = npyz::npz::NpzWriter::create(at.join("own.npz")).unwrap();
    let mut put = |name: &str, shape: &[u64], bytes: &[u8]| {
        use npyz::WriterBuilder;
        let array = archive.array::<u8>(name, Default::default()).unwrap();
        let mut array = array.default_dtype().shape(shape).begin_nd().unwrap();
        array.extend(bytes.iter().copied()).unwrap();
        array.finish().unwrap();
    };
    put("arr_0", &[2, 8, 8], &[90; 128]);
    put("arr_1", &[2, 1], &[0, 1]);
    drop(archive);
    tiny(at, "npz");
    let train = format!("{TRAIN} --data-dir own.npz --conditional --dry-run");
    bad(at, &train, 1, &["own.npz", "arr_0", "--array"]);
    let config = good(at, &format!("{train} --array arr_0 --label-array arr_1"));
    assert!(config.contains("array = \"arr_0\"") && config.contains("classes = 2"), "{config}");
    bad(at, &format!("{train} --array arr_0"), 2, &["has no classes"]);
    let other = "name = \"other\"\n[data]\ndataset = \"npz\"\n[network]\nkind = \"refinenet\"\n";
    std::fs::write(at.join("other.toml"), other).unwrap();
    let other = "train --config other.toml --data-dir own.npz --array arr_0 --label-array arr_1 --conditional --dry-run";
    bad(at, other, 2, &["--conditional", "refinenet", "takes no classes"]);
    bad(at, "train --dataset synthetic --array arr_0 --dry-run", 2, &["array", "`synthetic`", "npz"]);
}

/// Each command's refusal names an option, and with it the command draws.
fn the_advice_on_a_picture_that_does_not_fit_helps() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    picture(at, "wide.png", 36, [200; 3]);
    picture(at, "white.png", 36, [255; 3]);
    for command in [
        "edit --image wide.png",
        "inpaint --image wide.png --mask white.png",
        "upscale --image wide.png",
        "denoise --image wide.png --sigma 0.5",
        "colorize --model avatars --image wide.png",
        "encode --image wide.png --rtol .5 --atol .5",
        "interpolate --from wide.png --frames 2 --rtol .5 --atol .5",
    ] {
        bad(at, &format!("{command} --device cpu"), 1, &["wide.png: has 36 x 36", "--fit fill or --fit pad"]);
        // These take no sampler: `denoise` gives the mean.
        let free = ["denoise", "encode", "interpolate"].iter().any(|free| command.starts_with(free));
        let few = if free { "" } else { "--steps 2 --count 1" };
        good(at, &format!("{command} --device cpu {few} --fit pad"));
    }
}

fn what_cannot_be_written_is_refused_before_anything_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    picture(at, "fits.png", 28, [200; 3]);
    std::fs::write(at.join("file"), "").unwrap();
    for command in [
        "sample --out nodir/x.png",
        "interpolate --out nodir/x.png",
        "encode --image fits.png --out nodir/x.npy",
        "decode --latent none.npy --out nodir/x.png",
        "edit --image fits.png --out nodir/x.png",
        "denoise --image fits.png --sigma 0.5 --out nodir/x.png",
        "figures --out file/x",
    ] {
        // A model that is not there is seen only after what is written.
        bad(at, &format!("{command} --model none"), 1, &["create the folder first, or correct the path"]);
    }
    assert_eq!(files(at), ["file", "fits.png"]);
}

fn a_hostile_picture_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    picture(at, "own/0.png", 8, [9; 3]);
    let mut bytes = std::fs::read(at.join("own/0.png")).unwrap();
    // The header: width, height, and behind five more bytes its checksum.
    bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let sum = bytes[12..29].iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    });
    bytes[29..33].copy_from_slice(&(!sum).to_be_bytes());
    std::fs::write(at.join("own/claim.png"), bytes).unwrap();
    tiny(at, "folder");
    for command in [&format!("{TRAIN} --data-dir own"), "edit --device cpu --image own/claim.png"] {
        bad(at, command, 1, &["claim.png: claims 60000 x 60000 pixels"]);
    }
}

fn few_samples_are_told_to_mean_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let evaluate = "evaluate --device cpu --samplers euler --nfe 5 --count 4 --dataset synthetic";
    let table = good(at, evaluate);
    assert!(table.contains("With 4 images precision and recall mean nothing"), "{table}");
    assert_eq!(std::fs::read_to_string(at.join("runs/mnist-vp-evaluation/results.md")).unwrap(), table);
    let told = warnings(at, &format!("{evaluate} --json"));
    assert!(told.len() == 1 && told[0].contains("precision and recall mean nothing"), "{told:?}");
}
