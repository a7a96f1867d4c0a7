//! Words to numbers: uniform ones, and standard normals by Box and Muller (1958) in plain `f32` arithmetic.
//! `shaders/noise.wgsl` says the same, name by name; a test compares the constants.

/// The upper 24 bits: every value is exact in `f32`.
pub fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * UNIFORM_STEP
}

/// Two independent standard normals (Box-Muller).
pub fn normal_pair(radius: u32, angle: u32) -> [f32; 2] {
    let r = (-2.0 * ln_unit(radius)).sqrt();
    let [cos, sin] = cos_sin_turn(angle);
    [r * cos, r * sin]
}

/// The probability that a standard normal is below `z`.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The probability that a standard normal is within `bound` of 0.
pub fn normal_mass(bound: f64) -> f64 {
    libm::erf(bound * std::f64::consts::FRAC_1_SQRT_2)
}

/// A uniform number in `[0, 1)` as a standard normal that is within `bound` of 0, by bisection to the last bits.
pub fn truncated_normal(u: f64, bound: f64) -> f64 {
    let target = normal_cdf(-bound) + u * normal_mass(bound);
    let (mut low, mut high) = (-bound, bound);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        *(if normal_cdf(middle) < target { &mut low } else { &mut high }) = middle;
    }
    0.5 * (low + high)
}

/// `ln(max(word, 1) / 2³²)`, the word cut to 24 significant bits with the last one set.
///
/// The cut makes the conversion to `f32` exact (rounding would reach 1 and is not specified in WGSL), and the
/// last bit keeps the mantissa inside `(1/2, 1)`, so the result is never zero. Polynomial of Cephes `logf`.
fn ln_unit(word: u32) -> f32 {
    let word = word.max(1);
    let zeros = word.leading_zeros();
    let mut mantissa = ((word << zeros >> 8) | 1) as f32 * UNIFORM_STEP;
    let mut exponent = -(zeros as f32);
    if mantissa < SQRT_HALF {
        mantissa += mantissa;
        exponent -= 1.0;
    }
    let x = mantissa - 1.0;
    let x_sq = x * x;
    let mut tail = LN[0];
    for coefficient in &LN[1..] {
        tail = tail * x + coefficient;
    }
    let small = x * x_sq * tail + exponent * LN_2_LOW - 0.5 * x_sq;
    exponent * LN_2_HIGH + (x + small)
}

/// Cosine and sine of `word / 2³²` turns, the word cut to 27 bits plus a half.
///
/// The quarter turn is split off in integers, so the polynomials (Cephes `sinf`, `cosf`) see at most an eighth
/// of a turn and no large argument is ever rounded.
fn cos_sin_turn(word: u32) -> [f32; 2] {
    let quarter = word.wrapping_add(1 << 29) >> 30;
    let rest = word.wrapping_sub(quarter << 30) as i32;
    let x = ((rest >> 5) | 1) as f32 * TURN_STEP;
    let x_sq = x * x;
    let sin = ((SIN[0] * x_sq + SIN[1]) * x_sq + SIN[2]) * x_sq * x + x;
    let cos = ((COS[0] * x_sq + COS[1]) * x_sq + COS[2]) * x_sq * x_sq - 0.5 * x_sq + 1.0;
    match quarter {
        0 => [cos, sin],
        1 => [-sin, cos],
        2 => [-cos, -sin],
        _ => [sin, -cos],
    }
}

