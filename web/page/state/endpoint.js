// A picture that the visitor gives, in the state and in a link.
//   {kind: 'digit', digit}, {kind: 'seed', seed, index}, or {kind: 'pixels', source, picture}

import { decode, encode } from './base64.js';
import { whole } from './keys.js';

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
  const [kind, ...rest] = text.split(':');
  if (kind === 'seed') {
    const [seed, index] = [whole(rest[0] ?? ''), whole(rest[1] ?? '0')];
    return seed === undefined || index === undefined ? undefined : { kind, seed, index };
  }
  if (kind === 'digit') {
    const digit = whole(rest[0] ?? '');
    return digit === undefined ? undefined : { kind, digit };
  }
  if (kind === 'pixels') {
    const [width, height, channels] = (rest[0] ?? '').split('x').map(Number);
    const data = decode(rest[1] ?? '');
    return data && data.length > 0 && data.length === width * height * channels
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
