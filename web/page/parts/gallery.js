// The images of a run: the grid, the slider back to the noise, and what can be done with an image. While they come into
// being, the grid shows what the model takes them for, or the noisy state that the sampler walks with.

import { elements, find, findAll, save } from '../dom.js';
import { toBytes } from '../pixels.js';
import { Grid } from './grid.js';

const MARKUP = `
  <div class="grid"></div>
  <div class="trajectory" hidden>
    <label class="way">From noise to image <input type="range" min="0" step="1"></label>
    <label class="check" title="Without its noise a step shows what the model takes the images for">
      <input type="checkbox" class="noisy"> With the noise
    </label>
  </div>
  <div class="tools" hidden>
    <label class="which-row of-many row">Image <input class="which short" type="number" min="1" step="1" required></label>
    <button type="button" class="save-one">Save image</button>
    <button type="button" class="save-grid of-many">Save all</button>
    <button type="button" class="share">Copy link</button>
    <span class="shared hint"></span>
  </div>`;

/** Pictures of the trajectory that are kept for the slider; beyond this every second one is dropped. */
const KEPT = 96;

/** How many steps apart previews have to be, for a sampler with these options. */
export function previewEvery({ n_steps = 1 }) {
  return Math.max(1, Math.round(n_steps / KEPT));
}

export class Gallery {
  #root;
  #grid;
  #which;
  #slider;
  #noisy;
  #trajectory = []; // {state, denoised}

  /**
   * Fills `root`, whose children become further tools. `fileName()` names what is saved.
   */
  constructor(root, app, fileName) {
    const tools = [...root.children];
    root.append(...elements(MARKUP));
    find('.which-row', root).after(...tools);
    this.#root = root;
    this.#grid = new Grid(find('.grid', root));
    this.#which = find('.which', root);
    this.#slider = find('.way input', root);
    this.#noisy = find('.noisy', root);
    this.#grid.onSelect = (index) => (this.#which.value = index + 1);
    this.#slider.addEventListener('input', () => this.#draw());
    this.#noisy.addEventListener('change', () => this.#draw());
    this.#which.addEventListener(
      'input',
      () => this.#which.checkValidity() && this.#grid.select(this.#which.valueAsNumber - 1),
    );
    const on = (selector, handler) => find(selector, root).addEventListener('click', handler);
    on('.save-grid', async () => save(await this.#grid.png(), `${fileName()}.png`));
    on('.save-one', async () => save(await this.#grid.png(this.selected), `${fileName()}-${this.selected + 1}.png`));
    on('.share', () => app.copyLink());
  }

  /** Place of the marked image. */
  get selected() {
    return this.#grid.selected;
  }

  /** The marked image. */
  get picture() {
    return this.#grid.picture(this.selected);
  }

  /** A run begins. */
  begin() {
    this.#trajectory = [];
    this.#grid.marked = false;
    this.#grid.label = 'Images in the making';
    find('.trajectory', this.#root).hidden = false;
    find('.way', this.#root).hidden = true;
    find('.tools', this.#root).hidden = true;
  }

  /** Shows a preview and keeps it for the slider. */
  show({ count, channels, height, width, images, denoised = images }) {
    const batch = (floats) => ({ count, channels, height, width, data: toBytes(floats) });
    const state = batch(images);
    if (this.#trajectory.length >= KEPT) this.#trajectory = this.#trajectory.filter((_, i) => i % 2 === 1);
    this.#trajectory.push({ state, denoised: denoised === images ? state : batch(denoised) });
    this.#slider.max = this.#trajectory.length - 1;
    this.#slider.value = this.#slider.max;
    this.#draw();
  }

  /** Shows what a run has led to; `label` tells it to those who cannot see it. */
  end(result, label) {
    this.show(result);
    this.#grid.label = label;
    this.#grid.marked = true;
    find('.way', this.#root).hidden = false;
    find('.trajectory', this.#root).hidden = this.#trajectory.length < 3;
    find('.tools', this.#root).hidden = false;
    this.#which.max = result.count;
    this.#which.value = this.selected + 1;
    for (const element of findAll('.of-many', this.#root)) element.hidden = result.count === 1;
  }

  #draw() {
    const { state, denoised } = this.#trajectory[this.#slider.valueAsNumber] ?? {};
    if (state) this.#grid.show(this.#noisy.checked ? state : denoised);
  }
}
