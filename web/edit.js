// The task "Edit": a part of a picture, or a trace of it, is given; the model draws the rest.

import { ClassFields, classRequest } from './class-fields.js';
import { KINDS, kindOf } from './conditions.js';
import { bindModel, bindNumber, fillSelect, isValid, optionField } from './controls.js';
import { find, findAll, make, plural, stamp } from './dom.js';
import { EndpointView } from './endpoint.js';
import { Gallery, previewEvery } from './gallery.js';
import { MaskView } from './mask-view.js';
import { shapeOf, show } from './pixels.js';
import { Runner } from './runner.js';
import { showSampler } from './sampler-fields.js';
import { createSeedField } from './seed-field.js';
import { MAX_RESULTS } from './state.js';

export class EditView {
  #section;
  #app;
  #form;
  #picture;
  #mask;
  #classes;
  #gallery;
  #runner;

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
    find('.run', section).append(...stamp('#run-template'));
    this.#runner = new Runner(section, () => app.engine.cancel());
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
    fillSelect(form.model, engine.models, state.model);
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
    if (missing) return app.showError(missing);
    const { model, seed, results: count } = app.state;
    const { title, purpose } = this.#kind;
    const sampler = app.sampler(purpose).name;
    const options = app.optionsFor(purpose);
    const preview_every = previewEvery(options);
    const { condition } = this.#given();
    const request = { model, sampler, options, seed, count, preview_every, condition, ...classRequest(app) };
    this.#gallery.begin();
    await app.run({
      runner: this.#runner,
      work: (hooks) => app.engine.sample(request, hooks),
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
  #given() {
    return this.#kind.given(this.#picture.fitted(this.#app.model), this.#app.state);
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

  /** The picture as it is and what the model is given of it, side by side. */
  #showGiven() {
    const { model } = this.#app;
    const picture = this.#picture.missing ? null : this.#picture.fitted(model);
    if (this.#kind.name === 'inpaint') this.#mask.refresh(picture);
    const given = this.#missing ? {} : this.#given();
    show(find('.input', this.#section), picture);
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
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.start();
    });
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
