// What a network reads of noisy bytes: `c_in·x`, then sines and cosines of `x` with periods of 1, 2, 4, ... bins, each as
// large as the noise leaves it on average. src/ops/bytes.rs launches it.

struct Params {
    rows: u32,
    len: u32,
    // Of noise levels: 1, or as many as rows.
    levels: u32,
    octaves: u32,
    // The middle of the lowest bin, and the width of each.
    first: f32,
    width: f32,
    pad0: u32,
    pad1: u32,
}

@group(0) @binding({{ x }}) var<storage, read_write> x: array<f32>;
// `c_in`, and the noise in bins, of each level.
@group(0) @binding({{ scales }}) var<storage, read_write> scales: array<vec2<f32>>;
// `[rows, 1 + 2·octaves, len]`
@group(0) @binding({{ y }}) var<storage, read_write> y: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const TURN = 6.2831855;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = id.x + id.y * groups.x * {{ threads }}u;
    if i >= params.rows * params.len {
        return;
    }
    let row = i / params.len;
    let scale = scales[row % params.levels];
    let value = x[i];
    let bins = (value - params.first) / params.width;
    var at = row * (1u + 2u * params.octaves) * params.len + i % params.len;
    y[at] = scale.x * value;
    var period = 1.0;
    for (var octave = 0u; octave < params.octaves; octave++) {
        let turns = bins / period;
        // WGSL knows sines of one turn only.
        let angle = TURN * (turns - round(turns));
        let noise = TURN * scale.y / period;
        let left = exp(-0.5 * noise * noise);
        at += params.len;
        y[at] = left * sin(angle);
        at += params.len;
        y[at] = left * cos(angle);
        period *= 2.0;
    }
}
