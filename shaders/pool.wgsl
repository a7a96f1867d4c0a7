// The mean or the maximum of the window around every pixel of NHWC images. Beyond the image are zeros, which count for the
// mean and not for the maximum. src/ops/pool/wgsl.rs launches it.

struct Params {
    channels: u32, // counted in values: quads, or single channels with SCALAR
    height: u32,
    width: u32,
    values: u32,
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

const reach = {{ reach }}u;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(global_invocation_id) id: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    let at = id.x + id.y * groups.x * {{ threads }}u;
    if at >= params.values {
        return;
    }
    let column = at / params.channels % params.width;
    let row = at / (params.channels * params.width) % params.height;
    let last_row = min(row + reach, params.height - 1u);
    let last_column = min(column + reach, params.width - 1u);
    let first_column = column - min(column, reach);
//#if MEAN
    var pooled = Value();
//#end
//#if !MEAN
    var pooled = x[at];
//#end
    for (var i = row - min(row, reach); i <= last_row; i++) {
        for (var j = first_column; j <= last_column; j++) {
            // Neighbours are whole rows and pixels away; the difference may wrap, and so does the sum.
            let neighbour = x[at + ((i - row) * params.width + j - column) * params.channels];
//#if MEAN
            pooled += neighbour;
//#end
//#if !MEAN
            pooled = max(pooled, neighbour);
//#end
        }
    }
//#if MEAN
    pooled /= f32((2u * reach + 1u) * (2u * reach + 1u));
//#end
    y[at] = pooled;
}
