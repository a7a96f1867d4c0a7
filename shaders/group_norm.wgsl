// Group normalisation of x, or of x and skip concatenated, after Wu and He (2018):
// out = gamma (x - mean) / sqrt(variance + epsilon) + beta, biased variance, with SILU then silu(out).
//
// One workgroup takes one group of one image and holds it in registers: thread t the pixels
// t, t + threads, ... So memory is read once, and yet the mean is known before the squares are
// summed: a nearly constant image would lose its digits to E[x²] - E[x]². Each thread adds up all
// partial sums itself: a software adapter pays for every barrier as for a hundred loads, which also
// is why the workgroups are small. With SUBGROUP a workgroup is one subgroup, and needs no barrier.

struct Params {
    pixels: u32, // of one image
    c_x: u32,    // channels, counted in values: quads, or single channels with SCALAR
    c_skip: u32,
    groups: u32,
    epsilon: f32,
}

//#if SCALAR
alias Value = f32;
fn add_up(value: Value) -> f32 { return value; }
//#end
//#if !SCALAR
alias Value = vec4f;
fn add_up(value: Value) -> f32 { return dot(value, vec4f(1.0)); }
//#end

@group(0) @binding({{ x }}) var<storage, read_write> x: array<Value>;
//#if SKIP
@group(0) @binding({{ skip }}) var<storage, read_write> skip: array<Value>;
//#end
@group(0) @binding({{ gamma }}) var<storage, read_write> gamma: array<Value>;
@group(0) @binding({{ beta }}) var<storage, read_write> beta: array<Value>;
@group(0) @binding({{ out }}) var<storage, read_write> out: array<Value>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

fn activation(h: Value) -> Value {
//#if SILU
    return h / (1.0 + exp(-h));
//#end
//#if !SILU
    return h;
//#end
}

const threads = {{ threads }}u;

//#if SUBGROUP
fn total(part: f32, round: u32, thread: u32) -> f32 {
    return subgroupAdd(part);
}
//#end
//#if !SUBGROUP
var<workgroup> parts: array<f32, 2 * threads>; // [round][thread]

fn total(part: f32, round: u32, thread: u32) -> f32 {
    parts[round * threads + thread] = part;
    workgroupBarrier();
    var sum = 0.0;
    for (var t = 0u; t < threads; t++) {
        sum += parts[round * threads + t];
    }
    return sum;
}
//#end

fn load(pixel: u32, channel: u32) -> Value {
//#if SKIP
    if channel >= params.c_x {
        return skip[pixel * params.c_skip + channel - params.c_x];
    }
//#end
    return x[pixel * params.c_x + channel];
}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first_pixel = workgroup.x / params.groups * params.pixels;
    let first_channel = workgroup.x % params.groups * {{ width }};
    let size = f32({{ lanes }} * {{ width }} * params.pixels);

    var sum = Value();
//#for n held
    let pixel{{ n }} = thread + {{ n }} * threads;
    let inside{{ n }} = pixel{{ n }} < params.pixels;
//#for c width
    let v{{ n }}_{{ c }} = load(first_pixel + min(pixel{{ n }}, params.pixels - 1), first_channel + {{ c }});
    sum += select(Value(), v{{ n }}_{{ c }}, inside{{ n }});
//#end
//#end
    let mean = total(add_up(sum) / size, 0, thread);

    sum = Value();
//#for n held
//#for c width
    let d{{ n }}_{{ c }} = v{{ n }}_{{ c }} - mean;
    sum += select(Value(), d{{ n }}_{{ c }} * d{{ n }}_{{ c }}, inside{{ n }});
//#end
//#end
    let inverse_std = inverseSqrt(total(add_up(sum) / size, 1, thread) + params.epsilon);

//#for c width
    let slope{{ c }} = gamma[first_channel + {{ c }}] * inverse_std;
    let shift{{ c }} = beta[first_channel + {{ c }}];
//#end
//#for n held
    if inside{{ n }} {
        let at = (first_pixel + pixel{{ n }}) * (params.c_x + params.c_skip) + first_channel;
//#for c width
        out[at + {{ c }}] = activation(fma(d{{ n }}_{{ c }}, slope{{ c }}, shift{{ c }}));
//#end
    }
//#end
}
