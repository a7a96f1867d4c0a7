// The state of the page and its form in the URL hash:
//   #task=generate&device=auto&model=mnist-vp&sampler=pc&seed=7&count=16&n_steps=100&run=1
//   #task=interpolate&device=auto&model=mnist-vp&a=digit:4&b=seed:7:0&frames=9&rtol=0.0001&run=1
//   #task=edit&device=auto&model=mnist-vp&image=digit:4&mode=inpaint&mask=left&sampler=pc&seed=7&results=4&run=1
// With `class=3&guidance=2` where a class was chosen, `class=each` for each in turn. A key that nobody owns is an option of the sampler.
// `run=1` means: start at once, so that a link shows its picture and a reload shows the same one. Own pictures are part
// of the link: a=pixels:28x28x1:<base64url>; painted masks, a bit for each pixel: mask=28x28:<base64url>.

import { SHARED, name, oneOf } from './keys.js';

/** All that a list of tasks (tasks/index.js says what one is) means for the state: `{tasks, keys, purposes}` by name. */
export function schemaOf(tasks) {
  const all = (part) => Object.assign({}, ...tasks.map((task) => task[part]));
  return {
    tasks: Object.fromEntries(tasks.map((task) => [task.name, task])),
    keys: {
      task: { initial: tasks[0].name, read: oneOf(...tasks.map((task) => task.name)) },
      sampler: { read: name }, // the state has one for each purpose
      run: { initial: false, read: (text) => (oneOf('0', '1')(text) ? text === '1' : undefined) },
      ...SHARED,
      ...all('keys'),
    },
    purposes: all('purposes'),
  };
}

/** The value of every key, and for each purpose the sampler that was chosen and the options of every sampler. */
export function initialState({ keys }) {
  const values = Object.entries(keys).map(([key, { initial }]) => [key, initial]);
  return { ...Object.fromEntries(values), samplers: {}, options: {} };
}

/** The name of what the sampler of a state is for; undefined where its task needs none. */
export function purposeOf({ tasks }, state) {
  return tasks[state.task].purpose?.(state);
}

export function isState(hash) {
  return /^#[a-z_]+=/.test(hash);
}

/**
 * Reads a hash over `state`: the new one, the sampler it asks for, and what is `loose`, to be options of that. What
 * cannot be read becomes a sentence in `notes`; the rest still holds.
 */
export function readHash(schema, hash, state) {
  const notes = [];
  const read = { run: false };
  const loose = {};
  for (const [key, text] of new URLSearchParams(hash.slice(1))) {
    const isOurs = Object.hasOwn(schema.keys, key);
    const value = isOurs ? schema.keys[key].read(text) : numberOrName(text);
    if (value === undefined)
      notes.push(`The link's ${key} “${text.slice(0, 40)}” makes no sense and was ignored.`);
    else (isOurs ? read : loose)[key] = value;
  }
  const { sampler, ...rest } = read;
  const next = { ...state, ...rest };
  const link = linkOf(schema, next);
  if (link.includes('class')) next.class = read.class ?? null; // a link to any has no class
  if (link.includes('weaker') && read.model) next.weaker = read.weaker ?? 1; // nor one to a model alone another's weight
  return { state: next, sampler: link.includes('sampler') ? sampler : undefined, loose, notes };
}

/** Only what the current task uses, in full: defaults may change, a link must not. `options` are those of `sampler`. */
export function writeHash(schema, state, sampler, options = {}) {
  const link = linkOf(schema, state);
  const values = { ...state, sampler };
  const pairs = ['task', 'device', ...link].map((key) => {
    const { write = (value) => value } = schema.keys[key];
    return [key, write(values[key], state)];
  });
  if (link.length) pairs.push(...Object.entries(options), ['run', state.run ? 1 : null]);
  const said = pairs.filter(([, value]) => value !== null);
  return '#' + said.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%3A', ':')}`).join('&');
}

/** The keys that a link to the state's task has, in order, after `task` and `device`. */
function linkOf({ tasks }, state) {
  return tasks[state.task].link?.(state) ?? [];
}

function numberOrName(text) {
  return text === '' || Number.isNaN(Number(text)) ? name(text) : Number(text);
}
