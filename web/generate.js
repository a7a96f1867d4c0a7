// The task "Generate": choose a model and a sampler, watch noise become images.

import { find, make, plural, randomSeed, save, stamp } from './dom.js';
import { drawField } from './field.js';
import { Grid } from './grid.js';
import { fillSelect, mainOption, optionField } from './controls.js';
import { Runner } from './runner.js';
import { MAX_COUNT } from './state.js';
import { toBytes } from './pixels.js';

/** Pictures of the trajectory that are kept for the slider; beyond this every second one is dropped. */
const KEPT = 96;

export class GenerateView {
  #section;
  #app;
  #form;
  #stage;
  #grid;
  #runner;
  #trajectory = [];

  constructor(section, app) {
    this.#section = section;
    this.#app = app;
    this.#form = find('form', section);
    this.#stage = find('.stage', section);
    find('.run', section).append(...stamp('#run-template'));
    this.#runner = new Runner(section, () => app.engine.cancel());
    this.#grid = new Grid(find('.grid', section));
    this.#grid.onSelect = (index) => (find('.which', section).value = index + 1);
    this.#wire();
    this.#idle();
  }

  /** Puts the state into the controls. */
  refresh() {
    const { state, engine } = this.#app;
    const form = this.#form.elements;
    if (!engine) return;
    fillSelect(form.model, engine.models, state.model);
    fillSelect(form.sampler, engine.samplers, state.sampler);
    form.seed.value = state.seed;
    form.count.value = state.count;
    const sampler = engine.samplers.find(({ name }) => name === state.sampler);
    find('.sampler-help', this.#form).textContent = sampler.help;
    const main = mainOption(sampler);
    const field = (option) => {
      const onInput = (value) => this.#app.setOption(sampler.name, option.name, value);
      return optionField(option, this.#app.optionsOf(sampler.name)[option.name], onInput, {
        slider: option === main,
      });
    };
    find('.main-option', this.#form).replaceChildren(...(main ? [field(main)] : []));
    const rest = sampler.options.filter((option) => option !== main);
    find('.more-options', this.#form).replaceChildren(...rest.map(field));
    find('details', this.#form).hidden = rest.length === 0;
    this.#form.inert = false;
  }

  async start() {
    const app = this.#app;
    // A field under "More" cannot show its complaint while it is folded away.
    if (!this.#form.checkValidity()) find('details', this.#form).open = true;
    if (!this.#form.reportValidity()) return;
    const { model, sampler, seed, count } = app.state;
    const options = app.optionsOf(sampler);
    const preview_every = Math.max(1, Math.round((options.n_steps ?? 1) / KEPT));
    this.#trajectory = [];
    this.#grid.marked = false;
    this.#grid.label = 'Images in the making';
    find('.trajectory', this.#section).hidden = true;
    this.#tools(false);
    await app.run({
      runner: this.#runner,
      work: (hooks) => app.engine.sample({ model, sampler, options, seed, count, preview_every }, hooks),
      onPreview: (preview) => this.#keep(preview),
      onResult: (result) => {
        this.#keep(result);
        this.#grid.label = `${plural(count, 'generated image')}, model ${model}, sampler ${sampler}, seed ${seed}`;
        this.#grid.marked = true;
        this.#scrubber();
        this.#tools(true);
      },
      retry: () => this.start(),
    });
  }

  #keep({ count, channels, height, width, images }) {
    const batch = { count, channels, height, width, data: toBytes(images) };
    if (this.#trajectory.length >= KEPT) this.#trajectory = this.#trajectory.filter((_, i) => i % 2 === 1);
    this.#trajectory.push(batch);
    find('.idle', this.#section).hidden = true;
    this.#stage.classList.add('filled');
    this.#grid.show(batch);
  }

  #scrubber() {
    const slider = find('.trajectory input', this.#section);
    slider.max = this.#trajectory.length - 1;
    slider.value = slider.max;
    find('.trajectory', this.#section).hidden = this.#trajectory.length < 3;
  }

  #tools(isReady) {
    const tools = find('.tools', this.#section);
    tools.hidden = !isReady;
    if (!isReady) return;
    const which = find('.which', this.#section);
    which.max = this.#grid.batch.count;
    which.value = this.#grid.selected + 1;
    for (const element of tools.querySelectorAll('.of-many')) element.hidden = this.#grid.batch.count === 1;
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
    form.model.addEventListener('change', () => app.update({ model: form.model.value }));
    form.sampler.addEventListener('change', () => app.update({ sampler: form.sampler.value }));
    form.seed.addEventListener(
      'input',
      () => form.seed.checkValidity() && app.update({ seed: form.seed.valueAsNumber }, false),
    );
    form.count.max = MAX_COUNT;
    form.count.addEventListener(
      'input',
      () => form.count.checkValidity() && app.update({ count: form.count.valueAsNumber }, false),
    );
    find('.dice', this.#form).addEventListener('click', () => app.update({ seed: randomSeed() }));

    const slider = find('.trajectory input', this.#section);
    slider.addEventListener('input', () => this.#grid.show(this.#trajectory[slider.valueAsNumber]));
    const which = find('.which', this.#section);
    which.addEventListener('input', () => which.checkValidity() && this.#grid.select(which.valueAsNumber - 1));

    const fileName = () => `${app.state.model}-${app.state.sampler}-seed${app.state.seed}`;
    this.#on('.save-grid', async () => save(await this.#grid.png(), `${fileName()}.png`));
    this.#on('.save-one', async () => {
      save(await this.#grid.png(this.#grid.selected), `${fileName()}-${this.#grid.selected + 1}.png`);
    });
    for (const end of ['a', 'b']) {
      this.#on(`.use-${end}`, () => {
        const picture = this.#grid.picture(this.#grid.selected);
        app.update({ [end]: { kind: 'pixels', source: 'sample', picture } });
        app.tell(`Image ${this.#grid.selected + 1} is now ${end.toUpperCase()} of the interpolation.`);
      });
    }
    this.#on('.share', () => app.copyLink());
  }

  #on(selector, handler) {
    find(selector, this.#section).addEventListener('click', handler);
  }
}
