// The task "Generate": choose a model and a sampler, watch noise become images.

import { find, plural } from '../dom.js';
import { ClassFields } from '../parts/class-fields.js';
import { bindNumber, isValid, optionField } from '../parts/controls.js';
import { Gallery, previewEvery } from '../parts/gallery.js';
import { Grid } from '../parts/grid.js';
import { bindModel, fillModels } from '../parts/model-field.js';
import { Runner } from '../parts/runner.js';
import { fillSamplers, showSampler } from '../parts/sampler-fields.js';
import { createSeedField } from '../parts/seed-field.js';
import { fromImageData, tiles } from '../pixels.js';
import { classRequest } from '../state/classes.js';
import { integer } from '../state/keys.js';

const MAX_COUNT = 256;

const AUTOGUIDANCE = {
  name: 'weaker',
  title: 'Autoguidance',
  help: 'On from what a weaker version of the model says, for fewer mistakes; each step asks both. 1 is the model alone.',
  min: 1,
  max: 5,
};

/** What those who come without a link see before the list of models is here: its first one. */
const FIRST = { name: 'mnist-vp', picture: 'mnist-vp.png' };

const MARKUP = `
  <section id="generate" class="task two" aria-labelledby="generate-title" hidden>
    <form class="panel folded" inert>
      <h1 id="generate-title">Generate</h1>
      <p class="lede">Start from pure noise and follow the score, the direction in which an image becomes more likely.</p>
      <div class="field">
        <label for="generate-model">Model</label>
        <select id="generate-model" name="model"></select>
      </div>
      <div class="class-fields"></div>
      <div class="weaker-field"></div>
      <div class="field">
        <label for="sampler">Sampler</label>
        <select id="sampler" name="sampler" aria-describedby="sampler-help"></select>
        <p class="hint sampler-help" id="sampler-help"></p>
      </div>
      <div class="main-option"></div>
      <div class="pair">
        <div class="seed-field"></div>
        <div class="field">
          <label for="count">Images</label>
          <input id="count" name="count" type="number" inputmode="numeric" min="1" step="1" required>
        </div>
      </div>
      <details><summary>More</summary><div class="more-options"></div></details>
      <button type="submit" class="primary start">Generate</button>
    </form>
    <div class="result">
      <div class="run"></div>
      <div class="gallery">
        <button type="button" class="use-image" title="Edit this picture">Edit</button>
        <button type="button" class="use-a" title="Make it end A of an interpolation">Use as A</button>
        <button type="button" class="use-b" title="Make it end B of an interpolation">Use as B</button>
      </div>
      <figure class="first">
        <div class="grid"></div>
        <figcaption></figcaption>
      </figure>
    </div>
  </section>`;

class GenerateView {
  #section;
  #app;
  #form;
  #classes;
  #gallery;
  #runner;
  #examples;
  #exampled = ''; // the model of those on show

  constructor(section, app) {
    this.#section = section;
    this.#app = app;
    this.#form = find('form', section);
    this.#classes = new ClassFields(find('.class-fields', section), 'class', app, { turns: true });
    createSeedField(find('.seed-field', section), 'seed', app);
    this.#runner = new Runner(section, app, () => this.start());
    const fileName = () => `${app.state.model}-${app.sampler('generate').name}-seed${app.state.seed}`;
    this.#gallery = new Gallery(find('.gallery', section), app, fileName);
    this.#examples = new Grid(find('.first .grid', section));
    this.#examples.marked = false;
    this.#wire();
  }

