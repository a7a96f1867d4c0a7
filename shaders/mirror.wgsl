// The filter that leads back from a convolution's output to its input: taps in the opposite order, channels exchanged.
// Its bias is zero.

struct Params {
    area: u32, // taps
    c_in: u32,
    c_out: u32,
}

@group(0) @binding({{ weight }}) var<storage, read_write> weight: array<f32>;
@group(0) @binding({{ mirrored }}) var<storage, read_write> mirrored: array<f32>;
@group(0) @binding({{ bias }}) var<storage, read_write> bias: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (workgroup.x + workgroup.y * workgroups.x) * {{ threads }} + thread;
    if i < params.c_in {
        bias[i] = 0.0;
    }
    if i >= params.area * params.c_in * params.c_out {
        return;
    }
    let c = i % params.c_in;
    let o = i / params.c_in % params.c_out;
    let tap = params.area - 1 - i / (params.c_in * params.c_out);
    mirrored[i] = weight[(tap * params.c_in + c) * params.c_out + o];
}
