//! Softmax attention of every pixel to all pixels.

mod host;

use burn::tensor::{DType, Tensor, activation::softmax};

use super::conv::{Filter, Pass, Then};
use super::gradient::record;
use super::launch::wgsl::{self, Kernel, Launch, params, shader};

/// `softmax(q·kᵀ/sqrt c)·v` for `qkv` `[b, n, 3c]`, whose rows hold query, key and value of one pixel.
///
/// Returns `[b, n, c]`. Time grows with `n²`; the memory of its gradient too, elsewhere it works by blocks.
pub fn attention(qkv: Tensor<3>) -> Tensor<3> {
    let inputs = [qkv.clone().into_dispatch()];
    let plain = qkv.clone().without_autodiff();
    if let Some(y) = run(&plain, None) {
        return record(inputs, y, move |dy, _| [Some(attention_gradient(&plain, dy).into_dispatch())]);
    }
    match super::uses_flex(&plain.device()) {
        true => {
            let y = host::attention(&plain);
            record(inputs, y, move |dy, _| [Some(host::backward(&plain, &dy).into_dispatch())])
        }
        false => attention_plain(qkv),
    }
}

/// `scale·(x + projection(attention(qkv)))`, `projection` being a 1x1 convolution that keeps the `c` channels of `x`
/// `[b, h, w, c]`; `qkv` is `[b, h·w, 3c]`.
///
/// One dispatch where the device has a kernel, for up to 256 channels.
pub fn attention_added(qkv: Tensor<3>, projection: Filter, x: Tensor<4>, scale: f64) -> Tensor<4> {
    let dims = x.dims();
    if !qkv.is_autodiff()
        && !projection.weight.is_autodiff()
        && let Some(y) = run(&qkv, Some((&projection, &x, scale)))
    {
        return y.reshape(dims);
    }
    let attended = attention(qkv).reshape(dims).into();
    let then = Then::Add { x: x.into(), projection: None, scale };
    Pass { x: attended, upsample: false, filter: projection, then }.run()
}

/// [`attention_added`] in burn's stock operations: the oracle of the tests.
pub fn attention_added_plain(qkv: Tensor<3>, projection: Filter, x: Tensor<4>, scale: f64) -> Tensor<4> {
    let attended = attention_plain(qkv).reshape(x.dims()).into();
    let then = Then::Add { x: x.into(), projection: None, scale };
    Pass { x: attended, upsample: false, filter: projection, then }.run_plain()
}

/// The gradient of [`attention`] for `qkv` in burn's operations; see [`host::backward`].
fn attention_gradient(qkv: &Tensor<3>, dy: Tensor<3>) -> Tensor<3> {
    let [_, _, pitch] = qkv.dims();
    let c = pitch / 3;
    let [q, k, v] = [0, 1, 2].map(|i| qkv.clone().narrow(2, i * c, c));
    let scale = (c as f64).sqrt().recip();
    let weights = softmax(q.clone().matmul(k.clone().swap_dims(1, 2)) * scale, 2);
    let slopes = dy.clone().matmul(v.swap_dims(1, 2));
    let mean = (weights.clone() * slopes.clone()).sum_dim(2);
    let slopes = weights.clone() * (slopes - mean) * scale;
    let dq = slopes.clone().matmul(k);
    let dk = slopes.swap_dims(1, 2).matmul(q);
    Tensor::cat(vec![dq, dk, weights.swap_dims(1, 2).matmul(dy)], 2)
}

/// How [`attention`] of `qkv` changes as `qkv` does: with weights `w` of products `p`, `dw = w·(dp - sum(w·dp))`.
pub fn attention_tangent(qkv: Tensor<3>, tangent: Tensor<3>) -> Tensor<3> {
    match super::uses_flex(&qkv.device()) && !super::is_recorded(&qkv) && !super::is_recorded(&tangent) {
        true => host::tangent(&qkv, &tangent),
        false => attention_tangent_plain(qkv, tangent),
    }
}

