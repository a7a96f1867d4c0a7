//! Every kernel, cut for every adapter, in the languages that drivers read: naga translates it, and what becomes of it
//! is valid.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use burn::tensor::Tensor;
use naga::Module;
use naga::back::{hlsl, msl, spv};
use naga::valid::ModuleInfo;
use pollster::block_on;
use rayon::prelude::*;
use scorefield::ops::{
    Adapter, InstanceNorm, Pool, Program, Resample, StepSize, Taps, attention, attention_added, combine,
    conv_normalised, elu, error_norm, group_norm, group_norm_silu, instance_norm, langevin, multiply_adds,
    noise, programs, reads_half, smooth, time_mlp,
};
use scorefield::rng::Noise;
use scorefield::training::Batches;
use scorefield::weights::shipped;

use crate::kernels::{ATTENTION, Draw, NORMALISED, NORMS, TIME, cases, time};
use crate::lint;
use crate::support::{figure, gpu, trials};
use crate::training::{config, discs, trainer};

trials! {
    cpu: [what_is_invalid_is_seen],
    gpu: [every_kernel_is_valid_everywhere],
}

const ADAPTERS: [Adapter; 4] =
    [Adapter::HARDWARE, Adapter::Software, Adapter::Subgroups(4), Adapter::Subgroups(8)];

/// Images whose convolutions are of every kind: with channels in two parts, of one part, and in numbers that are no multiple
/// of four. (What is shipped has weights in half precision.)
const SIZES: [[usize; 3]; 3] = [[2, 8, 8], [5, 14, 14], [2, 3, 5]];

/// Every operation, in every kind that has a kernel of its own; [`every_kernel_is_valid_everywhere`] notices if a shader
/// is not among them.
fn launch_everything() {
    let draw = &mut Draw { device: gpu(), seed: 0 };
    for case in cases().filter(|case| SIZES.contains(&case.bhw)) {
        case.pass(draw).run();
    }
    for (bhw, channels, groups) in NORMS {
        let norm = draw.norm(channels[0] + channels[1], groups);
        group_norm_silu(draw.joined(bhw, channels), &norm);
        group_norm(draw.joined(bhw, channels).cat(), &norm);
    }
    for [b, n, c] in ATTENTION {
        let qkv = draw.tensor([b, n, 3 * c]);
        attention(qkv.clone());
        attention_added(qkv, draw.filter(c, c, 1, 1), draw.tensor([b, n, 1, c]), 0.7);
    }
    for ([b, h, w], c_in, c_out) in NORMALISED {
        let x = draw.tensor([b, h, w, c_in]);
        conv_normalised(x, &draw.norm(c_in, c_in / 4), draw.filter(c_in, c_out, 1, 1));
    }
    for dims in TIME {
        time(time_mlp, dims, gpu());
    }
    let x: Tensor<4> = draw.tensor([2, 1, 8, 8]);
    for terms in 1..=6 {
        for factors in [&[0.5][..], &[0.5, 0.7]] {
            combine(&vec![(x.clone(), factors); terms]);
        }
    }
    noise::normal(&Noise::new(1), 0, 2, 64, &gpu());
    langevin(x.clone(), x.clone(), x.clone(), StepSize { factor: 0.1, prior: (1.0, 1.0) });
    error_norm([x.clone(), x.clone(), x], 0.1, 0.1);
    multiply_adds(&gpu());
    for c in [3, 8] {
        let images: Tensor<4> = draw.tensor([2, 8, 6, c]);
        elu(images.clone());
        let [gamma, alpha, beta] = [(); 3].map(|()| draw.tensor([1, c]));
        instance_norm(images.clone(), InstanceNorm { gamma, alpha, beta });
        for taps in [Taps::Box, Taps::Fir] {
            Resample::Halve(taps).apply(images.clone());
            Resample::Double(taps).apply(images.clone());
        }
        smooth(images.clone());
        for pool in [Pool::Mean, Pool::Max] {
            pool.apply(images.clone());
        }
    }
    let images = discs(40, 1);
    // Its loss is of memory that nobody has set.
    let _ = block_on(trainer(&config(), &images, &gpu()).step(&mut Batches::new(
        &images,
        0,
        config().batch,
        false,
    )));
}

/// What evaluates the networks that are shipped, for one image and for many.
fn evaluations() -> Vec<Box<dyn Fn()>> {
    let of = |name| -> Box<dyn Fn()> {
        let file = || shipped::open(name).expect("a shipped model");
        let [c, h, w] = file().card.shape();
        let images = move || [1, 16].map(|n| Tensor::zeros([n, c, h, w], &gpu()));
        match file().score_model(&gpu()) {
            Ok(model) => Box::new(move || images().into_iter().for_each(|x| drop(model.denoised(x, &[0.3])))),
            Err(_) => {
                let classifier = file().classifier(&gpu()).expect("a classifier");
                Box::new(move || {
                    images().into_iter().for_each(|x| drop(classifier.log_p_gradient(x, &[0.3], 0)))
                })
            }
        }
    };
    shipped::names().map(of).collect()
}

