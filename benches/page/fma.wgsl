// The most multiplications with additions that an adapter does: eight independent chains per thread, no memory.
@group(0) @binding(0) var<storage, read_write> out: array<vec4f>;

const ROUNDS = 512u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let x = vec4f(0.5 + 1e-9 * f32(id.x));
    let y = vec4f(0.25);
    var a = array(x, x + y, x - y, y, -x, -y, y + y, -x - y);
    var a0 = a[0]; var a1 = a[1]; var a2 = a[2]; var a3 = a[3];
    var a4 = a[4]; var a5 = a[5]; var a6 = a[6]; var a7 = a[7];
    for (var round = 0u; round < ROUNDS; round++) {
        a0 = fma(a0, x, y); a1 = fma(a1, x, y); a2 = fma(a2, x, y); a3 = fma(a3, x, y);
        a4 = fma(a4, x, y); a5 = fma(a5, x, y); a6 = fma(a6, x, y); a7 = fma(a7, x, y);
    }
    out[id.x] = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7;
}
