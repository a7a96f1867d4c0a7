// Standard normal numbers from a seed, the same on every machine. They are for the noise that a visitor adds to a
// picture; the noise that samplers draw is made in Rust.

/** `count` numbers: mulberry32 for the uniform ones, made normal by Box and Muller (1958). */
export function normals(seed, count) {
  const uniform = mulberry32(seed);
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform())); // 1 - u is never 0
    const angle = 2 * Math.PI * uniform();
    out[i] = radius * Math.cos(angle);
    if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

/** Tommy Ettinger's generator of 32 bits, which is enough for pictures; numbers from 0 to below 1. */
function mulberry32(seed) {
  let state = (seed ^ Math.floor(seed / 2 ** 32)) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}
