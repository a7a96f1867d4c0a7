//! Forward mode: the tangents of all networks against their reverse mode, on both devices, and the gradients of tangents.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use scorefield::checkup::lively;
use scorefield::model::{ClassifierFree, Denoiser, Divided, Preconditioned, Preconditioning, difference};
use scorefield::network::layers::{Dropout, Init};
use scorefield::network::{Context, MlpConfig, Network, NetworkConfig, UNetConfig};
use scorefield::ops::{Dual, Pool, at_pace, attention_tangent, attention_tangent_plain, each};
use scorefield::rng::{Domain, Noise};
use scorefield::sde::VpSde;
use scorefield::toy::Toy;

use crate::published::{cases, has_kinks, network_of};
use crate::slopes::{against_differences, length};
use crate::support::{cpu, figure, gpu, learning, relative_error, small_unet, tensor, trials, values};

trials! {
    cpu: [
        tangents_are_the_adjoints_of_gradients,
        gradients_of_tangents_are_differences,
        attention_by_our_own_code_has_the_tangent_of_its_formula,
        the_tangent_of_a_maximum_is_that_of_the_largest,
        a_mixture_knows_its_jacobian,
        denoisers_pass_tangents_on,
    ],
    gpu: [
        tangents_are_the_adjoints_of_gradients_on_the_gpu,
    ],
}

/// A network and what it is asked.
struct Case {
    name: String,
    network: Network,
    x: Tensor<4>,
    c_noise: Vec<f64>,
    labels: Vec<Option<usize>>,
    dropout: f64,
    has_kinks: bool,
}

impl Case {
    fn ours(name: &str, config: &NetworkConfig, shape: [usize; 4], device: &Device) -> Self {
        let network = Network::new(config, shape[1], shape[1], &mut Init::new(0, device));
        let labels = if config.classes() > 0 { vec![Some(1), None] } else { vec![] };
        Self {
            name: name.into(),
            network: learning(lively(network, Noise::new(5))),
            x: tensor(&random(1, shape), shape, device),
            c_noise: vec![-0.4, 0.7],
            labels,
            dropout: 0.3,
            has_kinks: false,
        }
    }

    /// The output for `x` and how it changes along `v`.
    fn dual(&self, network: &Network, v: Tensor<4>) -> Dual {
        let dropout = Dropout::new(self.dropout, 1, 2);
        let context = Context { labels: &self.labels, dropout: Some(&dropout), ..Context::default() };
        network.forward(Dual { value: self.x.clone(), tangent: v }, &self.c_noise, context)
    }

    /// The output for `x`.
    fn output(&self, x: Tensor<4>) -> Tensor<4> {
        let dropout = Dropout::new(self.dropout, 1, 2);
        self.network.forward(
            x,
            &self.c_noise,
            Context { labels: &self.labels, dropout: Some(&dropout), ..Context::default() },
        )
    }
}

/// Normal numbers, as many as an image has values.
fn random(draw: u32, shape: [usize; 4]) -> Vec<f32> {
    Noise::new(2).domain(Domain::Probe).normal(draw, 1, shape.iter().product())
}

