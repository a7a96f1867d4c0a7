// InstanceNorm++ of NHWC images, after Song and Ermon (2019, 2020):
//
//   y = gamma ((x - mean) / sqrt(variance + epsilon) + alpha m) + beta
//   m = (mean - mean of means) / sqrt(variance of means + epsilon), over the channels, unbiased
//
// A workgroup takes four channels of an image, thread t the pixels t, t + threads, ... All add up all partial sums: a
// software adapter pays for every barrier as for a hundred loads. src/ops/instance_norm/wgsl.rs launches it.

struct Params {
    pixels: u32, // of one image
    channels: u32, // in quads
    stride: u32, // quads from one image's row of gamma, alpha and beta to the next one's; 0 where all share one
    others: f32, // channels less one
    epsilon: f32,
}

@group(0) @binding({{ x }}) var<storage, read_write> x: array<vec4f>;
@group(0) @binding({{ means }}) var<storage, read_write> means: array<vec4f>;
@group(0) @binding({{ gamma }}) var<storage, read_write> gamma: array<vec4f>;
@group(0) @binding({{ alpha }}) var<storage, read_write> alpha: array<vec4f>;
@group(0) @binding({{ beta }}) var<storage, read_write> beta: array<vec4f>;
@group(0) @binding({{ y }}) var<storage, read_write> y: array<vec4f>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const threads = {{ threads }}u;
var<workgroup> squares: array<vec4f, threads>;

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
    let image = workgroup.x / params.channels;
    let channel = workgroup.x % params.channels;
    let first = image * params.pixels * params.channels + channel;
    let mean = means[workgroup.x];

    var square = vec4f();
    for (var pixel = thread; pixel < params.pixels; pixel += threads) {
        let d = x[first + pixel * params.channels] - mean;
        square += d * d;
    }
    squares[thread] = square;
    workgroupBarrier();
    var variance = vec4f();
    for (var t = 0u; t < threads; t++) {
        variance += squares[t];
    }
    variance /= f32(params.pixels);

    var sum = 0.0;
    for (var c = 0u; c < params.channels; c++) {
        sum += dot(means[image * params.channels + c], vec4f(1.0));
    }
    let mean_of_means = sum / f32(4 * params.channels);
    var spread = 0.0;
    for (var c = 0u; c < params.channels; c++) {
        let d = means[image * params.channels + c] - mean_of_means;
        spread += dot(d, d);
    }
    let m = (mean - mean_of_means) * inverseSqrt(spread / params.others + params.epsilon);

    let row = image * params.stride + channel;
    let slope = gamma[row] * inverseSqrt(variance + params.epsilon);
    let shift = fma(gamma[row] * alpha[row], m, beta[row]);
    for (var pixel = thread; pixel < params.pixels; pixel += threads) {
        let at = first + pixel * params.channels;
        y[at] = fma(x[at] - mean, slope, shift);
    }
}
