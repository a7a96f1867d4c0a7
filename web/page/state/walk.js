// A walk over the sheet of the task "Play": points [across, down], each 0 to 1, ten a second. In a link, two bytes a point.

import { decode, encode } from './base64.js';

/** Points a second. */
export const RATE = 10;
/** A minute and a half: a link of 2,400 letters, which everything that passes links on still takes. */
export const MOST = 90 * RATE;

export function readWalk(text) {
  const bytes = decode(text);
  if (!bytes || bytes.length % 2 || bytes.length < 4 || bytes.length > 2 * MOST) return undefined;
  return Array.from({ length: bytes.length / 2 }, (_, i) => [bytes[2 * i] / 255, bytes[2 * i + 1] / 255]);
}

export function writeWalk(walk) {
  return walk && encode(Uint8ClampedArray.from(walk.flat(), (share) => 255 * share));
}

/** Where a walk is `seconds` after its beginning, or null after its end. */
export function pointOf(walk, seconds) {
  const at = seconds * RATE;
  const before = Math.floor(at);
  if (before >= walk.length - 1) return null;
  const share = at - before;
  return walk[before].map((value, i) => (1 - share) * value + share * walk[before + 1][i]);
}
