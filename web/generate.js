// The task "Generate": choose a model and a sampler, watch noise become images.

import { ClassFields, classRequest } from './class-fields.js';
import { bindModel, bindNumber, fillSelect, isValid } from './controls.js';
import { find, plural, stamp } from './dom.js';
import { drawField } from './field.js';
import { Gallery, previewEvery } from './gallery.js';
import { Runner } from './runner.js';
import { showSampler } from './sampler-fields.js';
import { createSeedField } from './seed-field.js';
import { MAX_COUNT } from './state.js';

export class GenerateView {
  #section;
  #app;
  #form;
  #classes;
  #gallery;
  #runner;

  constructor(section, app) {
    this.#section = section;
    this.#app = app;
    this.#form = find('form', section);
    this.#classes = new ClassFields(find('.class-fields', section), 'class', app);
    createSeedField(find('.seed-field', section), 'seed', app);
    find('.run', section).append(...stamp('#run-template'));
    this.#runner = new Runner(section, () => app.engine.cancel());
    const fileName = () => `${app.state.model}-${app.sampler('generate').name}-seed${app.state.seed}`;
    this.#gallery = new Gallery(find('.gallery', section), app, fileName);
    this.#wire();
    this.#idle();
  }

  /** Puts the state into the controls. */
  refresh() {
    const { state, engine } = this.#app;
    const form = this.#form.elements;
    if (!engine) return;
    fillSelect(form.model, engine.models, state.model);
    this.#classes.refresh();
    form.seed.value = state.seed;
    form.count.value = state.count;
    const [main, ...rest] = showSampler(this.#form, this.#app, 'generate');
    find('.main-option', this.#form).replaceChildren(...(main ? [main] : []));
    find('.more-options', this.#form).replaceChildren(...rest);
    find('details', this.#form).hidden = rest.length === 0;
    this.#form.inert = false;
  }

  async start() {
    const app = this.#app;
    if (!isValid(this.#form)) return;
    const { model, seed, count } = app.state;
    const sampler = app.sampler('generate').name;
    const options = app.optionsFor('generate');
    const preview_every = previewEvery(options);
    const request = { model, sampler, options, seed, count, preview_every, ...classRequest(app) };
    this.#gallery.begin();
    await app.run({
      runner: this.#runner,
      work: (hooks) => app.engine.sample(request, hooks),
      onPreview: (preview) => {
        find('.idle', this.#section).hidden = true;
        this.#gallery.show(preview);
      },
      onResult: (result) => {
        find('.idle', this.#section).hidden = true;
        const what = `${plural(count, 'generated image')}, model ${model}, sampler ${sampler}, seed ${seed}`;
        this.#gallery.end(result, what);
      },
      retry: () => this.start(),
    });
  }

  /** The empty stage shows a score field; it is redrawn when its size or the colours change. */
  #idle() {
    const canvas = find('.idle', this.#section);
    const redraw = () => canvas.hidden || drawField(canvas);
    new ResizeObserver(redraw).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ['data-theme'] });
  }

  #wire() {
    const app = this.#app;
    const form = this.#form.elements;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.start();
    });
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