  /** Puts the state into the controls. */
  refresh() {
    const { state, engine } = this.#app;
    const form = this.#form.elements;
    this.#showExamples(engine ? this.#app.model : FIRST);
    if (!engine) return;
    fillModels(form.model, this.#app);
    this.#classes.refresh();
    const onInput = (weaker) => {
      this.#app.update({ weaker }, false);
      fillSamplers(this.#form, this.#app, 'generate', this.#costs);
    };
    find('.weaker-field', this.#form).replaceChildren(
      ...(this.#canGuide ? [optionField(AUTOGUIDANCE, state.weaker, onInput, { slider: true })] : []),
    );
    form.seed.value = state.seed;
    form.count.value = state.count;
    const [main, ...rest] = showSampler(this.#form, this.#app, 'generate', this.#costs);
    find('.main-option', this.#form).replaceChildren(...(main ? [main] : []));
    find('.more-options', this.#form).replaceChildren(...rest);
    find('details', this.#form).hidden = rest.length === 0;
    this.#form.inert = false;
  }

  /** Whether the model has a weaker version, and draws its best so: told the class, if it has learned any, and else alone. */
  get #canGuide() {
    const { model, state } = this.#app;
    return Boolean(model.weaker) && (state.class !== null) === model.card.architecture.config.classes > 0;
  }

  /** The part of a request that asks for the weaker version. */
  get #guide() {
    const { model, state } = this.#app;
    return this.#canGuide && state.weaker !== 1 ? { weaker: model.weaker, weaker_weight: state.weaker } : {};
  }

  get #costs() {
    return { evaluations: this.#guide.weaker ? 2 : 1 };
  }

  async start() {
    const app = this.#app;
    if (!isValid(this.#form)) return;
    const { model, seed, count } = app.state;
    const sampler = app.sampler('generate').name;
    const options = app.optionsFor('generate');
    const preview_every = previewEvery(options);
    const classes = classRequest(app, count);
    const request = { model, sampler, options, seed, count, preview_every, ...classes, ...this.#guide };
    this.#gallery.begin();
    await app.run({
      runner: this.#runner,
      work: (hooks) => app.engine.sample(request, hooks),
      onPreview: (preview) => {
        this.#endExamples();
        this.#gallery.show(preview);
      },
      onResult: (result) => {
        this.#endExamples();
        const what = `${plural(count, 'generated image')}, model ${model}, sampler ${sampler}, seed ${seed}`;
        this.#gallery.end(result, what);
      },
      retry: () => this.start(),
    });
  }

  /** Until something is drawn here, what the model has drawn elsewhere: a picture that comes with it. */
  async #showExamples({ name, picture }) {
    if (!this.#examples || name === this.#exampled) return;
    this.#exampled = name;
    const images = picture ? await examples(`models/${picture}`).catch(() => null) : null;
    if (!this.#examples || name !== this.#exampled) return; // another was chosen meanwhile
    const figure = find('.first', this.#section);
    figure.hidden = !images;
    if (!images) return;
    this.#examples.show(images);
    this.#examples.label = `Images that the model ${name} has drawn`;
    find('figcaption', figure).textContent =
      `Drawn by ${name} before you came, from seed 7. Generate draws on your device.`;
  }

  #endExamples() {
    find('.first', this.#section).hidden = true;
    this.#examples = null;
  }

  #wire() {
    const app = this.#app;
    const form = this.#form.elements;
    bindModel(form.model, app);
    form.sampler.addEventListener('change', () => app.setSampler('generate', form.sampler.value));
    form.count.max = MAX_COUNT;
    bindNumber(form.count, 'count', app);
    const uses = {
      '.use-a': { key: 'a', place: 'A of the interpolation' },
      '.use-b': { key: 'b', place: 'B of the interpolation' },
      '.use-image': { key: 'image', place: 'the picture to edit', task: 'edit' },
    };
    for (const [selector, { key, place, task = 'generate' }] of Object.entries(uses)) {
      find(selector, this.#section).addEventListener('click', () => {
        app.update({ task, [key]: { kind: 'pixels', source: 'sample', picture: this.#gallery.picture } });
        app.tell(`Image ${this.#gallery.selected + 1} is now ${place}.`);
      });
    }
  }
}

/** The images of a picture that has four in a row. */
async function examples(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} is not there`);
  const bitmap = await createImageBitmap(await response.blob());
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  return tiles(fromImageData(context.getImageData(0, 0, bitmap.width, bitmap.height)), 4);
}

export const generate = {
  name: 'generate',
  title: 'Generate',
  markup: MARKUP,
  View: GenerateView,
  keys: {
    count: {
      initial: null, // until the device is known
      read: integer(1, MAX_COUNT),
      settle: (count, { engine }) => count ?? (engine.device.kind === 'gpu' ? 64 : 16),
    },
  },
  link: () => ['model', 'class', 'guidance', 'weaker', 'sampler', 'seed', 'count'],
  purposes: { generate: { sampler: 'heun' } },
  purpose: () => 'generate',
};