/// All that have been published, and our own.
fn all(device: &Device) -> Vec<Case> {
    let published = cases().into_iter().map(|mut case| Case {
        name: case.fixture.name.into(),
        x: case.image(device),
        network: network_of(&mut case, device),
        c_noise: case.c_noise.clone(),
        labels: case.labels.clone(),
        dropout: 0.0,
        has_kinks: has_kinks(&case),
    });
    let unet = UNetConfig { classes: 3, attention_levels: vec![1], ..small_unet() };
    let ours = [
        Case::ours("our U-Net", &unet.into(), [2, 1, 10, 12], device),
        Case::ours("MLP", &MlpConfig { width: 32, layers: 2, noise: 32 }.into(), [2, 3, 1, 1], device),
    ];
    published.chain(ours).collect()
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// `u·(J v)` forwards is `(Jᵀu)·v` backwards, for some vectors `v`; and the value is the network's.
fn adjoint(device: &Device, name: &str, vectors: u32, bound: f64) {
    for case in all(&device.clone().autodiff()) {
        let x = case.x.clone().require_grad();
        let y = case.output(x.clone());
        let expected = values(y.clone().inner());
        let u = random(10, y.dims());
        let backwards = x.grad(&(y.clone() * tensor(&u, y.dims(), &y.device())).sum().backward()).unwrap();
        let backwards = values(backwards);
        let mut worst = 0.0_f64;
        for draw in 20..20 + vectors {
            let v = random(draw, x.dims());
            let Dual { value, tangent } = case.dual(&case.network, tensor(&v, x.dims(), &x.device()));
            let tangent = values(tangent.inner());
            let error = relative_error(&values(value.inner()), &expected);
            assert!(error < bound, "{}: the value is off by {error:.1e}", case.name);
            let size =
                length(u.iter().map(|u| f64::from(*u))) * length(tangent.iter().map(|t| f64::from(*t)));
            assert!(size > 0.0, "{}: no change at all", case.name);
            worst = worst.max((product(&u, &tangent) - product(&backwards, &v)).abs() / size);
        }
        figure(format_args!("{} on the {name}: tangent against gradient {worst:.1e}", case.name));
        assert!(worst < bound, "{} on the {name}: off by {worst:.1e}", case.name);
    }
}

fn tangents_are_the_adjoints_of_gradients() {
    adjoint(&cpu(), "CPU", 3, 1e-5);
}

fn tangents_are_the_adjoints_of_gradients_on_the_gpu() {
    adjoint(&gpu(), "GPU", 1, 1e-4);
}

/// Gradients of the weights, none where there is none.
fn gradients(network: &Network, loss: Tensor<1>) -> Vec<Option<Vec<f32>>> {
    struct Gradients(burn::tensor::Gradients, Vec<Option<Vec<f32>>>);
    impl ModuleVisitor for Gradients {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.push(param.val().grad(&self.0).map(values));
        }
    }
    let mut all = Gradients(loss.backward(), vec![]);
    network.visit(&mut all);
    all.1
}

/// Along its gradient a weight changes `u·(J v)` by the gradient's length: of one weight in seven of every network without
/// kinks, one of three steps has to show it. That is what sliced score matching is trained by.
fn gradients_of_tangents_are_differences() {
    let device = cpu().autodiff();
    for case in all(&device).into_iter().filter(|case| !case.has_kinks) {
        let v = random(20, case.x.dims());
        let u = random(10, case.output(case.x.clone()).dims());
        let name = case.name.clone();
        let tangent = |case: &Case, network: &Network, device: &Device| {
            case.dual(network, tensor(&v, case.x.dims(), device)).tangent
        };
        let recorded = tangent(&case, &case.network, &device);
        let loss = (recorded.clone() * tensor(&u, recorded.dims(), &device)).sum();
        let gradients = gradients(&case.network, loss);
        let case = Case { x: case.x.clone().inner(), network: case.network.valid(), ..case };
        let products = |network: &Network| -> Vec<f64> {
            let tangent = values(tangent(&case, network, &cpu()));
            tangent.iter().zip(&u).map(|(t, u)| f64::from(*t) * f64::from(*u)).collect()
        };
        let gradients = gradients.iter().map(Option::as_ref);
        let (worst, tried) = against_differences(&name, &case.network, gradients, 7, products);
        figure(format_args!(
            "{name}: gradients of the tangent against differences: {worst:.1e}, {tried} weights"
        ));
        assert!(tried > 1, "{name}: only {tried} weights have a gradient");
    }
}

fn attention_by_our_own_code_has_the_tangent_of_its_formula() {
    for [b, n, c] in [[2, 70, 8], [1, 1, 4], [3, 5, 12]] {
        let [qkv, change] = [1, 2].map(|draw| {
            let values = random(draw, [b, n, 3 * c, 1]);
            tensor(&values, [b, n, 3 * c], &cpu())
        });
        let found = values(attention_tangent(qkv.clone(), change.clone()));
        let error = relative_error(&found, &values(attention_tangent_plain(qkv, change)));
        assert!(error < 1e-5, "{b} images of {n} pixels: {error:.1e}");
    }
}

