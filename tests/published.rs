//! Networks of others: their code's outputs for small networks with random weights, and the sizes of the full ones.
//! tests/fixtures/README.md says where the numbers come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use safetensors::tensor::SafeTensors;
use scorefield::model::{Denoiser, Preconditioned, Preconditioning};
use scorefield::network::layers::Init;
use scorefield::network::{Context, Levels, Network, NetworkConfig, RefineNetConfig, UNetConfig};
use scorefield::rng::{Domain, Noise};
use scorefield::sde::VpSde;
use scorefield::weights::import::{Published, StateDict, diffusers, ncsn, score_sde};
use serde_json::Value;

use crate::slopes::{against_differences, length};
use crate::support::{cpu, figure, gpu, relative_error, tensor, trials, values};

trials! {
    cpu: [
        published_networks_give_here_what_they_gave,
        presets_have_the_published_number_of_weights,
        gradients_of_published_networks_are_differences,
        what_does_not_fit_is_named,
    ],
    gpu: [
        published_networks_give_the_same_on_the_gpu,
        gradients_of_published_networks_on_the_gpu,
        evaluations_of_published_networks_are_replayed,
    ],
}

/// Relative to the largest value.
const BOUND: f64 = 1e-4;

/// A file or folder of the fixtures.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

/// The tensors of a fixture that are no weights, and what it says about itself.
pub struct Fixture {
    pub name: &'static str,
    bytes: Vec<u8>,
    about: Value,
}

impl Fixture {
    pub fn open(name: &'static str, file: &str) -> Self {
        let bytes = bytes(file);
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let about = serde_json::from_str(&header.metadata().as_ref().unwrap()["about"]).unwrap();
        Self { name, bytes, about }
    }

    pub fn tensor(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        (view.shape().to_vec(), numbers.collect())
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.tensor(name).1.into_iter().map(f64::from).collect()
    }

    fn state(&self) -> StateDict {
        StateDict::parse(self.name, &self.bytes, "weights.").unwrap()
    }
}

/// A network of others, and what it said.
pub struct Case {
    pub fixture: Fixture,
    published: Option<Published>,
    /// What ours reads of the noise levels.
    pub c_noise: Vec<f64>,
    pub labels: Vec<Option<usize>>,
    /// Leads from our output to theirs, a factor for each image.
    factors: Vec<f64>,
}

impl Case {
    pub fn image(&self, device: &Device) -> Tensor<4> {
        let (shape, x) = self.fixture.tensor("x");
        tensor(&x, shape.try_into().unwrap(), device)
    }

    fn error(mut self, device: &Device) -> f64 {
        let (_, expected) = self.fixture.tensor("y");
        let network = network_of(&mut self, device);
        let context = Context { labels: &self.labels, ..Context::default() };
        let found = values(network.forward(self.image(device), &self.c_noise, context));
        let image = found.len() / self.factors.len();
        let found: Vec<f32> =
            found.iter().enumerate().map(|(i, v)| v * self.factors[i / image] as f32).collect();
        relative_error(&found, &expected)
    }
}

/// The score of a network that returns the noise.
fn score_factors(sigmas: &[f64]) -> Vec<f64> {
    sigmas.iter().map(|sigma| -1.0 / sigma).collect()
}

fn score_sde_case(name: &'static str) -> Case {
    let fixture = Fixture::open(name, &format!("{name}.safetensors"));
    let model: score_sde::ModelSection = serde_json::from_value(fixture.about["model"].clone()).unwrap();
    let centred = fixture.about["centered"].as_bool().unwrap();
    let published = score_sde::import(fixture.state(), &model, (16, centred)).unwrap();
    let labels = fixture.numbers("labels");
    let (c_noise, factors) = match model.scale_by_sigma {
        true => (labels.iter().map(|sigma| sigma.ln()).collect(), score_factors(&labels)),
        false => (labels, vec![1.0; 2]),
    };
    Case { fixture, published: Some(published), c_noise, labels: vec![], factors }
}

fn diffusers_case(name: &'static str) -> Case {
    let fixture = Fixture::open(name, &format!("{name}/expected.safetensors"));
    let model: diffusers::UNet2DModel = serde_json::from_value(json(&format!("{name}/config.json"))).unwrap();
    let weights = bytes(&format!("{name}/diffusion_pytorch_model.safetensors"));
    let state = StateDict::parse(name, &weights, "").unwrap();
    let import = |timestep: f64| diffusers::import(state, &model, timestep).unwrap();
    let no_classes = vec![];
    let (published, c_noise, labels, factors) = match name {
        "diffusers_ddpm" => (import(1.0), fixture.numbers("timesteps"), no_classes, vec![1.0; 2]),
        "diffusers_ncsnpp" => {
            let sigmas = fixture.numbers("sigma");
            let c_noise = sigmas.iter().map(|sigma| sigma.ln()).collect();
            (import(1.0), c_noise, no_classes, score_factors(&sigmas))
        }
        _ => {
            let c_noise = fixture.numbers("timesteps").iter().map(|t| t / 1000.0).collect();
            let classes = fixture.numbers("classes").iter().map(|class| Some(*class as usize)).collect();
            (import(1000.0), c_noise, classes, vec![1.0; 2])
        }
    };
    Case { fixture, published: Some(published), c_noise, labels, factors }
}

