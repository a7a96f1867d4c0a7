// Where a picture's missing part is chosen: buttons for presets, and a pad over the picture to paint on.

import { find, make } from '../dom.js';
import { shapeOf, show } from '../pixels.js';
import { HOLE } from '../state/conditions.js';
import { PRESETS, maskPicture } from '../state/mask.js';
import { createPad } from './draw.js';

export class MaskView {
  #app;
  #buttons;
  #picture = make('canvas', { className: 'below pixels', 'aria-hidden': 'true' });
  #showPaint;
  #shown = ''; // the mask on the pad and the model it is for
  #onPaint;

  /** `onPaint` is called when the mask has changed without a redrawing of the page. */
  constructor(root, app, onPaint) {
    this.#app = app;
    this.#onPaint = onPaint;
    this.#buttons = PRESETS.map(({ name, title }) => {
      const button = make('button', { type: 'button', textContent: title });
      button.addEventListener('click', () => app.update({ mask: { preset: name } }));
      return button;
    });
    root.append(make('div', { className: 'presets', role: 'group', 'aria-label': 'Missing part' }, ...this.#buttons));
    this.#showPaint = createPad(root, {
      label: 'The picture; paint over what is missing',
      ink: `rgb(${HOLE.join(' ')})`,
      below: [this.#picture],
      onChange: (paint) => this.#paint(paint),
    });
    find('.pad', root).classList.add('over');
  }

  /** `picture` is what lies below the paint, null while there is none. */
  refresh(picture) {
    const { state, model } = this.#app;
    const shape = shapeOf(model);
    this.#mark();
    show(this.#picture, picture);
    this.#picture.parentElement.style.aspectRatio = `${shape.width} / ${shape.height}`;
    const key = this.#key();
    if (key !== this.#shown) this.#showPaint(maskPicture(state.mask, shape)); // else what can be undone would be lost
    this.#shown = key;
  }

  /** What was painted, in whole pixels of the model. */
  #paint(paint) {
    const { channels, ...shape } = shapeOf(this.#app.model);
    const empty = { ...shape, data: new Uint8ClampedArray(shape.width * shape.height) };
    const { width, height, data } = paint ? maskPicture(paint, shape) : empty;
    this.#app.update({ mask: { width, height, data } }, false);
    this.#shown = this.#key();
    this.#mark();
    this.#onPaint();
    return maskPicture(this.#app.state.mask, shape);
  }

  #key() {
    const { state, model } = this.#app;
    return JSON.stringify([model.name, state.mask.preset ?? Array.from(state.mask.data)]);
  }

  #mark() {
    const { preset } = this.#app.state.mask;
    PRESETS.forEach(({ name }, i) => this.#buttons[i].setAttribute('aria-pressed', name === preset));
  }
}