/// Where no two pixels of a window are near each other, the maximum of the moved image moves by the tangent.
fn the_tangent_of_a_maximum_is_that_of_the_largest() {
    let shape = [2, 7, 9, 4];
    let image = |values: &[f32]| tensor(values, shape, &cpu());
    // All different, by 0.01 at least.
    let x: Vec<f32> = (0..504_u32).map(|i| 0.01 * (i * 101 % 504) as f32 - 2.0).collect();
    let dx = random(3, shape);
    for pool in [Pool::Max, Pool::Mean] {
        let tangent = values(pool.tangent(image(&x), image(&dx)));
        let h = 1e-3;
        let at = |sign: f32| {
            values(pool.apply(image(&x.iter().zip(&dx).map(|(x, d)| x + sign * h * d).collect::<Vec<_>>())))
        };
        let slope: Vec<f32> = at(1.0).iter().zip(at(-1.0)).map(|(a, b)| (a - b) / (2.0 * h)).collect();
        let error = relative_error(&tangent, &slope);
        assert!(error < 2e-3, "{pool:?}: {error:.1e}");
    }
}

fn a_mixture_knows_its_jacobian() {
    for toy in [Toy::TwoModes, Toy::EightGaussians] {
        let mixture = toy.mixture().unwrap();
        let shape = [64, 2, 1, 1];
        let x: Vec<f32> = random(1, shape).iter().map(|z| 3.0 * z).collect();
        let [x, v] = [x, random(2, shape)].map(|values| tensor(&values, shape, &cpu()));
        let x = Dual { value: x, tangent: v };
        let sigma: Vec<f64> = (0..64).map(|i| 0.5 + 0.05 * f64::from(i)).collect();
        let Dual { value, tangent } = mixture.denoise_dual(x.clone(), &sigma);
        let near = difference(|x| mixture.denoise(x, &sigma), x, &each(&sigma, |s| 2e-3 * s));
        assert!(relative_error(&values(value), &values(near.value)) < 1e-6);
        let error = relative_error(&values(tangent), &values(near.tangent));
        figure(format_args!("{toy:?}: the Jacobian against differences: {error:.1e}"));
        assert!(error < 5e-3, "{toy:?}: {error:.1e}");
    }
}

/// What wraps a network gives the tangent that its own differences have: scaling, guidance, and division by images.
fn denoisers_pass_tangents_on() {
    let config = UNetConfig { classes: 3, ..small_unet() };
    let network = lively(Network::new(&config.into(), 1, 1, &mut Init::new(0, &cpu())), Noise::new(5));
    let model =
        Preconditioned::new(network, Preconditioning::Edm { sigma_data: 0.5 }, VpSde::default().into());
    let divided = Divided { model: model.clone(), operations: 1.0 };
    let of = |classes: &[usize], guidance| {
        Box::new(ClassifierFree { model: divided.clone(), classes: classes.to_vec(), guidance })
    };
    let denoisers: [(&str, Box<dyn Denoiser>); 5] = [
        ("network", Box::new(model)),
        ("divided", Box::new(divided.clone())),
        ("class", of(&[2], 1.0)),
        ("classes", of(&[2, 0, 1, 2, 1], 1.0)),
        ("guided", of(&[2], 3.0)),
    ];
    let shape = [5, 1, 8, 8];
    let [x, v] = [1, 2].map(|draw| tensor(&random(draw, shape), shape, &cpu()));
    let x = Dual { value: x, tangent: v };
    let sigma = [0.3, 0.5, 0.8, 1.0, 2.0];
    for (name, denoiser) in denoisers {
        // At this pace two images are evaluated at once.
        let Dual { value, tangent } = at_pace(40.0, || denoiser.denoise_dual(x.clone(), &sigma));
        assert!(relative_error(&values(value), &values(denoiser.denoise(x.value.clone(), &sigma))) < 1e-6);
        // A difference is off by the curvature or by rounding.
        let error = [1e-2, 3e-3, 1e-3].map(|width| {
            let near = difference(|x| denoiser.denoise(x, &sigma), x.clone(), &each(&sigma, |s| width * s));
            relative_error(&values(tangent.clone()), &values(near.tangent))
        });
        let error = error.into_iter().fold(f64::MAX, f64::min);
        figure(format_args!("{name}: tangent against differences: {error:.1e}"));
        assert!(error < 5e-3, "{name}: {error:.1e}");
    }
}
