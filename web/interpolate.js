// The task "Interpolate": two pictures, the row of pictures between them, a slider through the row.

import { find, plural, save, stamp } from './dom.js';
import { EndpointView } from './endpoint.js';
import { bindModel, bindNumber, fillSelect, isValid } from './controls.js';
import { Grid } from './grid.js';
import { Runner } from './runner.js';
import { optionFields } from './sampler-fields.js';
import { MAX_FRAMES } from './state.js';
import { show, toBytes } from './pixels.js';

/** Rows of equal length that are as few as possible: one where there is room. */
function evenColumns(count, width) {
  return Math.ceil(count / Math.ceil((count * 44) / width));
}

export class InterpolateView {
  #section;
  #app;
  #form;
  #ends;
  #runner;
  #row;
  #playing = 0;

  constructor(section, app) {
    this.#section = section;
    this.#app = app;
    this.#form = find('form', section);
    this.#ends = ['a', 'b'].map(
      (key) => new EndpointView(find(`.end-${key}`, section), key, app, { name: `picture ${key.toUpperCase()}` }),
    );
    find('.run', section).append(...stamp('#run-template'));
    this.#runner = new Runner(section, () => app.engine.cancel());
    this.#row = new Grid(find('.frames', section), { tile: 96, columnsFor: evenColumns });
    this.#row.onSelect = (index) => this.#frame(index);
    this.#wire();
  }

  refresh() {
    const { state, engine } = this.#app;
    for (const end of this.#ends) end.refresh();
    if (!engine) return;
    const form = this.#form.elements;
    fillSelect(form.model, engine.models, state.model);
    form.frames.value = state.frames;
    find('.flow-options', this.#form).replaceChildren(...optionFields(this.#app, 'interpolate'));
    this.#form.inert = false;
  }

  async start() {
    const app = this.#app;
    if (!isValid(this.#form)) return;
    const missing = this.#ends.find((end) => end.missing)?.missing;
    if (missing) return app.showError(missing);
    const { model, frames } = app.state;
    const options = app.optionsFor('interpolate');
    const [a, b] = this.#ends.map((end) => end.request(app.model));
    this.#stop();
    this.#row.label = 'Frames in the making';
    find('.scrub', this.#section).hidden = true;
    await app.run({
      runner: this.#runner,
      work: (hooks) => app.engine.interpolate({ model, a, b, frames, options }, hooks),
      onPreview: (preview) => this.#fill(preview),
      onResult: (result) => {
        this.#fill(result);
        this.#row.label = `${plural(result.count, 'frame')} from picture A to picture B`;
        const slider = find('.scrub input', this.#section);
        slider.max = result.count - 1;
        find('.scrub', this.#section).hidden = false;
        this.#ends[0].reveal(this.#row.picture(0));
        this.#ends[1].reveal(this.#row.picture(result.count - 1));
        this.#frame(Math.floor(result.count / 2));
      },
      retry: () => this.start(),
    });
  }

  #fill({ count, channels, height, width, images }) {
    find('.stage', this.#section).hidden = false;
    this.#row.show({ count, channels, height, width, data: toBytes(images) });
    this.#big(this.#row.selected);
  }

  #frame(index) {
    this.#row.select(index);
    this.#big(index);
    const slider = find('.scrub input', this.#section);
    slider.value = index;
    slider.setAttribute('aria-valuetext', `frame ${index + 1} of ${this.#row.batch.count}`);
    find('.frame-number', this.#section).textContent = `${index + 1} / ${this.#row.batch.count}`;
  }

  #big(index) {
    const canvas = find('.big', this.#section);
    const picture = this.#row.picture(index);
    show(canvas, picture);
    const edge = Math.min(300, canvas.parentElement.clientWidth);
    canvas.style.width = `${Math.max(1, Math.floor(edge / picture.width)) * picture.width}px`;
  }

  /** There and back, eight pictures a second, until stopped. */
  #play() {
    const button = find('.play', this.#section);
    if (this.#playing) return this.#stop();
    button.textContent = 'Pause';
    let direction = this.#row.selected === this.#row.batch.count - 1 ? -1 : 1;
    let due = 0;
    const tick = (now) => {
      if (now >= due) {
        due = now + 125;
        const next = this.#row.selected + direction;
        if (next <= 0 || next >= this.#row.batch.count - 1) direction = -direction;
        this.#frame(Math.min(Math.max(next, 0), this.#row.batch.count - 1));
      }
      this.#playing = requestAnimationFrame(tick);
    };
    this.#playing = requestAnimationFrame(tick);
  }

  #stop() {
    cancelAnimationFrame(this.#playing);
    this.#playing = 0;
    find('.play', this.#section).textContent = 'Play';
  }

  #wire() {
    const app = this.#app;
    const form = this.#form.elements;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.start();
    });
    bindModel(form.model, app);
    form.frames.max = MAX_FRAMES;
    bindNumber(form.frames, 'frames', app);
    find('.swap', this.#form).addEventListener('click', () => {
      for (const end of this.#ends) end.forget();
      app.update({ a: app.state.b, b: app.state.a });
    });
    const slider = find('.scrub input', this.#section);
    slider.addEventListener('input', () => {
      this.#stop();
      this.#frame(slider.valueAsNumber);
    });
    find('.play', this.#section).addEventListener('click', () => this.#play());
    const name = () => `${app.state.model}-interpolation`;
    find('.save-grid', this.#section).addEventListener('click', async () =>
      save(await this.#row.png(), `${name()}.png`),
    );
    find('.save-one', this.#section).addEventListener('click', async () => {
      save(await this.#row.png(this.#row.selected), `${name()}-${this.#row.selected + 1}.png`);
    });
    find('.share', this.#section).addEventListener('click', () => app.copyLink());
  }
}
