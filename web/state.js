// The state of the page and its form in the URL hash:
//   #task=generate&device=auto&model=mnist-vp&sampler=pc&seed=7&count=16&n_steps=100&run=1
//   #task=interpolate&device=auto&model=mnist-vp&a=digit:4&b=seed:7:0&frames=9&rtol=0.0001&run=1
// A key that is not listed in KEYS is an option of the sampler. `run=1` means: start at once, so that a link shows
// its picture and a reload shows the same one. Own pictures are part of the link: a=pixels:28x28x1:<base64url>.

const KEYS = ['task', 'device', 'model', 'sampler', 'seed', 'count', 'frames', 'a', 'b', 'run'];
export const TASKS = ['generate', 'interpolate', 'about'];
export const MAX_COUNT = 256;
export const MAX_FRAMES = 64;

export function initialState() {
  return {
    task: 'generate',
    device: 'auto',
    model: '',
    sampler: '',
    seed: 7,
    count: null, // until the device is known
    frames: 9,
    options: {}, // sampler name -> option name -> number or choice
    a: { kind: 'digit', digit: 4 },
    b: { kind: 'digit', digit: 15 },
    run: false,
  };
}

export function isState(hash) {
  return /^#[a-z_]+=/.test(hash);
}

/** Reads a hash over `state`. What cannot be read becomes a sentence in `notes`; the rest still holds. */
export function readHash(hash, state) {
  const notes = [];
  const next = { ...state, run: false };
  const loose = {};
  for (const [key, text] of new URLSearchParams(hash.slice(1))) {
    const value = KEYS.includes(key) ? READERS[key](text) : numberOrName(text);
    if (value === undefined)
      notes.push(`The link's ${key} “${text.slice(0, 40)}” makes no sense and was ignored.`);
    else if (KEYS.includes(key)) next[key] = value;
    else loose[key] = value;
  }
  return { state: next, loose, notes };
}

/** Only what the current task uses, in full: defaults may change, a link must not. */
export function writeHash(state, options) {
  const pairs = [
    ['task', state.task],
    ['device', state.device],
  ];
  if (state.task !== 'about') pairs.push(['model', state.model]);
  if (state.task === 'generate')
    pairs.push(['sampler', state.sampler], ['seed', state.seed], ['count', state.count]);
  if (state.task === 'interpolate') {
    pairs.push(['a', writeEndpoint(state.a)], ['b', writeEndpoint(state.b)], ['frames', state.frames]);
  }
  if (state.task !== 'about') pairs.push(...Object.entries(options));
  if (state.run && state.task !== 'about') pairs.push(['run', 1]);
  return '#' + pairs.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%3A', ':')}`).join('&');
}

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

function encode(bytes) {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function decode(text) {
  try {
    return Uint8ClampedArray.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) =>
      char.charCodeAt(0),
    );
  } catch {
    return undefined;
  }
}
