//! Interpolation between two images along the sphere of their latent codes.

use super::{Tolerance, decode, encode};
use crate::model::{Learned, ScoreModel};
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

/// Standard normals for one sample of `dim` values, `share` of the way from those of `a` to those of `b`: what images of
/// several classes begin in to have much in common.
///
/// # Errors
/// [`Error::Config`] for a share outside 0 to 1.
pub fn normals_between(a: &Noise, b: &Noise, share: f64, dim: usize) -> Result<Vec<f32>> {
    match (0.0..=1.0).contains(&share) {
        true => Ok(slerp(&a.normal(0, 1, dim), &b.normal(0, 1, dim), share)),
        false => Err(Error::config("the share", format!("= {share} is not allowed"), "use 0 to 1")),
    }
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
    let before = model.nfe();
    run.first_nfe = before;
    let codes = codes_between(model, [a, b], frames, tolerance, run).await?;
    let latents = model.upload(&codes) * temperature + model.prior_mean();
    let images = decode(model, latents, tolerance, true, run).await?;
    Ok(Solution { images, nfe: model.nfe() - before })
}

/// The codes of `frames` points on the great circle from one end to the other, one after the other, as [`codes`] are.
///
/// # Errors
/// [`Error::Config`] for fewer than 2 frames; as [`codes`].
pub async fn codes_between(
    model: &ScoreModel,
    ends: [&Endpoint; 2],
    frames: usize,
    tolerance: Tolerance,
    run: &mut Run<'_>,
) -> Result<Vec<f32>> {
    if !(2..=1024).contains(&frames) {
        return Err(Error::config("frames", format!("= {frames} is not allowed"), "use 2 to 1024"));
    }
    let [from, to] = ends;
    let ends = codes(model, &[from.clone(), to.clone()], tolerance, run).await?;
    Ok((0..frames).flat_map(|i| slerp(&ends[0], &ends[1], i as f64 / (frames - 1) as f64)).collect())
}

/// The latent code of each end on the host, seen from the prior's mean, which is the middle of the sphere.
///
/// # Errors
/// [`Error::Config`] for an image of the wrong size, or one that a consistency function is to encode; as [`encode`].
pub async fn codes(
    model: &ScoreModel,
    ends: &[Endpoint],
    tolerance: Tolerance,
    run: &mut Run<'_>,
) -> Result<Vec<Vec<f32>>> {
    let to_encode = ends.iter().filter(|end| matches!(end, Endpoint::Pixels(_))).count();
    run.parts = [0, to_encode];
    let mut codes = Vec::new();
    for end in ends {
        codes.push(code(model, end, tolerance, run).await?);
        if matches!(end, Endpoint::Pixels(_)) {
            run.parts = [run.parts[0] + 1, run.parts[1] - 1];
        }
    }
    Ok(codes)
}

/// The point `[across, down]`, each 0 to 1, of the sheet between four codes, its corners by rows: along a great circle between
/// the upper two and the lower two, and then along the one between those points.
pub fn sheet(corners: [&[f32]; 4], [across, down]: [f64; 2]) -> Vec<f32> {
    let [a, b, c, d] = corners;
    slerp(&slerp(a, b, across), &slerp(c, d, across), down)
}

/// The score model `encoder` in the units and on the diffusion of a consistency function, whose codes it then finds for images.
///
/// # Errors
/// [`Error::Config`] if it has learned something else, of images of another size, or knows less noise.
pub fn encoder_for(encoder: ScoreModel, function: &ScoreModel) -> Result<ScoreModel> {
    let refused = |problem: String, fix: String| Err(Error::config("the encoder", problem, fix));
    if encoder.learned != Learned::Score {
        return refused(format!("gives {}", encoder.learned), "name a score model".into());
    }
    if encoder.shape != function.shape {
        let [from, to] = [encoder.shape, function.shape].map(|[c, h, w]| format!("{c}x{h}x{w}"));
        let fix = format!("use one of {to} (channels, rows, columns)");
        return refused(format!("knows images of {from}"), fix);
    }
    // In pixel values, black being 0 and white 1.
    let [known, most] =
        [&encoder, function].map(|model| model.sde.sigma(1.0) / (model.range.high - model.range.low));
    // A tenth more is what measuring the data differs by; there is nothing to see beyond.
    if most > 1.1 * known {
        return refused(format!("knows noise up to {known:.3}"), format!("use one that knows {most:.3}"));
    }
    Ok(encoder.on_the_terms_of(function))
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

async fn code(
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
        Endpoint::Pixels(_) if model.learned != Learned::Score => Err(Error::config(
            "the image",
            format!(
                "has no code: the model has learned {}, which leads from noise to images only",
                model.learned
            ),
            "name a score model of the same images to encode it, or use seeds",
        )),
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

    #[test]
    fn normals_lead_from_one_seed_to_the_other() {
        let [a, b] = [3, 4].map(Noise::new);
        let between = |share| normals_between(&a, &b, share, 50);
        assert_eq!(between(0.0).unwrap(), a.normal(0, 1, 50), "the first sample of the seed, as it is drawn");
        let off = between(1.0)
            .unwrap()
            .iter()
            .zip(b.normal(0, 1, 50))
            .map(|(x, y)| (x - y).abs())
            .fold(0.0, f32::max);
        assert!(off < 1e-6, "{off}");
        assert_eq!(between(0.3).unwrap(), slerp(&a.normal(0, 1, 50), &b.normal(0, 1, 50), 0.3));
        assert!(between(1.1).is_err() && between(f64::NAN).is_err());
    }

    #[test]
    fn a_sheet_has_its_corners_and_edges() {
        let corners = [[3.0, 0.0, 4.0], [0.0, 5.0, 0.0], [-5.0, 0.0, 0.0], [0.0, 3.0, -4.0]];
        let point = |at| sheet(corners.each_ref().map(|corner| &corner[..]), at);
        for (at, corner) in [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]].into_iter().zip(&corners) {
            let off = point(at).iter().zip(corner).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(off < 1e-6, "{at:?}: {off}");
        }
        assert_eq!(point([0.3, 0.0]), slerp(&corners[0], &corners[1], 0.3));
        assert_eq!(point([0.0, 0.3]), slerp(&corners[0], &corners[2], 0.3));
        let length = point([0.4, 0.7]).iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!((length - 5.0).abs() < 1e-5, "{length}");
    }
}
