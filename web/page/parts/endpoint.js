// A picture that the visitor gives: a test digit, a file, a drawing, or (at an end of an interpolation) a seed.

import { elements, find, findAll, make, randomSeed } from '../dom.js';
import {
  centredLikeMnist,
  fitted,
  inkOnBlack,
  rimIsBright,
  shapeOf,
  show,
  toFloats,
  withChannels,
} from '../pixels.js';
import { MAX_INDEX } from '../state/endpoint.js';
import { createPad } from './draw.js';
import { readPicture } from './file.js';

const MARKUP = `
  <div class="row head">
    <canvas class="thumb pixels" role="img" width="28" height="28"></canvas>
    <div>
      <div class="segmented" role="radiogroup" aria-label="Where the picture comes from">
        <label><input type="radio" value="digit"><span>Test digit</span></label>
        <label><input type="radio" value="seed"><span>Seed</span></label>
        <label><input type="radio" value="drawing"><span>Draw</span></label>
        <label><input type="radio" value="file"><span>File</span></label>
      </div>
      <p class="endpoint-note hint"></p>
    </div>
  </div>
  <div data-kind="digit" class="digits"></div>
  <div data-kind="seed" class="row">
    <label>Seed <input class="seed" type="number" inputmode="numeric" min="0" max="9007199254740991" step="1"></label>
    <label>Image <input class="index short" type="number" inputmode="numeric" min="0" max="${MAX_INDEX}" step="1"></label>
    <button type="button" class="dice">Another seed</button>
  </div>
  <div data-kind="drawing">
    <div class="pad-place"></div>
    <label class="check"><input type="checkbox" class="centre" checked> Centre and scale like MNIST</label>
  </div>
  <div data-kind="file">
    <label class="file">Image file (or drop one here) <input type="file" accept="image/*"></label>
    <label class="check"><input type="checkbox" class="invert"> Invert (dark ink on white paper)</label>
    <label class="check"><input type="checkbox" class="centre"> Centre and scale like MNIST</label>
  </div>`;

export class EndpointView {
  #root;
  #key;
  #name;
  #app;
  #original = null; // the file or drawing before it was fitted, while it is known
  #result = null; // what a seed turned out to be, once it was computed
  #missing = '';

