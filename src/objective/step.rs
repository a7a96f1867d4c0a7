use burn::tensor::Tensor;

use super::{MicroBatch, References};
use crate::flow::Probe;
use crate::network::layers::Dropout;
use crate::network::{Context, Moved};
use crate::ops::upload;
use crate::rng::draws::training::{NOISE, PROBES, TIMES};
use crate::rng::{Domain, Noise};

/// What an objective is given of one training step: images, and random numbers that are a function of the run's seed
/// and the step, so that a resumed run draws what the uninterrupted one would have drawn.
#[derive(Debug)]
pub struct Step<'a> {
    /// Steps done before this one.
    pub index: usize,
    /// Steps of the whole run, for objectives that change on the way.
    pub of: usize,
    /// Which images of the batch these are.
    pub part: MicroBatch,
    /// Clean images `[b, c, h, w]` in the model's units.
    pub x0: Tensor<4>,
    /// Their classes, where the network is told any.
    pub labels: &'a [Option<usize>],
    /// How each of them was moved; empty where none was.
    pub moved: &'a [Moved],
    /// Further images, where the objective wants to compare these with any.
    pub references: Option<&'a References>,
    /// Standard deviation of the data in the model's units.
    pub sigma_data: f64,
    /// Share of activations that is zeroed.
    pub dropout: f64,
    /// The run's seed.
    pub seed: u64,
}

impl Step<'_> {
    /// A uniform number in `[0, 1)` and a standard normal for each image, to be turned into its time or noise level.
    pub fn levels(&self) -> (Vec<f64>, Vec<f64>) {
        let mut stream = self.random().stream(TIMES);
        let (MicroBatch { of, .. }, images) = (self.part, self.part.images());
        let uniform: Vec<f64> = (0..of).map(|_| stream.uniform()).collect();
        let normal: Vec<f64> = (0..of).map(|_| stream.normal()).collect();
        (uniform[images.clone()].to_vec(), normal[images].to_vec())
    }

    /// Standard normals, as many as `x0` has values; the same ones each time.
    pub fn noise(&self) -> Tensor<4> {
        let dims @ [_, c, h, w] = self.x0.dims();
        let values = self.part.values(c * h * w);
        upload(&self.random().normal_within(NOISE, values), dims, &self.x0.device())
    }

    /// Vector `k` of those that a Jacobian is multiplied by, one for each image, as large as `x0`.
    pub fn probe(&self, k: usize, distribution: Probe) -> Tensor<4> {
        let ([b, c, h, w], draw) = (self.x0.dims(), PROBES + k as u32);
        let (random, dim) = (self.random(), c * h * w);
        let uniform = || random.uniform_within(draw, self.part.values(dim));
        let normal = || random.normal_within(draw, self.part.values(dim));
        let vectors = distribution.vectors(uniform, normal, dim);
        upload(&vectors, [b, c, h, w], &self.x0.device())
    }

    /// The step's dropout masks from the first one on: two evaluations with masks of their own call of this share them.
    pub fn masks(&self) -> Dropout {
        Dropout::new(self.dropout, self.seed, self.index as u32).from_image(self.part.first)
    }

    /// What the network is told, and `masks`.
    pub fn context<'a>(&'a self, masks: &'a Dropout) -> Context<'a> {
        Context { labels: self.labels, moved: self.moved, dropout: Some(masks) }
    }

    /// The run's random numbers of this step; [`draws`](crate::rng::draws::training) says which are for what.
    pub fn random(&self) -> Noise {
        Noise::new(self.seed).domain(Domain::Training).at(self.index as u32)
    }
}
