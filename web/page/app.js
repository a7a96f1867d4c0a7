// The page: starts the engine, keeps the state and the URL in step, runs requests and reports what happens.

import { open } from '../scorefield.js';
import { fetchDigits } from './digits.js';
import { elements, find, findAll, make, megabytes } from './dom.js';
import { forgetModel, keepModel, keptModels } from './kept.js';
import { useModel } from './parts/model-field.js';
import { OwnModels } from './parts/own-models.js';
import { checked } from './state/link.js';
import { fitting, samplerFor } from './state/purposes.js';
import { initialState, isState, purposeOf, readHash, schemaOf, writeHash } from './state/state.js';
import { TASKS } from './tasks/index.js';

const schema = schemaOf(TASKS);
let urlTimer = 0;
let alertIsOver = () => false; // whether what it tells has passed; see showError
let written = location.hash; // what the address had when this page last wrote or read it

const app = {
  state: initialState(schema),
  engine: null,
  digits: [],
  ownModels: [], // the visitor's, for whatever engine runs
  keptModels: new Set(), // the SHA-256 of those that the next visit will find
  isRunning: false,

  get model() {
    return this.engine?.models.find(({ name }) => name === this.state.model);
  },

  /** The samplers that fit the model. */
  get samplers() {
    return fitting(this.engine.samplers, this.model);
  },

  /** The sampler in use for a purpose. */
  sampler(purpose) {
    const { engine, state, model } = this;
    return samplerFor(schema.purposes[purpose], state.samplers[purpose], engine.samplers, model);
  },

  /** The values of its options. */
  optionsFor(purpose) {
    return this.state.options[purpose][this.sampler(purpose).name];
  },

  setSampler(purpose, name) {
    this.update({ samplers: { ...this.state.samplers, [purpose]: name } });
  },

  setOption(purpose, name, value) {
    const [sampler, options] = [this.sampler(purpose).name, this.state.options[purpose]];
    const changed = { ...options, [sampler]: { ...options[sampler], [name]: value } };
    this.update({ options: { ...this.state.options, [purpose]: changed } }, false);
  },

  /** Changes the state. `redraw` is false when the change comes from the very control that shows it. */
  update(patch, redraw = true) {
    Object.assign(this.state, { run: false }, patch);
    clearTimeout(urlTimer);
    // A slider changes it faster than Safari allows. A link that was followed meanwhile must not be written over.
    urlTimer = setTimeout(() => location.hash === written && writeUrl(), 150);
    if (redraw) refresh();
    if (alertIsOver()) clearError();
  },

  /** Runs a request of the engine with everything around it; never throws. */
  async run({ runner, work, onPreview, onResult, retry }) {
    if (this.isRunning) return;
    this.isRunning = true;
    find('#device').disabled = true;
    clearError();
    this.state.run = true;
    writeUrl();
    runner.start();
    this.announce('Started.');
    try {
      const result = await work({
        onDownload: (progress) => runner.download(progress),
        onCompile: (progress) => runner.compile(progress),
        onProgress: (progress) => runner.progress(progress),
        onPreview,
      });
      onResult(result);
      this.announce(`Finished: ${runner.finish(result)}`);
    } catch (error) {
      if (error.code === 'cancelled') {
        runner.stop('Cancelled.');
        this.announce('Cancelled.');
      } else {
        runner.stop('');
        if (!error.code) console.error(error); // a mistake of the page itself
        this.showError(error.message, { retry });
      }
    } finally {
      this.isRunning = false;
      find('#device').disabled = false;
    }
  },

  openOwnModels: () => ownModels.open(),

  /** Makes a model of the visitor's files, `{path, blob}`. */
  async addModel(files, signal) {
    const model = await this.engine.add(files, { signal });
    const others = this.ownModels.filter(({ sha256 }) => sha256 !== model.sha256);
    this.ownModels = [...others, model];
    refresh();
    return model;
  },

  /** Keeps a model for the next visit; returns whether the browser has promised to. */
  async keepModel(model) {
    const isSafe = await keepModel(model);
    this.keptModels.add(model.sha256);
    return isSafe;
  },

  async forgetModel(model) {
    this.ownModels = this.ownModels.filter(({ sha256 }) => sha256 !== model.sha256);
    this.engine.remove(model.name);
    if (this.state.model === model.name) useModel(this.engine.models[0].name, this);
    else refresh();
    if (this.keptModels.delete(model.sha256)) await forgetModel(model);
  },

  /** Another engine, for a while, on a device that need not be the visitor's choice. */
  engineOn: (device) => open({ device, threads: 1 }),

  announce(sentence) {
    find('#live').textContent = sentence;
  },

  /**
   * Tells of a failure. `isOver()` says whether its reason has gone, and with it the alert; it is asked after every
   * change of the state. Without it, the alert stays until a run or the engine starts.
   */
  showError(message, { retry, isOver = () => false } = {}) {
    alertIsOver = isOver;
    const box = find('#alert');
    box.replaceChildren(make('p', { textContent: message }));
    if (retry) box.append(button('Try again', () => (clearError(), retry())));
    box.append(button('Dismiss', clearError));
    box.hidden = false;
    box.scrollIntoView({ block: 'nearest' });
  },

  /** A short-lived remark beside the buttons, also announced. */
  tell(sentence) {
    this.announce(sentence);
    for (const element of findAll('.shared')) element.textContent = sentence;
    clearTimeout(this.tellTimer);
    this.tellTimer = setTimeout(() => findAll('.shared').forEach((element) => (element.textContent = '')), 5000);
  },

  async copyLink() {
    this.state.run = true;
    writeUrl();
    try {
      await navigator.clipboard.writeText(location.href);
      this.tell(this.model.own ? 'Link copied. It needs your model where it is opened.' : 'Link copied.');
    } catch {
      this.tell('The link is in the address bar.'); // plain http denies the clipboard
    }
  },
};

