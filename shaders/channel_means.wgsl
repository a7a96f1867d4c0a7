// The mean of every channel of every image, [b, c]: a workgroup takes four channels of an image.
// src/ops/instance_norm/wgsl.rs launches it.

struct Params {
    pixels: u32, // of one image
    channels: u32, // in quads
}

@group(0) @binding({{ x }}) var<storage, read_write> x: array<vec4f>;
@group(0) @binding({{ means }}) var<storage, read_write> means: array<vec4f>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const threads = {{ threads }}u;
var<workgroup> sums: array<vec4f, threads>;

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first = workgroup.x / params.channels * params.pixels * params.channels + workgroup.x % params.channels;
    var sum = vec4f();
    for (var pixel = thread; pixel < params.pixels; pixel += threads) {
        sum += x[first + pixel * params.channels];
    }
    sums[thread] = sum;
    workgroupBarrier();
    if thread == 0 {
        var total = vec4f();
        for (var t = 0u; t < threads; t++) {
            total += sums[t];
        }
        means[workgroup.x] = total / f32(params.pixels);
    }
}
