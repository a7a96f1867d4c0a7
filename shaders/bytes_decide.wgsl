// The expectation of bytes by Bayes' rule, from their noisy values and what a network has said of them.
// src/ops/bytes.rs launches it.

struct Params {
    rows: u32,
    len: u32,
    // Of noise levels: 1, or as many as rows.
    levels: u32,
    reach: u32,
    // The middles of the lowest bin and the highest, and the width of each.
    first: f32,
    last: f32,
    width: f32,
    pad: u32,
}

@group(0) @binding({{ x }}) var<storage, read_write> x: array<f32>;
// `[rows, 3, len]`
@group(0) @binding({{ raw }}) var<storage, read_write> raw: array<f32>;
// Six numbers of each level: `Level` of src/ops/bytes.rs.
@group(0) @binding({{ numbers }}) var<storage, read_write> numbers: array<f32>;
@group(0) @binding({{ y }}) var<storage, read_write> y: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

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
    let level = 6u * (row % params.levels);
    let per_square = numbers[level];
    let trust = numbers[level + 1u];
    let constant = numbers[level + 2u];
    let half = numbers[level + 3u];
    let c_skip = numbers[level + 4u];
    let c_out = numbers[level + 5u];

    let value = x[i];
    let bins = (value - params.first) / params.width;
    let off = bins - round(bins);
    var all = 1.0;
    var sum = 0.0;
    for (var k = 1u; k <= params.reach; k++) {
        let j = f32(k);
        let above = exp((off * j - 0.5 * j * j) * per_square);
        let below = exp((-off * j - 0.5 * j * j) * per_square);
        all += above + below;
        sum += j * (above - below);
    }
    let expected = value + (sum / all - off) * params.width;
    let any = log(all) - 0.5 * off * off * per_square;

    let said = row * 3u * params.len + i % params.len;
    let own = c_skip * expected + c_out * raw[said];
    let from_low = value - params.first;
    let from_high = value - params.last;
    let by_any = constant - trust * any;
    let low = raw[said + params.len] + by_any + half * from_low * from_low;
    let high = raw[said + 2u * params.len] + by_any + half * from_high * from_high;
    let most = max(max(low, high), 0.0);
    let shares = exp(vec3(-most, low - most, high - most));
    y[i] = dot(shares, vec3(own, params.first, params.last)) / (shares.x + shares.y + shares.z);
}
