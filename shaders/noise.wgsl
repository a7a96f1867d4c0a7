// Fills `values` [rows, len] with standard normal or uniform values, four elements a thread.
//
// src/rng.rs is the same program for the host, function by function and constant by constant (a test
// compares them), and says what the numbers are. Words and uniforms are identical on both sides. Normals
// agree within 1e-5: WGSL may fuse multiplications with additions, and sqrt is only loosely bounded; log, sin
// and cos are not used for that reason. src/ops/noise.rs launches it.

// Mirrored by `Params` in src/ops/noise.rs.
struct Params {
    seed_low: u32,
    sample: u32,
    draw: u32,
    seed_high: u32,
    domain: u32,
    is_uniform: u32,
    rows: u32,
    len: u32,
}

@group(0) @binding({{ values }}) var<storage, read_write> values: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const WG_SIZE: u32 = {{ threads }}u;

const MULTIPLIER_0: u32 = 0xd2511f53u;
const MULTIPLIER_1: u32 = 0xcd9e8d57u;
const WEYL_0: u32 = 0x9e3779b9u;
const WEYL_1: u32 = 0xbb67ae85u;

const UNIFORM_STEP: f32 = 5.9604645e-8;
const TURN_STEP: f32 = 4.6813376e-8;
const SQRT_HALF: f32 = 0.70710677;
const LN_2_HIGH: f32 = 0.6933594;
const LN_2_LOW: f32 = -2.1219444e-4;
const LN = array<f32, 9>(
    7.0376836e-2,
    -1.151461e-1,
    1.1676999e-1,
    -1.2420141e-1,
    1.4249323e-1,
    -1.6668058e-1,
    2.0000715e-1,
    -2.4999994e-1,
    3.333333e-1,
);
const SIN = array<f32, 3>(-1.9515296e-4, 8.332161e-3, -1.6666655e-1);
const COS = array<f32, 3>(2.4433157e-5, -1.3887316e-3, 4.1666646e-2);

@compute @workgroup_size(WG_SIZE)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let blocks = (params.len + 3u) / 4u;
    let thread = (group.y * groups.x + group.x) * WG_SIZE + local;
    let row = thread / blocks;
    let block = thread % blocks;
    if row >= params.rows {
        return;
    }
    let counter = vec4<u32>(block, params.draw, params.seed_high, params.domain);
    let words = philox(counter, vec2<u32>(params.seed_low, params.sample + row));
    var four: vec4<f32>;
    if params.is_uniform != 0u {
        four = vec4<f32>(words >> vec4<u32>(8u)) * UNIFORM_STEP;
    } else {
        four = vec4<f32>(normal_pair(words.x, words.y), normal_pair(words.z, words.w));
    }
    let start = row * params.len + block * 4u;
//#for lane 4
    if block * 4u + {{ lane }} < params.len {
        values[start + {{ lane }}] = four[{{ lane }}];
    }
//#end
}

fn philox(start: vec4<u32>, start_key: vec2<u32>) -> vec4<u32> {
    var counter = start;
    var key = start_key;
    for (var round = 0; round < 10; round++) {
        let product_0 = multiply(MULTIPLIER_0, counter.x);
        let product_1 = multiply(MULTIPLIER_1, counter.z);
        counter = vec4<u32>(
            product_1.y ^ counter.y ^ key.x,
            product_1.x,
            product_0.y ^ counter.w ^ key.y,
            product_0.x,
        );
        key += vec2<u32>(WEYL_0, WEYL_1);
    }
    return counter;
}

// Low and high word of the 64-bit product, which WGSL lacks: schoolbook multiplication in 16-bit digits. No sum
// exceeds 32 bits, since (2^16 - 1)^2 + 2 (2^16 - 1) = 2^32 - 1.
fn multiply(a: u32, b: u32) -> vec2<u32> {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let cross = a_high * b_low + ((a_low * b_low) >> 16u);
    let middle = a_low * b_high + (cross & 0xffffu);
    return vec2<u32>(a * b, a_high * b_high + (cross >> 16u) + (middle >> 16u));
}

fn normal_pair(radius: u32, angle: u32) -> vec2<f32> {
    return sqrt(-2.0 * ln_unit(radius)) * cos_sin_turn(angle);
}

fn ln_unit(any_word: u32) -> f32 {
    let word = max(any_word, 1u);
    let zeros = countLeadingZeros(word);
    var mantissa = f32(((word << zeros) >> 8u) | 1u) * UNIFORM_STEP;
    var exponent = -f32(zeros);
    if mantissa < SQRT_HALF {
        mantissa += mantissa;
        exponent -= 1.0;
    }
    let x = mantissa - 1.0;
    let x_sq = x * x;
    var tail = LN[0];
    tail = tail * x + LN[1];
    tail = tail * x + LN[2];
    tail = tail * x + LN[3];
    tail = tail * x + LN[4];
    tail = tail * x + LN[5];
    tail = tail * x + LN[6];
    tail = tail * x + LN[7];
    tail = tail * x + LN[8];
    let small = x * x_sq * tail + exponent * LN_2_LOW - 0.5 * x_sq;
    return exponent * LN_2_HIGH + (x + small);
}

fn cos_sin_turn(word: u32) -> vec2<f32> {
    let quarter = (word + (1u << 29u)) >> 30u;
    let rest = bitcast<i32>(word - (quarter << 30u));
    let x = f32((rest >> 5u) | 1) * TURN_STEP;
    let x_sq = x * x;
    let sin = ((SIN[0] * x_sq + SIN[1]) * x_sq + SIN[2]) * x_sq * x + x;
    let cos = ((COS[0] * x_sq + COS[1]) * x_sq + COS[2]) * x_sq * x_sq - 0.5 * x_sq + 1.0;
    switch quarter {
        case 0u: { return vec2<f32>(cos, sin); }
        case 1u: { return vec2<f32>(-sin, cos); }
        case 2u: { return vec2<f32>(-cos, -sin); }
        default: { return vec2<f32>(sin, -cos); }
    }
}
