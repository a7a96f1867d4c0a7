// A picture that the visitor gives, in the state and in a link.
//   {kind: 'digit', digit}, {kind: 'seed', seed, index}, or {kind: 'pixels', source, picture}

import { decode, encode } from './base64.js';
import { integer, sides, whole } from './keys.js';

/** Greatest number of an image of a seed. */
export const MAX_INDEX = 1_000_000;

/** A key for such a picture: at first a test digit, and `other` where that digit is not here. */
export function endpointKey(digit, other) {
  return {
    initial: { kind: 'digit', digit },
    read,
    write,
    settle(value, { digits, tell }) {
      if (value.kind !== 'digit' || digits[value.digit]) return value;
      if (digits.length) tell(`There is no test digit ${value.digit} here; another picture is used instead.`);
      return other;
    },
  };
}

function read(text) {
  const [kind, ...parts] = text.split(':');
  if (kind === 'seed' && parts.length <= 2) {
    const [seed, index] = [whole(parts[0] ?? ''), integer(0, MAX_INDEX)(parts[1] ?? '0')];
    return seed === undefined || index === undefined ? undefined : { kind, seed, index };
  }
  if (kind === 'digit' && parts.length === 1) {
    const digit = whole(parts[0]);
    return digit === undefined ? undefined : { kind, digit };
  }
  if (kind === 'pixels' && parts.length === 2) {
    const [width, height, channels] = sides(3)(parts[0]) ?? [];
    const data = decode(parts[1]);
    return [1, 3].includes(channels) && data?.length === width * height * channels
      ? { kind, source: 'own', picture: { width, height, channels, data } }
      : undefined;
  }
  return undefined;
}

function write(endpoint) {
  if (endpoint.kind === 'seed') return `seed:${endpoint.seed}:${endpoint.index}`;
  if (endpoint.kind === 'digit') return `digit:${endpoint.digit}`;
  const { width, height, channels, data } = endpoint.picture;
  return `pixels:${width}x${height}x${channels}:${encode(data)}`;
}
