// The state of the page and its form in the URL hash:
//   #task=generate&device=auto&model=mnist-vp&sampler=pc&seed=7&count=16&n_steps=100&run=1
//   #task=interpolate&device=auto&model=mnist-vp&a=digit:4&b=seed:7:0&frames=9&rtol=0.0001&run=1
//   #task=edit&device=auto&model=mnist-vp&image=digit:4&mode=inpaint&mask=left&sampler=pc&seed=7&results=4&run=1
// With `class=3&guidance=2` where a class was chosen. A key that is not listed in READERS is an option of the sampler.
// `run=1` means: start at once, so that a link shows its picture and a reload shows the same one. Own pictures are part
// of the link: a=pixels:28x28x1:<base64url>; painted masks, a bit for each pixel: mask=28x28:<base64url>.

import { decode, encode } from './base64.js';
import { KINDS, kindOf } from './conditions.js';
import { readMask, writeMask } from './mask.js';
import { purposeOf } from './purposes.js';

export const TASKS = ['generate', 'edit', 'interpolate', 'about'];
export const MAX_COUNT = 256;
export const MAX_FRAMES = 64;
export const MAX_RESULTS = 16;

export function initialState() {
  return {
    task: 'generate',
    device: 'auto',
    model: '',
    class: null, // any
    guidance: 1,
    samplers: {}, // purpose -> name of the sampler
    options: {}, // purpose -> sampler name -> option name -> number or choice
    seed: 7,
    count: null, // until the device is known
    frames: 9,
    a: { kind: 'digit', digit: 4 },
    b: { kind: 'digit', digit: 15 },
    image: { kind: 'digit', digit: 15 },
    mode: 'inpaint',
    mask: { preset: 'bottom' },
    factor: 4,
    strength: 0.3,
    noise: 0.5,
    results: 4,
    run: false,
  };
}

export function isState(hash) {
  return /^#[a-z_]+=/.test(hash);
}

/** Reads a hash over `state`. What cannot be read becomes a sentence in `notes`; the rest still holds. */
export function readHash(hash, state) {
  const notes = [];
  const read = { run: false };
  const loose = {};
  for (const [key, text] of new URLSearchParams(hash.slice(1))) {
    const isOurs = Object.hasOwn(READERS, key);
    const value = isOurs ? READERS[key](text) : numberOrName(text);
    if (value === undefined)
      notes.push(`The link's ${key} “${text.slice(0, 40)}” makes no sense and was ignored.`);
    else (isOurs ? read : loose)[key] = value;
  }
  const { sampler, ...rest } = read;
  const next = { ...state, ...rest };
  if (next.task === 'generate' || next.task === 'edit') next.class = read.class ?? null; // a link to any has no class
  if (sampler) next.samplers = { ...state.samplers, [purposeOf(next)]: sampler };
  return { state: next, loose, notes };
}

/** Only what the current task uses, in full: defaults may change, a link must not. `options` are the sampler's. */
export function writeHash(state, options) {
  const { task, device } = state;
  const pairs = Object.entries({ task, device, ...(task === 'about' ? {} : WRITERS[task](state)) });
  if (task !== 'about') {
    pairs.push(...Object.entries(options));
    if (state.run) pairs.push(['run', 1]);
  }
  return '#' + pairs.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%3A', ':')}`).join('&');
}

const chosenClass = ({ class: chosen, guidance }) => (chosen === null ? {} : { class: chosen, guidance });
const chosenSampler = (state) => ({ sampler: state.samplers[purposeOf(state)] });
const WRITERS = {
  generate(state) {
    const { model, seed, count } = state;
    return { model, ...chosenClass(state), ...chosenSampler(state), seed, count };
  },
  edit(state) {
    const { model, mode, seed, results } = state;
    const { setting } = kindOf(state);
    const own = setting && { [setting]: setting === 'mask' ? writeMask(state.mask) : state[setting] };
    const image = writeEndpoint(state.image);
    return { model, image, mode, ...own, ...chosenClass(state), ...chosenSampler(state), seed, results };
  },
  interpolate({ model, a, b, frames }) {
    return { model, a: writeEndpoint(a), b: writeEndpoint(b), frames };
  },
};

const oneOf =
  (...names) =>
  (text) =>
    names.includes(text) ? text : undefined;
const integer = (min, max) => (text) => {
  const value = Number(text);
  return text !== '' && Number.isInteger(value) && value >= min && value <= max ? value : undefined;
};
const numberOrName = (text) => (text === '' || Number.isNaN(Number(text)) ? name(text) : Number(text));
const name = (text) => (/^[\w.-]+$/.test(text) ? text : undefined);
const number = (min, max) => (text) => {
  const value = Number(text);
  return text !== '' && value >= min && value <= max ? value : undefined;
};
const READERS = {
  task: oneOf(...TASKS),
  device: oneOf('auto', 'gpu', 'cpu'),
  model: name,
  sampler: name,
  seed: integer(0, Number.MAX_SAFE_INTEGER),
  count: integer(1, MAX_COUNT),
  frames: integer(2, MAX_FRAMES),
  a: readEndpoint,
  b: readEndpoint,
  image: (text) => (text.startsWith('seed:') ? undefined : readEndpoint(text)),
  mode: oneOf(...KINDS.map((kind) => kind.name)),
  mask: readMask,
  factor: integer(2, 64),
  strength: number(0.01, 1),
  noise: number(0.02, 2),
  results: integer(1, MAX_RESULTS),
  class: integer(0, Number.MAX_SAFE_INTEGER),
  guidance: number(0, 5),
  run: (text) => text === '1',
};

function readEndpoint(text) {
  const [kind, ...rest] = text.split(':');
  if (kind === 'seed') {
    const [seed, index] = [READERS.seed(rest[0] ?? ''), READERS.seed(rest[1] ?? '0')];
    return seed === undefined || index === undefined ? undefined : { kind, seed, index };
  }
  if (kind === 'digit') {
    const digit = READERS.seed(rest[0] ?? '');
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

function writeEndpoint(endpoint) {
  if (endpoint.kind === 'seed') return `seed:${endpoint.seed}:${endpoint.index}`;
  if (endpoint.kind === 'digit') return `digit:${endpoint.digit}`;
  const { width, height, channels, data } = endpoint.picture;
  return `pixels:${width}x${height}x${channels}:${encode(data)}`;
}
