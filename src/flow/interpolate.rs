//! Interpolation between two images along the sphere of their latent codes.

use super::{Tolerance, decode, encode};
use crate::model::ScoreModel;
use crate::ops::{self, read, upload};
use crate::rng::Noise;
use crate::run::{Run, Solution};
use crate::{Error, Result};

/// One end of an interpolation.
#[derive(Debug, Clone, PartialEq)]
pub enum Endpoint {
    /// The image that the prior's noise of this seed and sample index leads to.
    Seed(Noise),
    /// An image, pixel values `[c, h, w]` in `[0, 1]`, which is encoded first.
    Pixels(Vec<f32>),
}

/// The point at `share` of the way from `a` to `b` along the great circle (Shoemake 1985).
///
/// Latent codes are nearly orthogonal and of nearly equal length; a straight line would leave the
/// shell where the prior has its mass and decode to grey images.
pub fn slerp(a: &[f32], b: &[f32], share: f64) -> Vec<f32> {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE);
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let (from_a, from_b) = match angle.sin() {
        // Parallel codes have no great circle between them: walk straight.
        sine if sine < 1e-6 => (1.0 - share, share),
        sine => (((1.0 - share) * angle).sin() / sine, (share * angle).sin() / sine),
    };
    a.iter().zip(b).map(|(a, b)| (from_a * f64::from(*a) + from_b * f64::from(*b)) as f32).collect()
}

/// A row of `frames` images from `a` to `b`: encodes both ends with the probability-flow ODE, walks
/// along the great circle between their codes, and decodes.
///
/// Codes are multiplied by `temperature`, seen from the prior's mean, before they are decoded: below 1 they lead nearer
/// to what is most probable, plainer and with less detail (Song et al. 2021, section 4.3); 1 leaves them as they are.
/// Returns [`Solution`] with `[frames, c, h, w]`; NFE counts encoding and decoding.
///
/// # Errors
/// [`Error::Config`] for fewer than 2 frames, a temperature outside 0.1 to 2 or an image of the wrong size; what
/// [`encode`] and [`decode`] can say.
pub async fn interpolate(
    model: &ScoreModel,
    a: &Endpoint,
    b: &Endpoint,
    frames: usize,
    temperature: f64,
    tolerance: Tolerance,
    run: &mut Run<'_>,
) -> Result<Solution> {
    check_temperature(temperature)?;
    if !(2..=1024).contains(&frames) {
        return Err(Error::config("frames", format!("= {frames} is not allowed"), "use 2 to 1024"));
    }
    let before = model.nfe();
    run.first_nfe = before;
    let ends = [a, b];
    let to_encode = ends.iter().filter(|end| matches!(end, Endpoint::Pixels(_))).count();
    run.parts = [0, to_encode];
    let mut codes = Vec::new();
    for end in ends {
        codes.push(latent(model, end, tolerance, run).await?);
        if matches!(end, Endpoint::Pixels(_)) {
            run.parts = [run.parts[0] + 1, run.parts[1] - 1];
        }
    }
    let between: Vec<f32> =
        (0..frames).flat_map(|i| slerp(&codes[0], &codes[1], i as f64 / (frames - 1) as f64)).collect();
    let [c, h, w] = model.shape;
    let latents = upload(&between, [frames, c, h, w], model.device()) * temperature + model.prior_mean();
    let images = decode(model, latents, tolerance, true, run).await?;
    Ok(Solution { images, nfe: model.nfe() - before })
}

/// Refuses a temperature of latent codes outside 0.1 to 2.
///
/// # Errors
/// [`Error::Config`].
pub fn check_temperature(temperature: f64) -> Result<()> {
    match (0.1..=2.0).contains(&temperature) {
        true => Ok(()),
        false => Err(Error::config("temperature", format!("= {temperature} is not allowed"), "use 0.1 to 2")),
    }
}

/// The latent code of an end on the host, seen from the prior's mean, which is the middle of the sphere.
async fn latent(
    model: &ScoreModel,
    end: &Endpoint,
    tolerance: Tolerance,
    run: &mut Run<'_>,
) -> Result<Vec<f32>> {
    let [c, h, w] = model.shape;
    match end {
        Endpoint::Seed(noise) => {
            let z = ops::noise::normal(noise, 0, 1, model.dim(), model.device());
            read(z * model.sde.prior_std()).await
        }
        Endpoint::Pixels(pixels) if pixels.len() == model.dim() => {
            let image = upload(pixels, [1, c, h, w], model.device());
            read(encode(model, image, tolerance, run).await? - model.prior_mean()).await
        }
        Endpoint::Pixels(pixels) => {
            let problem = format!("has {} values", pixels.len());
            Err(Error::config("image", problem, format!("the model takes {c}x{h}x{w}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slerp_keeps_the_length_and_meets_both_ends() {
        let (a, b) = ([3.0, 0.0, 4.0], [0.0, 5.0, 0.0]);
        assert_eq!(slerp(&a, &b, 0.0), a);
        for (v, w) in slerp(&a, &b, 1.0).iter().zip(&b) {
            assert!((v - w).abs() < 1e-6);
        }
        for share in [0.1, 0.25, 0.5, 0.9] {
            let length = slerp(&a, &b, share).iter().map(|v| v * v).sum::<f32>().sqrt();
            assert!((length - 5.0).abs() < 1e-5, "{length} at {share}");
        }
        assert_eq!(slerp(&a, &a, 0.5), a);
    }
}
