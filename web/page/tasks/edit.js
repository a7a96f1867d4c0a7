// The task "Edit": a part of a picture, or a trace of it, is given; the model draws the rest.

import { find, findAll, make, plural } from '../dom.js';
import { ClassFields } from '../parts/class-fields.js';
import { bindNumber, isValid, optionField } from '../parts/controls.js';
import { EndpointView } from '../parts/endpoint.js';
import { Gallery, previewEvery } from '../parts/gallery.js';
import { MaskView } from '../parts/mask-view.js';
import { bindModel, fillModels } from '../parts/model-field.js';
import { Runner } from '../parts/runner.js';
import { showSampler } from '../parts/sampler-fields.js';
import { createSeedField } from '../parts/seed-field.js';
import { shapeOf, show } from '../pixels.js';
import { classRequest } from '../state/classes.js';
import { KINDS, kindOf } from '../state/conditions.js';
import { endpointKey } from '../state/endpoint.js';
import { integer, oneOf } from '../state/keys.js';

const MAX_RESULTS = 16;

const MARKUP = `
  <section id="edit" class="task" aria-labelledby="edit-title" hidden>
    <form inert>
      <h1 id="edit-title">Edit</h1>
      <p class="lede">Part of a picture is known, or a trace of it. The model draws the rest, though it was never trained for that.</p>
      <div class="ends">
        <fieldset class="end end-image"><legend>Picture</legend></fieldset>
        <fieldset class="end end-b">
          <legend>What to do</legend>
          <div class="segmented kinds" role="radiogroup" aria-label="What to do"></div>
          <p class="kind-help"></p>
          <div class="mask"></div>
          <div class="kind-option"></div>
          <div class="class-fields wide"></div>
          <p class="hint" id="kinds-refused"></p>
        </fieldset>
      </div>
      <div class="line">
        <div class="field">
          <label for="edit-model">Model</label>
          <select id="edit-model" name="model"></select>
        </div>
        <div class="seed-field"></div>
        <div class="field">
          <label for="results">Results</label>
          <input id="results" name="results" type="number" inputmode="numeric" min="1" step="1" required>
        </div>
        <div class="actions">
          <button type="submit" class="primary start">Draw</button>
        </div>
      </div>
      <details>
        <summary>Sampler</summary>
        <div class="field">
          <label for="edit-sampler">Sampler</label>
          <select id="edit-sampler" name="sampler" aria-describedby="edit-sampler-help"></select>
          <p class="hint sampler-help" id="edit-sampler-help"></p>
        </div>
        <div class="sampler-options wide"></div>
      </details>
    </form>
    <div class="run"></div>
    <div class="stage">
      <figure><canvas class="input pixels" role="img" aria-label="The picture"></canvas><figcaption>The picture</figcaption></figure>
      <figure><canvas class="given pixels" role="img" aria-label="What the model is given"></canvas><figcaption>What the model is given</figcaption></figure>
      <div class="results" hidden>
        <div class="gallery">
          <button type="button" class="use-image" title="Make it the picture that is edited">Use as picture</button>
        </div>
      </div>
    </div>
  </section>`;

class EditView {
  #section;
  #app;
  #form;
  #picture;
  #mask;
  #classes;
  #gallery;
  #runner;
  #wish = 0; // number of the latest wish to see what the model is given