/// [`attention_tangent`] in burn's stock operations: the oracle of the tests.
pub fn attention_tangent_plain(qkv: Tensor<3>, tangent: Tensor<3>) -> Tensor<3> {
    let [_, _, c] = qkv.dims();
    let c = c / 3;
    let parts = |x: &Tensor<3>| [0, 1, 2].map(|i| x.clone().narrow(2, i * c, c));
    let ([q, k, v], [dq, dk, dv]) = (parts(&qkv), parts(&tangent));
    let scale = (c as f64).sqrt().recip();
    let (k, dk) = (k.swap_dims(1, 2), dk.swap_dims(1, 2));
    let weights = softmax(q.clone().matmul(k.clone()) * scale, 2);
    let products = (dq.matmul(k) + q.matmul(dk)) * scale;
    let mean = (weights.clone() * products.clone()).sum_dim(2);
    let changes = weights.clone() * (products - mean);
    changes.matmul(v) + weights.matmul(dv)
}

/// [`attention`] in burn's stock operations: the oracle of the tests.
pub fn attention_plain(qkv: Tensor<3>) -> Tensor<3> {
    let [_, _, c] = qkv.dims();
    let c = c / 3;
    let part = |i: usize| qkv.clone().narrow(2, i * c, c);
    let weights = softmax(part(0).matmul(part(1).swap_dims(1, 2)) / (c as f64).sqrt(), 2);
    weights.matmul(part(2))
}

params! {
    struct Params {
        n: u32,
        c: u32,
        blocks: u32,
        groups: u32,
        scale: f32,
        skip_scale: f32,
    }
}

const THREADS: usize = 32;
/// Queries of a team of threads, and keys of each of its threads.
const QUERIES: usize = 4;
const KEYS: usize = 8;
/// Channels that are projected where they are attended to: with more, queries and weights would not fit into the workgroup
/// memory that every device has.
const MOST_PROJECTED: usize = 256;

/// Threads of a team: each adds up `channel_quads` quads of channels.
fn lanes(c: usize) -> usize {
    (c / 8).next_power_of_two().clamp(4, 16)
}

fn kernel(c: usize, projects: bool, half: bool) -> Kernel {
    let lanes = lanes(c);
    shader!("attention")
        .value("lanes", lanes)
        .value("keys", KEYS)
        .value("quads", c / 4)
        .value("channel_quads", (c / 4).div_ceil(lanes))
        .switch("PROJECT", projects)
        .switch("HALF", half)
}

/// Attention, and what follows it: the projection, what it is added to, and the scale.
fn run(qkv: &Tensor<3>, then: Option<(&Filter, &Tensor<4>, f64)>) -> Option<Tensor<3>> {
    let [b, n, c] = qkv.dims();
    let c = c / 3;
    if !c.is_multiple_of(4) || (then.is_some() && c > MOST_PROJECTED) {
        return None;
    }
    let blocks = n.div_ceil(QUERIES * THREADS / lanes(c));
    let params = Params {
        n: n as u32,
        c: c as u32,
        blocks: blocks as u32,
        groups: (b * blocks) as u32,
        scale: (c as f32).sqrt().recip(),
        skip_scale: then.map_or(1.0, |(_, _, scale)| scale as f32),
    };
    let half = then.is_some_and(|(projection, ..)| projection.weight.dtype() == DType::F16);
    let kernel = kernel(c, then.is_some(), half);
    let mut launch = Launch::new(&qkv.device(), kernel, THREADS)?.input("qkv", qkv.clone());
    if let Some((projection, x, _)) = then {
        launch = launch.input("x", x.clone()).input("projection", projection.weight.clone());
        launch = launch.input("bias", projection.bias.clone());
    }
    Some(launch.run_for("out", [b, n, c], &params, wgsl::rows(b * blocks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_valid() {
        for c in [4, 12, 64, 256, 1024] {
            wgsl::check::<Params>(kernel(c, false, false), THREADS);
        }
        for c in [4, 12, 64, MOST_PROJECTED] {
            for half in [false, true] {
                wgsl::check::<Params>(kernel(c, true, half), THREADS);
            }
        }
    }
}
