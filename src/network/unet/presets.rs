//! The configurations of the papers, as their authors published them.

use super::{InputPyramid, Resampling, Style, UNetConfig};
use crate::network::layers::{Embedding, Groups};
use crate::ops::Taps;

/// What DDPM++ and NCSN++ have in common: BigGAN's blocks.
fn biggan(taps: Taps) -> Style {
    Style {
        resampling: Resampling::Block { taps, projects: true },
        attends_once: true,
        attends_in_the_middle: true,
        ..Style::default()
    }
}

impl UNetConfig {
    /// DDPM at 32 pixels (Ho et al. 2020, in the form of Song et al. 2021: `ddpm`), 35,218,947 weights.
    pub fn ddpm() -> Self {
        Self {
            channels: 128,
            multipliers: vec![1, 2, 2, 2],
            blocks: 2,
            attention_levels: vec![1],
            patch: 1,
            classes: 0,
            moves: false,
            embedding: Embedding::Positional,
            style: Style {
                resampling: Resampling::Conv { pad: 0 },
                groups: Groups { number: Some(32), ..Groups::default() },
                rescaled: false,
                attends_once: true,
                attends_in_the_middle: true,
                ..Style::default()
            },
        }
    }

    /// DDPM at 256 pixels, 111,569,923 weights.
    pub fn ddpm_256() -> Self {
        Self { multipliers: vec![1, 1, 2, 2, 4, 4], attention_levels: vec![4], ..Self::ddpm() }
    }

    /// DDPM++ at 32 pixels (Song et al. 2021, appendix H), 61,804,419 weights.
    pub fn ddpmpp() -> Self {
        Self { blocks: 4, style: biggan(Taps::Box), ..Self::ddpm() }
    }

    /// NCSN++ at 32 pixels on noise levels from 0 to 999 (Song et al. 2021, appendix H), 62,693,251 weights.
    pub fn ncsnpp() -> Self {
        let style = Style { input: InputPyramid::Residual, ..biggan(Taps::Fir) };
        Self { style, ..Self::ddpmpp() }
    }

    /// NCSN++ at 32 pixels on `ln sigma`, 62,758,787 weights.
    pub fn ncsnpp_continuous() -> Self {
        let usual = Self::ncsnpp();
        Self {
            embedding: Embedding::Fourier { scale: 16.0 },
            style: Style { features: Some(256), centres: true, ..usual.style },
            ..usual
        }
    }

    /// NCSN++ at 256 pixels on `ln sigma`, 65,574,421 weights.
    pub fn ncsnpp_256() -> Self {
        let small = Self::ncsnpp_continuous();
        Self {
            multipliers: vec![1, 1, 2, 2, 2, 2, 2],
            blocks: 2,
            attention_levels: vec![4],
            style: Style { input: InputPyramid::Skip, output_skip: true, ..small.style },
            ..small
        }
    }

    /// NCSN++ at 1024 pixels on `ln sigma`, 105,785,880 weights.
    pub fn ncsnpp_1024() -> Self {
        let small = Self::ncsnpp_256();
        Self {
            channels: 16,
            multipliers: vec![1, 2, 4, 8, 16, 32, 32, 32],
            blocks: 1,
            attention_levels: vec![6],
            style: Style { features: Some(32), ..small.style },
            ..small
        }
    }

    /// The network with twice as many blocks: the "deep" ones of Song et al. 2021.
    #[must_use]
    pub fn deep(self) -> Self {
        Self { blocks: 2 * self.blocks, ..self }
    }

    /// DDPM at 32 pixels with attention behind every block, as `diffusers` publishes Ho et al.'s networks
    /// (`google/ddpm-cifar10-32`), 35,746,307 weights.
    pub fn ddpm_diffusers() -> Self {
        let original = Self::ddpm();
        Self { style: Style { attends_once: false, ..original.style }, ..original }
    }

    /// The same at 256 pixels (`google/ddpm-celebahq-256`), 113,673,219 weights.
    pub fn ddpm_256_diffusers() -> Self {
        let original = Self::ddpm_256();
        Self { style: Style { attends_once: false, ..original.style }, ..original }
    }
}
