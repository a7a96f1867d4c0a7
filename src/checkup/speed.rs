//! How long work takes on a device.

use burn::tensor::{Device, Tensor};

use crate::Result;
use crate::model::ScoreModel;
use crate::ops::{conv, is_hardware, multiply_adds, read};

/// Seconds since some moment: `std` has no clock in a browser.
pub type Clock = fn() -> f64;

/// What is measured lasts at least this long, since browsers cut their clocks to a tenth of a millisecond.
const SECONDS: f64 = 0.2;

/// Seconds of one `work`, of which a corner is read to know that it is done. The first one compiles and is not counted.
async fn seconds<const D: usize>(clock: Clock, mut work: impl FnMut() -> Tensor<D>) -> Result<f64> {
    let corner = |x: Tensor<D>| x.slice([const { 0..1 }; D]);
    read(corner(work())).await?;
    let mut rounds = 1;
    loop {
        let begun = clock();
        for _ in 1..rounds {
            work();
        }
        read(corner(work())).await?;
        let took = clock() - begun;
        if took >= SECONDS || rounds >= 1 << 12 {
            return Ok(took / f64::from(rounds));
        }
        rounds *= 2;
    }
}

/// Milliseconds that `model` takes to denoise `n` images.
pub async fn evaluation_ms(model: &ScoreModel, n: usize, clock: Clock) -> Result<f64> {
    let [c, h, w] = model.shape;
    let x = Tensor::ones([n, c, h, w], model.device());
    Ok(1e3 * seconds(clock, || model.denoised(x.clone(), &[1.0])).await?)
}

/// Multiplications and additions that a device does in a second, in chains that touch no memory; `None` where no kernel
/// runs.
pub async fn peak(device: &Device, clock: Clock) -> Result<Option<f64>> {
    let Some((operations, _)) = multiply_adds(device) else { return Ok(None) };
    let work = || multiply_adds(device).map_or_else(|| Tensor::zeros([1, 1], device), |(_, x)| x);
    Ok(Some(operations / seconds(clock, work).await?))
}

/// The same of a 3x3 convolution of 64 channels, 64 images of 14x14 pixels.
pub async fn convolution(device: &Device, clock: Clock) -> Result<f64> {
    let [n, side, channels] = [64, 14, 64];
    let x = Tensor::<4>::ones([n, side, side, channels], device);
    let weight = Tensor::<2>::ones([9 * channels, channels], device);
    let bias = Tensor::<1>::zeros([channels], device);
    let operations = (2 * n * side * side * 9 * channels * channels) as f64;
    let work = || conv(x.clone(), weight.clone(), bias.clone(), 3, 1);
    Ok(operations / seconds(clock, work).await?)
}

/// How fast the convolutions of a graphics card are, for [`set_pace`](crate::ops::set_pace); infinitely, of a device that
/// nobody resets for taking long.
///
/// # Errors
/// As [`read`].
pub async fn pace(device: &Device, clock: Clock) -> Result<f64> {
    if is_hardware(device) { convolution(device, clock).await } else { Ok(f64::INFINITY) }
}