/** Each task with its section, the view that fills it, and its button. */
const panels = TASKS.map(({ name, title, markup, View }) => {
  const [section] = elements(markup);
  find('#live').before(section);
  const tab = button(title, () => app.update({ task: name }));
  tab.dataset.task = name;
  return { name, section, view: new View(section, app), tab };
});
find('nav').append(...panels.map(({ tab }) => tab));

const ownModels = new OwnModels(app);

function button(textContent, onClick) {
  const element = make('button', { type: 'button', textContent });
  element.addEventListener('click', onClick);
  return element;
}

function clearError() {
  alertIsOver = () => false;
  find('#alert').hidden = true;
  find('#alert').replaceChildren();
}

function writeUrl() {
  clearTimeout(urlTimer);
  if (!app.engine) return; // before the registry is known the link would lose its options
  const purpose = purposeOf(schema, app.state);
  const used = purpose ? [app.sampler(purpose).name, app.optionsFor(purpose)] : [];
  history.replaceState(null, '', writeHash(schema, app.state, ...used));
  written = location.hash;
}

function refresh() {
  const { task, device } = app.state;
  find('#device').value = device;
  for (const { name, section, view, tab } of panels) {
    section.hidden = name !== task;
    if (name === task) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
    view.refresh();
  }
}

/** Reads the URL, checks it against what the engine has, and starts if it says so. */
function followHash() {
  const { state, notes } = checked(schema, readLink(), app);
  app.state = state;
  // A link that had to be corrected would not show its picture: let the visitor decide.
  state.run &&= notes.length === 0;
  writeUrl();
  refresh();
  if (alertIsOver()) clearError();
  // The next change is the visitor's own, and no more what the link asked for.
  if (notes.length) app.showError(notes.join(' '), { isOver: () => true });
  else if (state.run) panels.find(({ name }) => name === state.task).view.start?.();
}

function readLink() {
  return readHash(schema, isState(location.hash) ? location.hash : '', app.state);
}

async function start(device) {
  const note = find('#device-note');
  note.textContent = 'Starting …';
  clearError();
  const onProgress = ({ loaded, total }) => {
    note.textContent = `Fetching the program: ${megabytes(loaded)}${total ? ` of ${megabytes(total)}` : ''}`;
  };
  const onDevice = ({ kind, name, reason }) => {
    note.textContent = `Computing on ${kind === 'gpu' ? `the GPU with WebGPU (${name})` : 'the CPU with WebAssembly'}. ${reason}`;
    note.dataset.kind = kind;
    app.announce(note.textContent);
  };
  try {
    app.engine?.dispose();
    app.engine = null;
    [app.engine, app.digits] = await Promise.all([open({ device, onProgress, onDevice }), digits]);
    await own;
    for (const model of app.ownModels) await app.engine.add(model);
    followHash();
  } catch (error) {
    if (!error.code) console.error(error);
    note.textContent = 'Not running.';
    app.showError(error.message, { retry: () => start(device) });
  }
}

find('#device').addEventListener('change', ({ target }) => {
  app.update({ device: target.value });
  writeUrl();
  start(target.value);
});
window.addEventListener('hashchange', () => {
  // Only links set the hash this way; a skip link ("#main") is no state.
  if (!app.engine || app.isRunning || !isState(location.hash)) return writeUrl();
  const wanted = readLink().state.device;
  if (wanted !== app.state.device) start((app.state.device = wanted));
  else followHash();
});

const first = readLink().state;
for (const key of ['task', 'device', ...(TASKS.find(({ name, isAlone }) => isAlone && name === first.task)?.link() ?? [])])
  app.state[key] = first[key];
const digits = fetchDigits().catch((error) => {
  app.showError(`The test digits could not be read: ${error.message}.`);
  return [];
});
const own = keptModels().then((models) => {
  app.ownModels = models;
  app.keptModels = new Set(models.map(({ sha256 }) => sha256));
});
refresh();
await start(first.device);
