// Sums over separable windows of NHWC images: halving, doubling and smoothing by a filter along both sides.
//
//   y[i, j] = sum over taps a, b of weights[i % divisor][a] weights[j % divisor][b] x[first(i) + a, first(j) + b]
//   first(i) = (stride i + divisor - 1) / divisor - back
//
// Pixels beyond the image are zero. src/ops/resample/wgsl.rs launches it.

struct Params {
    channels: u32, // counted in values: quads, or single channels with SCALAR
    in_height: u32,
    in_width: u32,
    height: u32, // of the result
    width: u32,
    stride: u32,
    divisor: u32,
    back: u32,
    taps: u32, // of one side
    values: u32,
    pad0: u32,
    pad1: u32,
    weights: array<vec4<f32>, 2>,
}

//#if SCALAR
alias Value = f32;
//#end
//#if !SCALAR
alias Value = vec4f;
//#end

@group(0) @binding({{ x }}) var<storage, read_write> x: array<Value>;
@group(0) @binding({{ y }}) var<storage, read_write> y: array<Value>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

// Before the image the unsigned difference wraps, and is outside as well.
fn first(i: u32) -> u32 {
    return (params.stride * i + params.divisor - 1u) / params.divisor - params.back;
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(global_invocation_id) id: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    let at = id.x + id.y * groups.x * {{ threads }}u;
    if at >= params.values {
        return;
    }
    let channel = at % params.channels;
    let column = at / params.channels % params.width;
    let row = at / (params.channels * params.width) % params.height;
    let image = at / (params.channels * params.width * params.height);
    var sum = Value();
    for (var a = 0u; a < params.taps; a++) {
        let from_row = first(row) + a;
        let of_row = params.weights[row % params.divisor][a];
        for (var b = 0u; b < params.taps; b++) {
            let from_column = first(column) + b;
            if from_row < params.in_height && from_column < params.in_width {
                let pixel = (image * params.in_height + from_row) * params.in_width + from_column;
                sum += of_row * params.weights[column % params.divisor][b] * x[pixel * params.channels + channel];
            }
        }
    }
    y[at] = sum;
}
