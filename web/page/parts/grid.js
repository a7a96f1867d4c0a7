// A grid of pictures on one canvas, with one of them marked.

import { make } from '../dom.js';
import { paint } from '../pixels.js';

const GAP = 1;

/** Columns of a grid that is as square as can be; the command line's PNG grids use the same rule. */
export function squareColumns(count) {
  return Math.ceil(Math.sqrt(count));
}

export class Grid {
  #canvas = make('canvas', { className: 'pixels' });
  #marker = make('div', { className: 'marker', hidden: true });
  #holder;
  #batch = null;
  #columns = 1;
  #columnsFor;
  #tile;
  #isMarked = true;
  onSelect = () => {};
  selected = 0;

  /**
   * Fills `holder`. `columnsFor(count, width)` gives the number of columns for a holder of that many CSS pixels;
   * `tile` is the greatest edge of one picture in CSS pixels.
   */
  constructor(holder, { columnsFor = squareColumns, tile = 224 } = {}) {
    this.#holder = holder;
    this.#columnsFor = columnsFor;
    this.#tile = tile;
    holder.append(this.#canvas, this.#marker);
    this.#canvas.setAttribute('aria-hidden', 'true'); // until there is something to see
    this.#canvas.addEventListener('click', (event) => this.#pick(event));
    new ResizeObserver(() => this.#batch && this.#layout()).observe(holder);
  }

  set label(text) {
    this.#canvas.removeAttribute('aria-hidden');
    this.#canvas.setAttribute('role', 'img');
    this.#canvas.setAttribute('aria-label', text);
  }

  /** Whether one picture is marked and clicking marks another. */
  set marked(isMarked) {
    this.#isMarked = isMarked;
    this.#mark();
  }

  /** The pictures shown: `{count, channels, height, width, data}`, bytes. */
  get batch() {
    return this.#batch;
  }

  show(batch) {
    const previous = this.#batch;
    this.#batch = batch;
    if (previous?.count !== batch.count || previous.width !== batch.width || previous.height !== batch.height) {
      this.selected = Math.min(this.selected, batch.count - 1);
      this.#layout();
    } else this.#draw();
  }

  select(index) {
    this.selected = index;
    this.#mark();
  }

  /** One of the pictures. */
  picture(index) {
    const { channels, height, width, data } = this.#batch;
    const size = channels * height * width;
    return { channels, height, width, data: data.slice(index * size, (index + 1) * size) };
  }

  /** A PNG of everything, or of the picture `index`, enlarged without smoothing so that it can be looked at. */
  async png(index = null) {
    const source = index === null ? this.#canvas : make('canvas');
    if (index !== null) {
      const picture = this.picture(index);
      const image = new ImageData(picture.width, picture.height);
      paint(image, picture);
      source.width = picture.width;
      source.height = picture.height;
      source.getContext('2d').putImageData(image, 0, 0);
    }
    const scale = Math.max(1, Math.floor((index === null ? 1024 : 512) / Math.max(source.width, source.height)));
    const large = make('canvas', { width: source.width * scale, height: source.height * scale });
    const context = large.getContext('2d');
    context.imageSmoothingEnabled = false;
    context.drawImage(source, 0, 0, large.width, large.height);
    return new Promise((resolve) => large.toBlob(resolve, 'image/png'));
  }

  #layout() {
    const { count, width, height } = this.#batch;
    const available = this.#holder.clientWidth;
    if (!available) return; // not on screen yet; the ResizeObserver calls again
    const columns = Math.min(count, this.#columnsFor(count, available));
    this.#columns = columns;
    const natural = columns * (width + GAP) - GAP;
    const rows = Math.ceil(count / columns);
    if (this.#canvas.width !== natural || this.#canvas.height !== rows * (height + GAP) - GAP) {
      this.#canvas.width = natural;
      this.#canvas.height = rows * (height + GAP) - GAP;
    }
    // A whole number of device pixels for each pixel, or the pixels of a picture come out unequal.
    const ratio = window.devicePixelRatio || 1;
    const fitting = Math.floor((available * ratio) / natural);
    const wanted = Math.floor((this.#tile * ratio) / width);
    const scale = Math.max(1, Math.min(fitting, wanted)) / ratio;
    this.#canvas.style.width = `${fitting < 1 ? available : natural * scale}px`;
    this.#draw();
    this.#mark();
  }

  #draw() {
    const { count, channels, width, height } = this.#batch;
    const image = new ImageData(this.#canvas.width, this.#canvas.height);
    for (let i = 0; i < count; i++) {
      const left = (i % this.#columns) * (width + GAP);
      const top = Math.floor(i / this.#columns) * (height + GAP);
      paint(image, this.#batch, left, top, i * channels * height * width);
    }
    this.#canvas.getContext('2d').putImageData(image, 0, 0);
  }

  #mark() {
    const { count, width, height } = this.#batch ?? {};
    this.#marker.hidden = !(count > 1 && this.#isMarked);
    if (this.#marker.hidden) return;
    const scale = this.#canvas.clientWidth / this.#canvas.width;
    const place = this.#marker.style;
    place.left = `${this.#canvas.offsetLeft + (this.selected % this.#columns) * (width + GAP) * scale}px`;
    place.top = `${this.#canvas.offsetTop + Math.floor(this.selected / this.#columns) * (height + GAP) * scale}px`;
    place.width = `${width * scale}px`;
    place.height = `${height * scale}px`;
  }

  #pick({ offsetX, offsetY }) {
    if (!this.#batch || !this.#isMarked) return;
    const { count, width, height } = this.#batch;
    const scale = this.#canvas.clientWidth / this.#canvas.width;
    const column = Math.min(this.#columns - 1, Math.floor(offsetX / scale / (width + GAP)));
    const index = Math.floor(offsetY / scale / (height + GAP)) * this.#columns + column;
    if (index >= count) return;
    this.select(index);
    this.onSelect(index);
  }
}