fn ncsn_case(name: &'static str) -> Case {
    let fixture = Fixture::open(name, &format!("{name}.safetensors"));
    let channels = fixture.about["config"]["model"]["ngf"].as_u64().unwrap() as usize;
    let config = match name {
        "ncsnv2_deeper" => RefineNetConfig::ncsnv2_deeper(),
        "ncsnv2_deepest" => RefineNetConfig::ncsnv2_deepest(),
        "ncsnv2_28" | "ncsnv2_32" => RefineNetConfig::ncsnv2(),
        _ => RefineNetConfig::ncsn(),
    };
    let config = RefineNetConfig { channels, ..config };
    let levels = config.levels.unwrap_or(Levels { sigma_max: 50.0, sigma_min: 0.01, number: 20 });
    let step = (levels.sigma_min / levels.sigma_max).ln() / (levels.number - 1) as f64;
    let ln_sigma = |level: f64| levels.sigma_max.ln() + level * step;
    let c_noise: Vec<f64> = fixture.numbers("level").into_iter().map(ln_sigma).collect();
    let factors = match config.levels {
        Some(_) => vec![1.0; 2],
        None => score_factors(&c_noise.iter().map(|ln_sigma| ln_sigma.exp()).collect::<Vec<_>>()),
    };
    let published = ncsn::import(fixture.state(), &config).unwrap();
    Case { fixture, published: Some(published), c_noise, labels: vec![], factors }
}

pub fn cases() -> Vec<Case> {
    let ncsn = ["ncsn_28", "ncsn_32", "ncsnv2_28", "ncsnv2_32", "ncsnv2_deeper", "ncsnv2_deepest"];
    let ncsn = ncsn.map(ncsn_case);
    let score_sde = ["ddpm_vp", "ddpmpp_vp", "ncsnpp_ve", "ncsnpp_256_ve"].map(score_sde_case);
    let diffusers = ["diffusers_ddpm", "diffusers_ncsnpp", "diffusers_cm"].map(diffusers_case);
    ncsn.into_iter().chain(score_sde).chain(diffusers).collect()
}

fn check(device: &Device, name: &str) {
    let errors: Vec<_> = cases().into_iter().map(|case| (case.fixture.name, case.error(device))).collect();
    for (fixture, error) in &errors {
        figure(format_args!("{fixture} on the {name}: {error:.1e}"));
    }
    for (fixture, error) in errors {
        assert!(error < BOUND, "{fixture} on the {name}: off by {error:e}");
    }
}

fn published_networks_give_here_what_they_gave() {
    check(&cpu(), "CPU");
}

fn published_networks_give_the_same_on_the_gpu() {
    check(&gpu(), "GPU");
}

/// Weights of a network, none of which is drawn for it.
fn count(config: &NetworkConfig, channels: usize) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            assert!(!param.is_initialized(), "counting takes no memory");
            self.0 += param.lazy_shape().num_elements();
        }
    }
    let mut count = Count(0);
    Network::new(config, channels, channels, &mut Init::new(0, &cpu())).visit(&mut count);
    count.0
}