/// 2⁻²⁴.
const UNIFORM_STEP: f32 = 5.960_464_5e-8;
/// 2π · 2⁻²⁷.
const TURN_STEP: f32 = 4.681_337_6e-8;
const SQRT_HALF: f32 = 0.707_106_77;
/// `ln 2` as the sum of a number with few bits, so that its product with an exponent is exact, and the rest.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// `(ln(1 + x) - x + x²/2) / x³` on `[√½ - 1, √2 - 1]`, highest power first.
const LN: [f32; 9] = [
    7.037_683_6e-2,
    -1.151_461_e-1,
    1.167_699_9e-1,
    -1.242_014_1e-1,
    1.424_932_3e-1,
    -1.666_805_8e-1,
    2.000_071_5e-1,
    -2.499_999_4e-1,
    3.333_333e-1,
];
/// `(sin x - x) / x³` in powers of `x²` on `[-π/4, π/4]`, highest first.
const SIN: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
/// `(cos x - 1 + x²/2) / x⁴` in powers of `x²` on `[-π/4, π/4]`, highest first.
const COS: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::f64::consts::{LN_2, TAU};

    use super::super::Noise;
    use super::super::philox::{MULTIPLIER_0, MULTIPLIER_1, WEYL_0, WEYL_1};
    use super::*;

    /// The words `f32` can tell apart, evaluated exactly: what `ln_unit` and `cos_sin_turn` are meant to be.
    fn exact(radius: u32, angle: u32) -> [f64; 2] {
        let zeros = radius.max(1).leading_zeros();
        let kept = (radius.max(1) << zeros >> 8) | 1;
        let r = (-2.0 * (f64::from(kept).ln() - (24 + zeros) as f64 * LN_2)).sqrt();
        let turn = f64::from((angle >> 5) | 1) / (1 << 27) as f64;
        [r * (TAU * turn).cos(), r * (TAU * turn).sin()]
    }

    #[test]
    fn normals_are_within_a_millionth_of_exact_evaluation() {
        let edges = [0, 1, 2, 0xff, 0x7fff_ffff, 0x8000_0000, 0xb504_f333, 0xb504_f334, !0 - 255, !0];
        let turns = (0..=8).map(|eighth: u32| eighth << 29).flat_map(|t| [t.wrapping_sub(1), t, t + 1]);
        let near = edges.into_iter().flat_map(|radius| turns.clone().map(move |angle| (radius, angle)));
        let stream = Noise::new(1).stream(0);
        let random = stream.clone().step_by(2).zip(stream.skip(1).step_by(2)).take(1 << 20);
        for (radius, angle) in near.chain(random) {
            let found = normal_pair(radius, angle);
            for (found, exact) in found.into_iter().zip(exact(radius, angle)) {
                let error = (f64::from(found) - exact).abs();
                assert!(error < 1e-6, "words {radius:#x} {angle:#x}: {found} instead of {exact}");
            }
        }
    }

    #[test]
    fn extreme_words_give_the_documented_range() {
        assert!(-ln_unit(0) < 22.2 && ln_unit(0) == ln_unit(1));
        assert!(-ln_unit(!0) > (0.5f32).powi(25) && normal_pair(0, 0)[0] < 6.67);
        assert_eq!((uniform(0), uniform(!0)), (0.0, 1.0 - UNIFORM_STEP));
    }

    /// Every constant of the kernel has the name and the value it has here.
    #[test]
    fn kernel_has_the_same_constants() {
        // The template's values are of no interest here.
        let mut source = include_str!("../../shaders/noise.wgsl").to_owned();
        while let Some((before, rest)) = source.split_once("{{") {
            source = format!("{before}1{}", rest.split_once("}}").unwrap().1);
        }
        let wgsl = naga::front::wgsl::parse_str(&source).unwrap();
        let literals = |init| -> Vec<naga::Literal> {
            let literal = |expression: &naga::Expression| match expression {
                naga::Expression::Literal(literal) => *literal,
                other => panic!("{other:?} is not a literal"),
            };
            match &wgsl.global_expressions[init] {
                naga::Expression::Compose { components, .. } => {
                    components.iter().map(|&part| literal(&wgsl.global_expressions[part])).collect()
                }
                scalar => vec![literal(scalar)],
            }
        };
        let found: HashMap<_, _> = wgsl
            .constants
            .iter()
            .filter_map(|(_, constant)| Some((constant.name.as_deref()?, literals(constant.init))))
            .filter(|(name, _)| *name != "WG_SIZE")
            .collect();
        let floats = |values: &[f32]| values.iter().map(|&value| naga::Literal::F32(value)).collect();
        let word = |value| vec![naga::Literal::U32(value)];
        let expected = HashMap::from([
            ("MULTIPLIER_0", word(MULTIPLIER_0)),
            ("MULTIPLIER_1", word(MULTIPLIER_1)),
            ("WEYL_0", word(WEYL_0)),
            ("WEYL_1", word(WEYL_1)),
            ("UNIFORM_STEP", floats(&[UNIFORM_STEP])),
            ("TURN_STEP", floats(&[TURN_STEP])),
            ("SQRT_HALF", floats(&[SQRT_HALF])),
            ("LN_2_HIGH", floats(&[LN_2_HIGH])),
            ("LN_2_LOW", floats(&[LN_2_LOW])),
            ("LN", floats(&LN)),
            ("SIN", floats(&SIN)),
            ("COS", floats(&COS)),
        ]);
        assert_eq!(found, expected);
    }
}
