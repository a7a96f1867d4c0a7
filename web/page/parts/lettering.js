// A text in drawn letters, as ink on the page, and as files.

import { make } from '../dom.js';
import { toBytes } from '../pixels.js';
import { typeset } from '../state/lettering.js';

/** Largest size of a letter's pixel, in CSS pixels. */
const LARGEST = 6;

export class Lettering {
  #holder;
  #canvas = make('canvas', { className: 'word' });
  #text = '';
  #letters = []; // the characters that there are
  #pictures = []; // of each
  #floats = null; // the same, as they came

  constructor(holder) {
    this.#holder = holder;
    holder.append(this.#canvas);
    this.#canvas.setAttribute('aria-hidden', 'true'); // until there is something to see
    const redraw = () => this.#pictures.length && this.#draw();
    new ResizeObserver(redraw).observe(holder);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ['data-theme'] });
  }

  set label(text) {
    this.#canvas.removeAttribute('aria-hidden');
    this.#canvas.setAttribute('role', 'img');
    this.#canvas.setAttribute('aria-label', text);
  }

  /** Shows a text in these letters, of which the batch has an image each. */
  show(text, letters, batch) {
    const { count, height, width, images } = batch;
    const size = height * width;
    this.#floats = batch;
    this.#letters = letters;
    this.#pictures = Array.from({ length: count }, (_, i) => ({
      ...{ channels: 1, height, width },
      data: toBytes(images.subarray(i * size, (i + 1) * size)),
    }));
    this.set(text);
  }

  /** Another text of the same letters. */
  set(text) {
    this.#text = text;
    this.#draw();
  }

  /** Black on white, large. */
  async png() {
    const canvas = make('canvas');
    this.#paint(canvas, 16, '#000', '#fff');
    return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
  }

  /** Outlines at half the ink's brightness; `outline(batch)` gives the path of each letter. */
  async svg(outline) {
    const paths = await outline(this.#floats);
    const { places, width, height, line } = this.#typeset(Infinity);
    const uses = places.map(
      (place) =>
        `<path transform="translate(${place.x - place.left} ${place.line * line})" d="${paths[place.letter]}"/>`,
    );
    const text = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" fill-rule="evenodd"><title>${this.#text}</title>${uses.join('')}</svg>\n`;
    return new Blob([text], { type: 'image/svg+xml' });
  }

  #typeset(most) {
    const { height: line } = this.#pictures[0];
    const { places, width, lines } = typeset(this.#text, this.#letters, this.#pictures, most);
    return { places, width, height: lines * line, line };
  }

  #draw() {
    const available = this.#holder.clientWidth;
    if (!available) return; // not on screen yet; the ResizeObserver calls again
    const ratio = window.devicePixelRatio || 1;
    const alone = this.#typeset(Infinity).width;
    const scale = Math.min(LARGEST, Math.max(available / alone, 2.5));
    const ink = getComputedStyle(this.#holder).color;
    const width = this.#paint(this.#canvas, scale * ratio, ink, null, available / scale);
    this.#canvas.style.width = `${Math.min(available, width / ratio)}px`;
  }

  /** Paints the text with `scale` pixels for each of a letter's; returns the width. */
  #paint(canvas, scale, ink, paper, most = Infinity) {
    const { places, width, height, line } = this.#typeset(most);
    canvas.width = Math.ceil(width * scale);
    canvas.height = Math.ceil(height * scale);
    const context = canvas.getContext('2d');
    context.imageSmoothingQuality = 'high';
    const inked = this.#pictures.map((picture) => stamp(picture, ink));
    if (paper) {
      context.fillStyle = paper;
      context.fillRect(0, 0, canvas.width, canvas.height);
    }
    for (const { letter, left, right, x, line: row } of places) {
      const [from, to] = [Math.max(0, left - 1), Math.min(this.#pictures[letter].width, right + 1)];
      context.drawImage(
        inked[letter],
        ...[from, 0, to - from, line],
        ...[(x + from - left) * scale, row * line * scale, (to - from) * scale, line * scale],
      );
    }
    return canvas.width;
  }
}

/** A letter in a colour, its brightness being how much of it there is; the little that a model leaves on paper is none. */
function stamp({ width, height, data }, colour) {
  const canvas = make('canvas', { width, height });
  const context = canvas.getContext('2d');
  context.fillStyle = colour;
  context.fillRect(0, 0, width, height);
  const image = context.getImageData(0, 0, width, height);
  for (let i = 0; i < data.length; i++) image.data[4 * i + 3] = (data[i] - 25) * 1.25;
  context.putImageData(image, 0, 0);
  return canvas;
}
