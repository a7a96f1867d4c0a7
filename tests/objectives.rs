//! The family of objectives: what is in it, and that its one signature takes what is still to come: objectives that
//! differentiate the network for its input, that compare two evaluations, and that have a teacher.

use burn::tensor::Tensor;
use scorefield::model::{Denoiser, Preconditioned, Preconditioning};
use scorefield::network::Context;
use scorefield::objective::{Dsm, Loss, Models, Objective, Step, TimeDistribution, Weighting};
use scorefield::ops::each;
use scorefield::rng::Noise;
use scorefield::sde::VpSde;
use serde_json::json;

use crate::support::{cpu, lively_unet, relative_error, small_unet, step_on, tensor, trials, values};

trials! {
    cpu: [
        every_objective_survives_its_file,
        a_table_without_a_kind_is_denoising_score_matching,
        every_objective_gives_a_loss_for_each_image,
        a_loss_may_be_of_the_gradient_for_the_input,
        two_evaluations_share_their_masks,
        a_teacher_and_the_average_take_part,
    ],
}

const N: usize = 3;

/// A student with autodiff, its average and a teacher of other weights.
pub fn models() -> [Preconditioned; 3] {
    let model = |seed, device: &_| {
        let network = lively_unet(&small_unet(), 1, seed, device);
        Preconditioned::new(network, Preconditioning::Edm { sigma_data: 0.5 }, VpSde::default().into())
    };
    [model(1, &cpu().autodiff()), model(1, &cpu()), model(2, &cpu())]
}

fn step(dropout: f64) -> Step<'static> {
    let x0 = tensor(&Noise::new(4).normal(0, N, 64), [N, 1, 8, 8], &cpu().autodiff());
    Step { dropout, ..step_on(x0, 5, 3) }
}

fn losses(objective: &impl Loss, step: &Step<'_>) -> Vec<f32> {
    let [student, average, teacher] = models();
    let loss = objective
        .loss(Models { student: &student, average: &average, teacher: Some(&teacher), features: None }, step);
    assert_eq!(loss.dims(), [N]);
    let found = values(loss.clone().inner());
    assert!(found.iter().all(|v| v.is_finite()), "{found:?}");
    loss.sum().backward();
    found
}

fn every_objective_survives_its_file() {
    for objective in Objective::all() {
        let text = toml::to_string(&objective).unwrap();
        assert!(text.starts_with("kind = "), "{text}");
        assert_eq!(toml::from_str::<Objective>(&text).unwrap(), objective);
    }
    let message = serde_json::from_value::<Objective>(json!({"kind": "dms"})).unwrap_err().to_string();
    assert!(message.contains("`dms`") && message.contains("dsm"), "{message}");
    let message = serde_json::from_value::<Objective>(json!({"weighting": "std3"})).unwrap_err().to_string();
    assert!(message.contains("weighting") && message.contains("std2"), "{message}");
}

fn a_table_without_a_kind_is_denoising_score_matching() {
    let old = json!({"weighting": "std2", "times": {"kind": "uniform"}});
    let meant = Dsm { weighting: Weighting::Std2, times: TimeDistribution::Uniform, references: 0 };
    assert_eq!(serde_json::from_value::<Objective>(old).unwrap(), meant.into());
    assert_eq!(Objective::default(), Dsm::default().into());
}

fn every_objective_gives_a_loss_for_each_image() {
    for objective in Objective::all() {
        let found = losses(&objective, &step(0.1));
        assert_eq!(found, losses(&objective, &step(0.1)), "{objective:?}: the same step, the same loss");
        let later = Step { index: 6, ..step(0.1) };
        assert_ne!(found, losses(&objective, &later), "{objective:?}: every step draws anew");
    }
}

/// The squared gradient of the sum of the output for the input, which needs the network on the tape of its input.
struct Slope;

impl Loss for Slope {
    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let x = step.x0.clone().require_grad();
        let y = models.student.forward(x.clone(), &[0.7], Context::default());
        let gradient = x.grad(&y.sum().backward()).expect("the input's gradient");
        let squares = (gradient.clone() * gradient).reshape([N, 64]).sum_dim(1).reshape([N]);
        Tensor::from_inner(squares)
    }
}

/// Against a central difference along the gradient itself.
fn a_loss_may_be_of_the_gradient_for_the_input() {
    let [student, average, _] = models();
    let step = step(0.0);
    let found = values(
        Slope
            .loss(Models { student: &student, average: &average, teacher: None, features: None }, &step)
            .inner(),
    );
    let x = step.x0.clone().inner();
    let direction = {
        // A tape serves one backward pass, that of the weights too.
        let ([student, ..], tracked) = (models(), self::step(0.0).x0.require_grad());
        let y = student.forward(tracked.clone(), &[0.7], Context::default());
        tracked.grad(&y.sum().backward()).expect("the input's gradient")
    };
    let h = 1e-2;
    let at = |sign: f64| {
        let y = average.forward(x.clone() + direction.clone() * (sign * h), &[0.7], Context::default());
        values(y.reshape([N, 64]).sum_dim(1))
    };
    let slope: Vec<f32> =
        at(1.0).iter().zip(at(-1.0)).map(|(up, down)| (up - down) / (2.0 * h) as f32).collect();
    let error = relative_error(&slope, &found);
    assert!(error < 2e-2, "{slope:?} along the gradient, whose square is {found:?}");
}

/// The squared difference of two evaluations at the same noise.
struct Twice {
    same_masks: bool,
}

impl Loss for Twice {
    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let (first, second) = (step.masks(), step.masks());
        if !self.same_masks {
            second.apply(step.x0.clone().into());
        }
        let evaluate = |masks| models.student.forward(step.x0.clone(), &[0.5], step.context(masks));
        let difference = evaluate(&first) - evaluate(&second);
        (difference.clone() * difference).reshape([N, 64]).mean_dim(1).reshape([N])
    }
}

fn two_evaluations_share_their_masks() {
    assert_eq!(losses(&Twice { same_masks: true }, &step(0.3)), [0.0; N]);
    assert!(losses(&Twice { same_masks: false }, &step(0.3)).iter().all(|loss| *loss > 1e-6));
}

/// How far the student is from the average and from the teacher, at noise levels and noise of the step.
struct Taught;

impl Loss for Taught {
    fn loss(&self, models: Models<'_>, step: &Step<'_>) -> Tensor<1> {
        let (uniform, _) = step.levels();
        let sigma = each(&uniform, |u| 0.1 + u);
        let noisy = step.x0.clone() + step.noise() * sigma[0];
        let plain = noisy.clone().inner();
        let of = |model: &dyn Denoiser| Tensor::from_inner(model.denoise(plain.clone(), &sigma));
        let targets = [of(models.average), of(models.teacher.expect("a teacher"))];
        let student = models.student.forward(noisy, &sigma, Context::default());
        let squares = targets.map(|target| {
            let error = student.clone() - target;
            (error.clone() * error).reshape([N, 64]).mean_dim(1).reshape([N])
        });
        let [average, teacher] = squares;
        teacher - average
    }
}

/// The average has the student's weights, so all that remains is the distance to the teacher.
fn a_teacher_and_the_average_take_part() {
    assert!(losses(&Taught, &step(0.0)).iter().all(|loss| *loss > 1e-3));
}