fn every_kernel_is_valid_everywhere() {
    let networks = evaluations();
    let work = || {
        launch_everything();
        networks.iter().for_each(|evaluate| evaluate());
    };
    let all: BTreeSet<Program> =
        ADAPTERS.into_iter().flat_map(|adapter| adapter.pretend(|| programs(work))).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let files = fs::read_dir(folder).expect("a folder").flatten();
    let files: BTreeSet<_> =
        files.filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned())).collect();
    let launched: BTreeSet<_> = all.iter().map(|program| program.name.to_owned()).collect();
    assert_eq!(launched, files, "a shader that `launch_everything` leaves out");
    for feature in ["subgroup", "f16"] {
        let found = all.iter().any(|program| program.source.contains(feature));
        assert!(found || feature == "f16" && !reads_half(&gpu()), "no kernel with {feature}");
    }
    let faults: Vec<String> =
        all.par_iter().flat_map_iter(|program| faults(program.name, &program.source)).collect();
    assert_eq!(faults, [""; 0]);
    figure(format_args!("{} kernels of {} shaders in three languages", all.len(), files.len()));
}

/// What is wrong with a program, in any language.
fn faults(name: &str, source: &str) -> Vec<String> {
    let (module, info) = match lint::parse(source) {
        Ok(parsed) => parsed,
        Err(fault) => return vec![format!("{name}: {fault}")],
    };
    let rules = lint::broken(source, &module, &info).into_iter();
    let translated = [
        to_spirv(&module, &info).and_then(|words| validate(&words)),
        to_msl(&module, &info),
        to_hlsl(&module, &info),
    ];
    rules
        .chain(translated.into_iter().filter_map(Result::err))
        .map(|fault| format!("{name}: {fault}"))
        .collect()
}

/// Subgroups need 1.3.
fn to_spirv(module: &Module, info: &ModuleInfo) -> Result<Vec<u32>, String> {
    let options = spv::Options { lang_version: (1, 3), ..Default::default() };
    spv::write_vec(module, info, &options, None).map_err(|e| format!("SPIR-V: {e}"))
}

/// Subgroups need 2.1.
fn to_msl(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let options = msl::Options { lang_version: (2, 1), ..Default::default() };
    let written = msl::write_string(module, info, &options, &msl::PipelineOptions::default());
    // What naga cannot say it says of the entry point, and goes on.
    let (_, translation) = written.map_err(|e| format!("MSL: {e}"))?;
    translation
        .entry_point_names
        .into_iter()
        .try_for_each(|name| name.map(drop))
        .map_err(|e| format!("MSL: {e}"))
}

/// Half precision needs 6.2.
fn to_hlsl(module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, ..Default::default() };
    let (mut text, pipeline) = (String::new(), hlsl::PipelineOptions::default());
    let written = hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None);
    let names = written.map_err(|e| format!("HLSL: {e}"))?.entry_point_names;
    names.into_iter().try_for_each(|name| name.map(drop)).map_err(|e| format!("HLSL: {e}"))
}

/// By Khronos' own judge.
fn validate(words: &[u32]) -> Result<(), String> {
    let mut judge = Command::new("spirv-val");
    judge.args(["--target-env", "vulkan1.1", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut judge = judge.stderr(Stdio::piped()).spawn().map_err(|e| {
        format!("cannot run spirv-val ({e}); install Debian's spirv-tools, or run scripts/tools.sh test")
    })?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    // It may stop reading at the first fault, which is in its answer.
    let _ = judge.stdin.take().expect("a pipe").write_all(&bytes);
    let answer = judge.wait_with_output().map_err(|e| format!("spirv-val: {e}"))?;
    match answer.status.success() {
        true => Ok(()),
        false => Err(format!("spirv-val: {}", String::from_utf8_lossy(&answer.stderr).trim())),
    }
}

/// A program that each judge refuses.
fn what_is_invalid_is_seen() {
    let source = "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) thread: u32) {
            var a = array(1u, 2u);
            x[thread] = a[thread % 2];
        }";
    assert_eq!(faults("small", source).len(), 1);
    let (module, info) = lint::parse(source).expect("a valid program");
    let mut words = to_spirv(&module, &info).expect("SPIR-V");
    assert_eq!(validate(&words), Ok(()));
    words.truncate(words.len() - 3);
    assert!(validate(&words).is_err_and(|fault| fault.starts_with("spirv-val: error")));
}
