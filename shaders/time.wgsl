// The noise level's way into the network in one dispatch: two hidden layers, and a linear one whose columns are the
// channels of all blocks side by side,
//
//   shifts = linear(silu(linear(silu(linear(features)))))
//
// A workgroup has a thread per quad of hidden units, and takes one row and every so many columns. The hidden layers
// are small: rather than wait for each other, all workgroups of a row compute them for themselves.

struct Params {
    inputs: u32,  // in quads, like `outputs`: features / 4
    outputs: u32, // the blocks' channels / 4
}

@group(0) @binding({{ features }}) var<storage, read_write> features: array<vec4f>; // [rows, features]
@group(0) @binding({{ weight1 }}) var<storage, read_write> weight1: array<vec4f>;   // [features, hidden]
@group(0) @binding({{ bias1 }}) var<storage, read_write> bias1: array<vec4f>;
@group(0) @binding({{ weight2 }}) var<storage, read_write> weight2: array<vec4f>;   // [hidden, hidden]
@group(0) @binding({{ bias2 }}) var<storage, read_write> bias2: array<vec4f>;
@group(0) @binding({{ weight3 }}) var<storage, read_write> weight3: array<vec4f>;   // [hidden, channels]
@group(0) @binding({{ bias3 }}) var<storage, read_write> bias3: array<vec4f>;
@group(0) @binding({{ shifts }}) var<storage, read_write> shifts: array<vec4f>;     // [rows, channels]
@group(0) @binding({{ params }}) var<uniform> params: Params;

const hidden = {{ threads }}u;
var<workgroup> first: array<vec4f, hidden>;
var<workgroup> second: array<vec4f, hidden>;

fn silu(v: vec4f) -> vec4f {
    return v / (1.0 + exp(-v));
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = workgroup.y;
    var h = bias1[thread];
    for (var i = 0u; i < params.inputs; i++) {
        let w = 4 * i * hidden + thread;
        let rows = mat4x4f(weight1[w], weight1[w + hidden], weight1[w + 2 * hidden], weight1[w + 3 * hidden]);
        h += rows * features[row * params.inputs + i];
    }
    first[thread] = silu(h);
    workgroupBarrier();

    h = bias2[thread];
    for (var i = 0u; i < hidden; i++) {
        let w = 4 * i * hidden + thread;
        let rows = mat4x4f(weight2[w], weight2[w + hidden], weight2[w + 2 * hidden], weight2[w + 3 * hidden]);
        h += rows * first[i];
    }
    second[thread] = silu(h);
    workgroupBarrier();

    let n = params.outputs;
    for (var column = workgroup.x * hidden + thread; column < n; column += workgroups.x * hidden) {
        h = bias3[column];
        for (var i = 0u; i < hidden; i++) {
            let w = 4 * i * n + column;
            h += mat4x4f(weight3[w], weight3[w + n], weight3[w + 2 * n], weight3[w + 3 * n]) * second[i];
        }
        shifts[row * n + column] = h;
    }
}
