// The most multiplications with additions that an adapter does: eight independent chains per thread, no memory.

struct Params {
    rounds: u32,
}

@group(0) @binding({{ done }}) var<storage, read_write> done: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

@compute @workgroup_size({{ threads }})
fn main(@builtin(global_invocation_id) id: vec3u) {
    let x = vec4f(0.5 + 1e-9 * f32(id.x));
    let y = vec4f(0.25);
    var a0 = x; var a1 = x + y; var a2 = x - y; var a3 = y;
    var a4 = -x; var a5 = -y; var a6 = y + y; var a7 = -x - y;
    for (var round = 0u; round < params.rounds; round++) {
        a0 = fma(a0, x, y); a1 = fma(a1, x, y); a2 = fma(a2, x, y); a3 = fma(a3, x, y);
        a4 = fma(a4, x, y); a5 = fma(a5, x, y); a6 = fma(a6, x, y); a7 = fma(a7, x, y);
    }
    let sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7;
    done[id.x] = sum.x + sum.y + sum.z + sum.w;
}