/// The preset for a configuration of the papers.
fn preset(name: &str) -> NetworkConfig {
    let unet = match name {
        "ve.cifar10_ddpm"
        | "vp.ddpm.cifar10"
        | "vp.ddpm.cifar10_continuous"
        | "subvp.cifar10_ddpm_continuous" => UNetConfig::ddpm(),
        "vp.ddpm.bedroom" | "vp.ddpm.celebahq" | "vp.ddpm.church" => UNetConfig::ddpm_256(),
        "vp.cifar10_ddpmpp" | "vp.cifar10_ddpmpp_continuous" | "subvp.cifar10_ddpmpp_continuous" => {
            UNetConfig::ddpmpp()
        }
        "vp.cifar10_ddpmpp_deep_continuous" | "subvp.cifar10_ddpmpp_deep_continuous" => {
            UNetConfig::ddpmpp().deep()
        }
        "ve.cifar10_ncsnpp"
        | "vp.cifar10_ncsnpp"
        | "vp.cifar10_ncsnpp_continuous"
        | "subvp.cifar10_ncsnpp_continuous" => UNetConfig::ncsnpp(),
        // 64 pixels: attention over 16x16 as well, which is one level further down.
        "ve.celeba_ncsnpp" => UNetConfig { attention_levels: vec![2], ..UNetConfig::ncsnpp() },
        "vp.cifar10_ncsnpp_deep_continuous" | "subvp.cifar10_ncsnpp_deep_continuous" => {
            UNetConfig::ncsnpp().deep()
        }
        "ve.cifar10_ncsnpp_continuous" => UNetConfig::ncsnpp_continuous(),
        "ve.cifar10_ncsnpp_deep_continuous" => UNetConfig::ncsnpp_continuous().deep(),
        "ve.bedroom_ncsnpp_continuous"
        | "ve.celebahq_256_ncsnpp_continuous"
        | "ve.church_ncsnpp_continuous"
        | "ve.ffhq_256_ncsnpp_continuous" => UNetConfig::ncsnpp_256(),
        "ve.celebahq_ncsnpp_continuous" | "ve.ffhq_ncsnpp_continuous" => UNetConfig::ncsnpp_1024(),
        "diffusers google/ddpm-cifar10-32" => UNetConfig::ddpm_diffusers(),
        "diffusers ddpm 256 px layout (google/ddpm-celebahq-256)" => UNetConfig::ddpm_256_diffusers(),
        "ncsn mnist 28x28 ngf 64, 10 levels (CondRefineNetDilated)" => {
            return RefineNetConfig::ncsn_mnist().into();
        }
        "ncsn cifar10 ngf 128, 10 levels (CondRefineNetDilated)" => return RefineNetConfig::ncsn().into(),
        "ncsnv2 cifar10 ngf 128 (NCSNv2)" => return RefineNetConfig::ncsnv2().into(),
        "ncsnv2 128 px ngf 128 (NCSNv2Deeper)" => return RefineNetConfig::ncsnv2_deeper().into(),
        "ncsnv2 256 px ngf 128 (NCSNv2Deepest)" => return RefineNetConfig::ncsnv2_deepest().into(),
        other => panic!("no preset for {other}"),
    };
    unet.into()
}

/// The frequencies of NCSN++'s embedding are not trained; they are in the configuration here and not among the weights.
fn presets_have_the_published_number_of_weights() {
    let counts: BTreeMap<String, usize> = serde_json::from_value(json("parameter_counts.json")).unwrap();
    assert!(counts.len() > 30);
    for (name, expected) in counts {
        let config = preset(&name);
        config.validate().unwrap();
        let channels = if name.contains("mnist") { 1 } else { 3 };
        assert_eq!(count(&config, channels), expected, "{name}");
    }
}

/// A network's output for the images of a case, and the random number that each of its values is multiplied by.
fn output(case: &Case, network: &Network, x: Tensor<4>) -> (Tensor<4>, Vec<f32>) {
    let context = Context { labels: &case.labels, ..Context::default() };
    let y = network.forward(x, &case.c_noise, context);
    let probe = Noise::new(1).domain(Domain::Probe).normal(0, 1, y.dims().iter().product());
    (y, probe)
}

/// The gradients of the sum of these products: of the image, and of the weights.
fn slopes(case: &Case, network: &Network, device: &Device) -> Vec<Vec<f32>> {
    struct Gradients<'a>(&'a burn::tensor::Gradients, Vec<Vec<f32>>);
    impl ModuleVisitor for Gradients<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().grad(self.0).expect("every weight has a gradient");
            self.1.push(values(gradient));
        }
    }
    let x = case.image(device).require_grad();
    let (y, probe) = output(case, network, x.clone());
    let probe = tensor(&probe, y.dims(), device);
    let gradients = (y * probe).sum().backward();
    let mut all = Gradients(&gradients, vec![values(x.grad(&gradients).unwrap())]);
    network.visit(&mut all);
    all.1
}

pub fn network_of(case: &mut Case, device: &Device) -> Network {
    case.published.take().expect("a network that is not yet taken").network(device).unwrap()
}

/// Whether a network pools by the maximum: NCSNv2's. Its slope jumps wherever two pixels change places.
pub fn has_kinks(case: &Case) -> bool {
    case.fixture.name.starts_with("ncsnv2")
}

