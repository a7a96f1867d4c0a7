// The exponential linear unit: y = x where it is positive, exp(x) - 1 elsewhere. src/ops/elu.rs launches it.

struct Params {
    len: u32,
}

@group(0) @binding({{ x }}) var<storage, read_write> x: array<f32>;
@group(0) @binding({{ y }}) var<storage, read_write> y: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(global_invocation_id) id: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    let i = id.x + id.y * groups.x * {{ threads }}u;
    if i < params.len {
        y[i] = max(x[i], 0.0) + (exp(min(x[i], 0.0)) - 1.0);
    }
}