  constructor(section, app) {
    this.#section = section;
    this.#app = app;
    this.#form = find('form', section);
    this.#picture = new EndpointView(find('.end-image', section), 'image', app, {
      name: 'the picture',
      takesSeeds: false,
    });
    this.#mask = new MaskView(find('.mask', section), app, () => this.#showGiven());
    this.#classes = new ClassFields(find('.class-fields', section), 'edit-class', app);
    createSeedField(find('.seed-field', section), 'edit-seed', app);
    this.#runner = new Runner(section, app, () => this.start());
    const fileName = () => `${app.state.model}-${app.state.mode}-seed${app.state.seed}`;
    this.#gallery = new Gallery(find('.gallery', section), app, fileName);
    this.#kinds();
    this.#wire();
  }

  get #kind() {
    return kindOf(this.#app.state);
  }

  refresh() {
    const { state, engine } = this.#app;
    this.#picture.refresh();
    if (!engine) return;
    const form = this.#form.elements;
    fillModels(form.model, this.#app);
    this.#classes.refresh();
    form.seed.value = state.seed;
    form.results.value = state.results;
    this.#showKind();
    find('.sampler-options', this.#form).replaceChildren(...showSampler(this.#form, this.#app, this.#kind.purpose));
    this.#showGiven();
    this.#form.inert = false;
  }

  async start() {
    const app = this.#app;
    if (!isValid(this.#form)) return;
    const missing = this.#missing;
    if (missing) return app.showError(missing, { isOver: () => this.#missing !== missing });
    const { model, seed, results: count } = app.state;
    const { title, purpose } = this.#kind;
    const sampler = app.sampler(purpose).name;
    const options = app.optionsFor(purpose);
    const preview_every = previewEvery(options);
    const request = { model, sampler, options, seed, count, preview_every, ...classRequest(app) };
    this.#gallery.begin();
    await app.run({
      runner: this.#runner,
      work: async (hooks) => {
        const { condition } = await this.#given();
        return app.engine.sample({ ...request, condition }, hooks);
      },
      onPreview: (preview) => this.#fill(() => this.#gallery.show(preview)),
      onResult: (result) =>
        this.#fill(() => this.#gallery.end(result, `${plural(count, 'result')} of “${title}”, seed ${seed}`)),
      retry: () => this.start(),
    });
  }

  /** Why nothing can be drawn yet, as a sentence. */
  get #missing() {
    const { model, state } = this.#app;
    const [{ refuse, missing }, shape] = [this.#kind, shapeOf(model)];
    return this.#picture.missing || refuse?.(shape) || missing?.(shape, state);
  }

  /** What the model is given of the picture: `{condition, picture}`. */
  async #given() {
    const { model, state, engine } = this.#app;
    return this.#kind.given(this.#picture.fitted(model), state, engine);
  }

  #fill(showImages) {
    find('.results', this.#section).hidden = false;
    showImages();
  }

  /** The controls of what is to be done. */
  #showKind() {
    const shape = shapeOf(this.#app.model);
    for (const radio of findAll('.kinds input', this.#form)) {
      radio.checked = radio.value === this.#kind.name;
      radio.disabled = Boolean(kindOf({ mode: radio.value }).refuse?.(shape));
    }
    const refusals = KINDS.map((kind) => kind.refuse?.(shape)).filter(Boolean);
    find('#kinds-refused').textContent = refusals.join(' ');
    find('.kind-help', this.#form).textContent = this.#kind.help;
    find('.mask', this.#form).hidden = this.#kind.name !== 'inpaint';
    find('.kind-option', this.#form).replaceChildren(...this.#settingField());
  }

  #settingField() {
    const { setting, option } = this.#kind;
    if (!option) return [];
    const info = { name: setting, ...option(shapeOf(this.#app.model)) };
    const onInput = (value) => {
      this.#app.update({ [setting]: Number(value) }, false);
      this.#showGiven();
    };
    return [optionField(info, this.#app.state[setting], onInput, { slider: true })];
  }

  /** The picture as it is and what the model is given of it, side by side. The latest wish wins. */
  async #showGiven() {
    const wish = ++this.#wish;
    const { model } = this.#app;
    const picture = this.#picture.missing ? null : this.#picture.fitted(model);
    if (this.#kind.name === 'inpaint') this.#mask.refresh(picture);
    show(find('.input', this.#section), picture);
    const given = this.#missing ? {} : await this.#given().catch((error) => {
      if (!error.code) console.error(error); // a mistake of the page itself; else a worker broke
      return {};
    });
    if (wish !== this.#wish) return;
    const canvas = find('.given', this.#section);
    show(canvas, given.picture);
    canvas.parentElement.hidden = Boolean(given.condition && !given.picture);
  }

  #kinds() {
    const radios = KINDS.map(({ name, title, refuse }) => {
      const radio = make('input', { type: 'radio', name: 'mode', value: name });
      if (refuse) radio.setAttribute('aria-describedby', 'kinds-refused');
      radio.addEventListener('change', () => this.#app.update({ mode: name }));
      return make('label', {}, radio, make('span', { textContent: title }));
    });
    find('.kinds', this.#form).append(...radios);
  }

  #wire() {
    const app = this.#app;
    const form = this.#form.elements;
    bindModel(form.model, app);
    form.sampler.addEventListener('change', () => app.setSampler(this.#kind.purpose, form.sampler.value));
    form.results.max = MAX_RESULTS;
    bindNumber(form.results, 'results', app);
    form.seed.addEventListener('input', () => form.seed.checkValidity() && this.#showGiven());
    find('.use-image', this.#section).addEventListener('click', () => {
      app.update({ image: { kind: 'pixels', source: 'sample', picture: this.#gallery.picture } });
      app.tell(`Image ${this.#gallery.selected + 1} is now the picture.`);
    });
  }
}

/** As natively. A consistency model's steps are what lets the rest see what is known. */
const USUAL = { pc: { n_corrector: 0 }, multistep: { n_steps: 40 } };

const image = endpointKey(15, { kind: 'digit', digit: 0 });

export const edit = {
  name: 'edit',
  title: 'Edit',
  markup: MARKUP,
  View: EditView,
  keys: {
    image: { ...image, read: (text) => (text.startsWith('seed:') ? undefined : image.read(text)) },
    mode: { initial: 'inpaint', read: oneOf(...KINDS.map((kind) => kind.name)) },
    ...Object.fromEntries(KINDS.filter(({ setting }) => setting).map(({ setting, key }) => [setting, key])),
    results: { initial: 4, read: integer(1, MAX_RESULTS) },
  },
  link(state) {
    const { setting } = kindOf(state);
    return ['model', 'image', 'mode', ...(setting ? [setting] : []), 'class', 'guidance', 'sampler', 'seed', 'results'];
  },
  purposes: {
    // The reverse diffusion alone. Corrector steps add little to what is known, and forget the picture that samples start
    // in; so what a visitor chooses for the one is not taken over to the other.
    known: { sampler: 'pc', options: USUAL },
    start: { sampler: 'pc', options: USUAL },
  },
  purpose: (state) => kindOf(state).purpose,
};