/// Along its gradient a weight changes the sum by the gradient's length: one weight in nine of every network without kinks.
/// (With them no step is both large to the sum's rounding and small to the distance of the kinks. The maximum has its test
/// in `surroundings`, the other layers of NCSNv2 are NCSN's.) One of three steps has to show it.
fn gradients_of_published_networks_are_differences() {
    let device = cpu().autodiff();
    for mut case in cases().into_iter().filter(|case| !has_kinks(case)) {
        let name = case.fixture.name;
        let network = network_of(&mut case, &device);
        let gradients = slopes(&case, &network, &device);
        let network = network.valid();
        let products = |network: &Network| -> Vec<f64> {
            let (y, probe) = output(&case, network, case.image(&cpu()));
            values(y).iter().zip(&probe).map(|(y, p)| f64::from(*y) * f64::from(*p)).collect()
        };
        let (worst, tried) =
            against_differences(name, &network, gradients[1..].iter().map(Some), 9, products);
        figure(format_args!("{name}: gradients against differences: {worst:.1e}, {tried} weights"));
        assert!(tried > 4, "{name}: only {tried} weights have a gradient");
    }
}

/// By the length of all gradients together. Where two pixels are the largest of a window but for rounding, another device
/// may send the gradient to the other one: up to 2.3e-3 of NCSNv2's, and nothing of the others'.
fn gradients_of_published_networks_on_the_gpu() {
    let devices = [cpu().autodiff(), gpu().autodiff()];
    for (mut on_cpu, mut on_gpu) in cases().into_iter().zip(cases()) {
        let name = on_cpu.fixture.name;
        let networks = [network_of(&mut on_cpu, &devices[0]), network_of(&mut on_gpu, &devices[1])];
        let expected = slopes(&on_cpu, &networks[0], &devices[0]);
        let found = slopes(&on_gpu, &networks[1], &devices[1]);
        let wide = |gradients: Vec<Vec<f32>>| gradients.into_iter().flatten().map(f64::from);
        let size = length(wide(expected.clone()));
        let worst = length(wide(found).zip(wide(expected)).map(|(a, b)| a - b)) / size;
        figure(format_args!("{name}: gradients on the GPU against the CPU: {worst:.1e}"));
        let bound = if has_kinks(&on_cpu) { 1e-2 } else { 1e-4 };
        assert!(worst < bound, "{name}: off by {worst:e}");
    }
}

/// The third evaluation replays what the second recorded.
fn evaluations_of_published_networks_are_replayed() {
    for mut case in cases() {
        let network = network_of(&mut case, &gpu());
        let model = Preconditioned::new(network, Preconditioning::Eps, VpSde::default().into());
        let evaluate = || values(model.denoise(case.image(&gpu()), &[0.5]));
        let first = evaluate();
        for _ in 0..2 {
            let error = relative_error(&evaluate(), &first);
            assert!(error < 1e-6, "{}: off by {error:e}", case.fixture.name);
        }
    }
}

/// Shapes and values by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;
type Change = fn(&mut Tensors);

/// What an import says of a state dict after some change to it.
fn refusal(change: impl Fn(&mut Tensors)) -> String {
    let fixture = Fixture::open("ddpm_vp", "ddpm_vp.safetensors");
    let file = SafeTensors::deserialize(&fixture.bytes).unwrap();
    let names = file.names().into_iter().filter_map(|name| name.strip_prefix("weights.all"));
    let mut tensors: Tensors =
        names.map(|name| (format!("all{name}"), fixture.tensor(&format!("weights.all{name}")))).collect();
    change(&mut tensors);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, (shape, data))| (name, shape, data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, data)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    let model: score_sde::ModelSection = serde_json::from_value(fixture.about["model"].clone()).unwrap();
    let imported =
        StateDict::parse("it", &bytes, "").and_then(|state| score_sde::import(state, &model, (16, true)));
    imported.and_then(|published| published.network(&cpu())).err().map_or_else(String::new, |e| e.to_string())
}

fn what_does_not_fit_is_named() {
    const CONV: &str = "all_modules.3.Conv_1.weight";
    assert_eq!(refusal(|_| {}), "");
    let cases: [(&str, Change); 5] = [
        ("lacks the tensor all_modules.3.Conv_1.weight", |tensors| drop(tensors.remove(CONV))),
        ("has an unknown tensor all_modules.99.weight", |tensors| {
            tensors.insert("all_modules.99.weight".into(), (vec![1], vec![0.0]));
        }),
        ("all_modules.3.Conv_1.weight has shape [32, 288], not 4 dimensions", |tensors| {
            tensors.get_mut(CONV).unwrap().0 = vec![32, 288];
        }),
        ("down.0.stages.0.block.conv2.weight should be [288, 32]", |tensors| {
            tensors.get_mut(CONV).unwrap().0 = vec![16, 64, 3, 3];
        }),
        ("all_modules.3.Conv_1.weight holds a NaN", |tensors| tensors.get_mut(CONV).unwrap().1[7] = f32::NAN),
    ];
    for (part, change) in cases {
        let said = refusal(change);
        assert!(said.contains(part) && said.contains("it: "), "{said}");
    }
}
