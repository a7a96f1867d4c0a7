// The missing part of a picture: a preset that fits any size, or pixels that were painted.
//   {preset: 'left'}, or {width, height, data}: one byte for each pixel, 255 where it is missing

import { fitted } from '../pixels.js';
import { decode, encode } from './base64.js';
import { sides } from './keys.js';

/** Which pixels are missing, by their place `x`, `y` from 0 to 1. */
const isMissing = {
  left: (x) => x < 0.5,
  right: (x) => x > 0.5,
  top: (x, y) => y < 0.5,
  bottom: (x, y) => y > 0.5,
  centre: (x, y) => Math.max(Math.abs(x - 0.5), Math.abs(y - 0.5)) < 0.25,
};

export const PRESETS = [
  { name: 'left', title: 'Left half' },
  { name: 'right', title: 'Right half' },
  { name: 'top', title: 'Top' },
  { name: 'bottom', title: 'Bottom' },
  { name: 'centre', title: 'Centre' },
];

/** The mask for images of a shape, as a picture: 255 where a pixel is missing, else 0. */
export function maskPicture(mask, { height, width }) {
  if (mask.data) {
    // As the picture that it was painted on is fitted to another model.
    const picture = fitted({ channels: 1, ...mask }, { channels: 1, height, width });
    return { ...picture, data: picture.data.map((byte) => (byte > 127 ? 255 : 0)) };
  }
  const data = new Uint8ClampedArray(width * height);
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [((i % width) + 0.5) / width, (Math.floor(i / width) + 0.5) / height];
    if (isMissing[mask.preset](x, y)) data[i] = 255;
  }
  return { channels: 1, height, width, data };
}

/** `left`, or `28x28:` and a bit for each pixel. */
export function writeMask({ preset, width, height, data }) {
  if (preset) return preset;
  const bytes = new Uint8Array(Math.ceil(data.length / 8));
  data.forEach((byte, i) => (bytes[i >> 3] |= (byte > 127) << (i & 7)));
  return `${width}x${height}:${encode(bytes)}`;
}

/** Undefined where the text makes no sense. */
export function readMask(text) {
  if (Object.hasOwn(isMissing, text)) return { preset: text };
  const [size, bits = '', ...more] = text.split(':');
  const [width, height] = sides(2)(size) ?? [];
  const bytes = decode(bits);
  if (more.length || !width || bytes?.length !== Math.ceil((width * height) / 8)) return undefined;
  const data = Uint8ClampedArray.from({ length: width * height }, (_, i) => 255 * ((bytes[i >> 3] >> (i & 7)) & 1));
  return { width, height, data };
}
