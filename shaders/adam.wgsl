// One step of Adam (Kingma and Ba, 2015, algorithm 1) for each weight, its gradient first scaled by
// min(1, clip / norm), where norm² is that of all gradients together:
//
//   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g²
//   w = w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

struct Params {
    len: u32,
    rate: f32,
    beta1: f32,
    beta2: f32,
    rest1: f32, // 1 - beta1, which f32 would get wrong in the fifth digit
    rest2: f32,
    correction1: f32, // 1 / (1 - beta1^t)
    correction2: f32,
    epsilon: f32,
    clip: f32,
}

@group(0) @binding({{ weight }}) var<storage, read_write> weight: array<f32>;
@group(0) @binding({{ gradient }}) var<storage, read_write> gradient: array<f32>;
@group(0) @binding({{ first }}) var<storage, read_write> first: array<f32>;
@group(0) @binding({{ second }}) var<storage, read_write> second: array<f32>;
@group(0) @binding({{ norm_sq }}) var<storage, read_write> norm_sq: array<f32>;
@group(0) @binding({{ new_weight }}) var<storage, read_write> new_weight: array<f32>;
@group(0) @binding({{ new_first }}) var<storage, read_write> new_first: array<f32>;
@group(0) @binding({{ new_second }}) var<storage, read_write> new_second: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = (workgroup.x + workgroup.y * workgroups.x) * {{ threads }} + thread;
    if i >= params.len {
        return;
    }
    let g = gradient[i] / max(sqrt(norm_sq[0]) / params.clip, 1.0);
    let m = params.beta1 * first[i] + params.rest1 * g;
    let v = params.beta2 * second[i] + params.rest2 * g * g;
    new_first[i] = m;
    new_second[i] = v;
    new_weight[i] =
        weight[i] - params.rate * params.correction1 * m / (sqrt(params.correction2 * v) + params.epsilon);
}
