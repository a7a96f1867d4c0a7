// The task "Interpolate": two pictures, the row of pictures between them, a slider through the row.

import { find, plural, save } from '../dom.js';
import { bindNumber, isValid, optionField } from '../parts/controls.js';
import { EndpointView } from '../parts/endpoint.js';
import { Grid } from '../parts/grid.js';
import { bindModel, fillModels } from '../parts/model-field.js';
import { Runner } from '../parts/runner.js';
import { optionFields } from '../parts/sampler-fields.js';
import { show, toBytes } from '../pixels.js';
import { classesOf } from '../state/classes.js';
import { endpointKey } from '../state/endpoint.js';
import { integer, number } from '../state/keys.js';

const MAX_FRAMES = 64;

const TEMPERATURE = {
  name: 'temperature',
  title: 'Temperature',
  help: 'Multiplies the latents between: below 1 the pictures are plainer and more typical.',
  min: 0.1,
  max: 2,
  step: 0.05,
};

const MARKUP = `
  <section id="interpolate" class="task" aria-labelledby="interpolate-title" hidden>
    <form inert>
      <h1 id="interpolate-title">Interpolate</h1>
      <p class="lede">Each picture is encoded by running the probability-flow ODE towards noise. The points between the two latents are decoded back.</p>
      <div class="ends">
        <fieldset class="end end-a"><legend>A</legend></fieldset>
        <fieldset class="end end-b"><legend>B</legend></fieldset>
      </div>
      <div class="line">
        <div class="field">
          <label for="interpolate-model">Model</label>
          <select id="interpolate-model" name="model" aria-describedby="interpolate-refused"></select>
        </div>
        <div class="field">
          <label for="frames">Frames</label>
          <input id="frames" name="frames" type="number" inputmode="numeric" min="2" step="1" required>
        </div>
        <div class="actions">
          <button type="submit" class="primary start">Interpolate</button>
          <button type="button" class="swap">Swap A and B</button>
        </div>
      </div>
      <p class="hint" id="interpolate-refused"></p>
      <details><summary>More</summary><div class="flow-options wide"></div></details>
    </form>
    <div class="run"></div>
    <div class="stage" hidden>
      <canvas class="big pixels" role="img" aria-label="The current frame"></canvas>
      <div class="beside">
        <div class="frames"></div>
        <div class="scrub" hidden>
          <div class="row">
            <button type="button" class="play">Play</button>
            <label for="scrub">Frame</label>
            <input id="scrub" type="range" min="0" step="1">
            <output class="frame-number" for="scrub"></output>
          </div>
          <div class="tools">
            <button type="button" class="save-one">Save frame</button>
            <button type="button" class="save-grid">Save all</button>
            <button type="button" class="share">Copy link</button>
            <span class="shared hint"></span>
          </div>
        </div>
      </div>
    </div>
  </section>`;

/** Rows of equal length that are as few as possible: one where there is room. */
function evenColumns(count, width) {
  return Math.ceil(count / Math.ceil((count * 44) / width));
}

class InterpolateView {
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
    this.#runner = new Runner(section, app, () => this.start());
    this.#row = new Grid(find('.frames', section), { tile: 96, columnsFor: evenColumns });
    this.#row.onSelect = (index) => this.#frame(index);
    this.#wire();
  }

  refresh() {
    const { state, engine } = this.#app;
    for (const end of this.#ends) end.refresh();
    if (!engine) return;
    const form = this.#form.elements;
    fillModels(form.model, this.#app);
    form.frames.value = state.frames;
    find('#interpolate-refused').textContent = this.#refusal;
    const temperature = optionField(TEMPERATURE, state.temperature, (value) =>
      this.#app.update({ temperature: value }, false),
    );
    find('.flow-options', this.#form).replaceChildren(temperature, ...optionFields(this.#app, 'interpolate'));
    this.#form.inert = false;
  }

  async start() {
    const app = this.#app;
    if (!isValid(this.#form)) return;
    const missing = this.#missing;
    if (missing) return app.showError(missing, { isOver: () => this.#missing !== missing });
    const { model, frames, temperature } = app.state;
    const options = app.optionsFor('interpolate');
    const [a, b] = this.#ends.map((end) => end.request(app.model));
    this.#stop();
    this.#row.label = 'Frames in the making';
    find('.scrub', this.#section).hidden = true;
    await app.run({
      runner: this.#runner,
      work: (hooks) => app.engine.interpolate({ model, a, b, frames, temperature, options }, hooks),
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

  /** Why the model cannot do it, as a sentence. */
  get #refusal() {
    const { samplers, model, engine } = this.#app;
    const problem = !samplers.includes(this.#app.sampler('interpolate'))
      ? 'that takes a score, which it does not give'
      : classesOf(model, engine.classifiers).isNeeded && 'it knows images of a class only';
    return problem ? `This model cannot encode pictures: ${problem}.` : '';
  }

  /** Why nothing can be drawn yet, as a sentence. */
  get #missing() {
    return this.#refusal || this.#ends.find((end) => end.missing)?.missing;
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

export const interpolate = {
  name: 'interpolate',
  title: 'Interpolate',
  markup: MARKUP,
  View: InterpolateView,
  keys: {
    a: endpointKey(4, { kind: 'seed', seed: 1, index: 0 }),
    b: endpointKey(15, { kind: 'seed', seed: 2, index: 0 }),
    frames: { initial: 9, read: integer(2, MAX_FRAMES) },
    temperature: {
      initial: 1,
      read: number(TEMPERATURE.min, TEMPERATURE.max),
      write: (value) => (value === 1 ? null : value),
    },
  },
  link: () => ['model', 'a', 'b', 'frames', 'temperature'],
  // The probability-flow ODE is the only sampler that also encodes.
  purposes: { interpolate: { sampler: 'ode', isOnly: true } },
  purpose: () => 'interpolate',
};