  /** `key` is where the state keeps it, `name` what it is called in a sentence; some tasks take no seeds. */
  constructor(root, key, app, { name, takesSeeds = true }) {
    this.#root = root;
    this.#key = key;
    this.#name = name;
    this.#app = app;
    root.append(...elements(MARKUP));
    if (!takesSeeds) find('input[value=seed]', root).parentElement.hidden = true;
    for (const radio of findAll('input[type=radio]', root)) {
      radio.name = `kind-${key}`;
      radio.addEventListener('change', () => this.#choose(radio.value));
    }
    createPad(find('[data-kind=drawing] .pad-place', root), {
      onChange: (picture) => this.#own(picture, 'drawing'),
    });
    this.#wire();
  }

  /** A sentence while the chosen kind has no picture yet. */
  get missing() {
    const { engine } = this.#app; // before it has started, digits may still come
    if (this.#missing || this.#endpoint.kind === 'seed' || this.#picture() || !engine) return this.#missing;
    return `There are no test digits here; choose a file or draw something for ${this.#name}.`;
  }

  /** Shows again what the state holds, whatever the visitor was about to choose. */
  forget() {
    this.#missing = '';
  }

  get #endpoint() {
    return this.#app.state[this.#key];
  }

  refresh() {
    const endpoint = this.#endpoint;
    const kind = endpoint.kind !== 'pixels' ? endpoint.kind : endpoint.source === 'drawing' ? 'drawing' : 'file';
    if (!this.#missing) this.#open(kind);
    find('.seed', this.#root).value = endpoint.seed ?? 0;
    find('.index', this.#root).value = endpoint.index ?? 0;
    // These redo a file's reading, so they need the file.
    for (const box of findAll('[data-kind=file] [type=checkbox]', this.#root))
      box.disabled = this.#original?.source !== 'file';
    this.#digits();
    this.#thumbnail();
  }

  /** The endpoint as the engine wants it. */
  request(model) {
    const endpoint = this.#endpoint;
    if (endpoint.kind === 'seed') return { seed: endpoint.seed, index: endpoint.index };
    return { pixels: toFloats(this.fitted(model).data) };
  }

  /** The picture in the model's shape. */
  fitted(model) {
    return fitted(this.#picture(), shapeOf(model));
  }

  /** After a run: what a seed looks like. */
  reveal(picture) {
    if (this.#endpoint.kind !== 'seed') return;
    this.#result = { picture, key: JSON.stringify([this.#app.state.model, this.#endpoint]) };
    this.#thumbnail();
  }

  #picture() {
    return this.#endpoint.kind === 'digit' ? this.#app.digits[this.#endpoint.digit] : this.#endpoint.picture;
  }

  #open(kind) {
    for (const radio of findAll('input[type=radio]', this.#root)) radio.checked = radio.value === kind;
    for (const panel of findAll('[data-kind]', this.#root)) panel.hidden = panel.dataset.kind !== kind;
  }

  #choose(kind) {
    this.#original = null;
    this.#missing = '';
    this.#open(kind);
    if (kind === 'digit') this.#set({ kind, digit: 0 });
    else if (kind === 'seed') this.#set({ kind, seed: randomSeed(), index: 0 });
    else {
      this.#missing = `${kind === 'file' ? 'Choose a file' : 'Draw something'} for ${this.#name} first.`;
      this.#app.update({});
    }
  }

  #set(endpoint) {
    this.#missing = '';
    this.#app.update({ [this.#key]: endpoint });
  }

  /** Takes a visitor's picture, fits it to the model and makes it the endpoint. */
  #own(picture, source) {
    this.#original = picture && { picture, source };
    if (!picture) {
      this.#missing = `Draw something for ${this.#name} first.`;
      return this.#app.update({});
    }
    const shape = shapeOf(this.#app.model);
    const root = find(`[data-kind=${source}]`, this.#root);
    let fittedPicture = withChannels(picture, shape.channels);
    if (find('.invert', root)?.checked) fittedPicture = inkOnBlack(fittedPicture);
    const centre = find('.centre', root);
    fittedPicture =
      centre.checked && shape.channels === 1 && shape.width === shape.height
        ? centredLikeMnist(fittedPicture, shape.width)
        : fitted(fittedPicture, shape);
    this.#set({ kind: 'pixels', source, picture: fittedPicture });
  }

  async #file(file) {
    const [endpoint, missing] = [this.#endpoint, this.#missing];
    let picture;
    try {
      picture = await readPicture(file);
    } catch {
      const problem = `“${file.name}” could not be read as an image; choose a PNG, JPEG, WebP or GIF.`;
      const isOver = () => this.#endpoint !== endpoint || this.#missing !== missing; // something else was chosen
      return this.#app.showError(problem, { isOver });
    }
    const isInk = shapeOf(this.#app.model).channels === 1 && rimIsBright(withChannels(picture, 1));
    for (const box of findAll('[data-kind=file] [type=checkbox]', this.#root)) box.checked = isInk;
    this.#own(picture, 'file');
  }

  #digits() {
    const { digits } = this.#app;
    const holder = find('.digits', this.#root);
    if (holder.children.length !== digits.length) {
      holder.replaceChildren(
        ...digits.map((digit, i) => {
          const button = make(
            'button',
            { type: 'button', className: 'digit' },
            make('canvas', { className: 'pixels' }),
          );
          button.setAttribute('aria-label', `a handwritten ${digit.label}, test image ${digit.index}`);
          button.addEventListener('click', () => this.#set({ kind: 'digit', digit: i }));
          show(button.firstChild, digit);
          return button;
        }),
      );
    }
    [...holder.children].forEach((button, i) => button.setAttribute('aria-pressed', this.#endpoint.digit === i));
  }

  #thumbnail() {
    const canvas = find('.thumb', this.#root);
    const endpoint = this.#endpoint;
    const isKnownSeed = this.#result?.key === JSON.stringify([this.#app.state.model, endpoint]);
    const picture = endpoint.kind === 'seed' ? isKnownSeed && this.#result.picture : this.#picture();
    const { model } = this.#app;
    if (this.missing || !picture) show(canvas, null);
    else show(canvas, model ? fitted(picture, shapeOf(model)) : picture);
    const note = this.missing || this.#describe(isKnownSeed);
    find('.endpoint-note', this.#root).textContent = note;
    const name = this.#name[0].toUpperCase() + this.#name.slice(1);
    canvas.setAttribute('aria-label', `${name}: ${note}`);
  }

  #describe(isKnownSeed) {
    const endpoint = this.#endpoint;
    if (endpoint.kind === 'digit') {
      const digit = this.#app.digits[endpoint.digit];
      return digit ? `A ${digit.label} from the MNIST test set (image ${digit.index}).` : '';
    }
    if (endpoint.kind === 'seed')
      return `Seed ${endpoint.seed}, image ${endpoint.index}${isKnownSeed ? '.' : ', drawn when you start.'}`;
    return {
      file: 'Your file.',
      drawing: 'Your drawing.',
      sample: 'An image you generated.',
      own: 'A picture from the link.',
    }[endpoint.source];
  }

  #wire() {
    const root = this.#root;
    const [seed, index] = [find('.seed', root), find('.index', root)];
    for (const input of [seed, index]) {
      input.addEventListener('input', () => {
        if (seed.checkValidity() && index.checkValidity()) {
          this.#set({ kind: 'seed', seed: seed.valueAsNumber, index: index.valueAsNumber });
        }
      });
    }
    find('.dice', root).addEventListener('click', () =>
      this.#set({ kind: 'seed', seed: randomSeed(), index: index.valueAsNumber || 0 }),
    );
    find('input[type=file]', root).addEventListener(
      'change',
      ({ target }) => target.files[0] && this.#file(target.files[0]),
    );
    for (const box of findAll('input[type=checkbox]', root)) {
      box.addEventListener(
        'change',
        () => this.#original && this.#own(this.#original.picture, this.#original.source),
      );
    }
    root.addEventListener('dragover', (event) => event.preventDefault());
    root.addEventListener('drop', (event) => {
      event.preventDefault();
      const file = event.dataTransfer.files[0];
      if (!file) return;
      this.#choose('file');
      this.#file(file);
    });
  }
}
