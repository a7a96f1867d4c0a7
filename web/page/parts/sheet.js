// A map of pictures with a point on it that follows mouse, finger, keys, two sliders and, where there is one, tilt.

import { elements, find } from '../dom.js';
import { paint } from '../pixels.js';

/** Pictures on a side of the map. */
export const SIDE = 7;

/** How far an arrow key goes; with Shift, a whole picture. */
const STEP = 0.02;

/** Degrees to either side that lead from the middle to an edge. */
const TILT = 25;

const MARKUP = `
  <div class="map" tabindex="0" role="group" aria-label="Map of pictures. Arrow keys move, with Shift by a whole picture; Home is the middle.">
    <canvas class="pixels" aria-hidden="true"></canvas>
    <span class="knob" aria-hidden="true"></span>
  </div>
  <div class="row"><label>Across <input class="across" type="range" min="0" max="1" step="0.01"></label></div>
  <div class="row"><label>Down <input class="down" type="range" min="0" max="1" step="0.01"></label></div>
  <label class="check tilt" hidden><input type="checkbox"> Tilt the device to move</label>`;

/** The points of the pictures on the map, by rows. */
export const MAP_POINTS = Array.from({ length: SIDE * SIDE }, (_, i) => [
  (i % SIDE) / (SIDE - 1),
  Math.floor(i / SIDE) / (SIDE - 1),
]);

export class Sheet {
  #map;
  #sliders;
  #onMove;
  #point = [0.5, 0.5];

  /** `onMove(point)` is told of what the visitor does, and not of `moveTo`. */
  constructor(holder, onMove) {
    holder.append(...elements(MARKUP));
    this.#map = find('.map', holder);
    this.#sliders = ['.across', '.down'].map((selector) => find(selector, holder));
    this.#onMove = onMove;
    this.#wirePointer();
    this.#map.addEventListener('keydown', (event) => this.#key(event));
    this.#sliders.forEach((slider, i) =>
      slider.addEventListener('input', () => this.#go(this.#point.with(i, slider.valueAsNumber))),
    );
    this.#wireTilt(find('.tilt', holder));
    this.moveTo(this.#point);
  }

  moveTo(point) {
    this.#point = point;
    const [across, down] = point.map((share) => `${(100 * (share * (SIDE - 1) + 0.5)) / SIDE}%`);
    Object.assign(find('.knob', this.#map).style, { left: across, top: down });
    this.#sliders.forEach((slider, i) => {
      slider.value = point[i];
      slider.setAttribute('aria-valuetext', `${Math.round(100 * point[i])} %`);
    });
  }

  /** Shows the pictures of `MAP_POINTS`. */
  show(batch) {
    const canvas = find('canvas', this.#map);
    const { width, height, channels } = batch;
    [canvas.width, canvas.height] = [SIDE * width, SIDE * height];
    const image = new ImageData(canvas.width, canvas.height);
    for (let i = 0; i < SIDE * SIDE; i++)
      paint(image, batch, (i % SIDE) * width, Math.floor(i / SIDE) * height, i * channels * height * width);
    canvas.getContext('2d').putImageData(image, 0, 0);
  }

  #go(point) {
    this.moveTo(point.map((share) => Math.min(Math.max(share, 0), 1)));
    this.#onMove(this.#point);
  }

  #key(event) {
    const step = event.shiftKey ? 1 / (SIDE - 1) : STEP;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const move = moves[event.key];
    if (!move && event.key !== 'Home') return;
    event.preventDefault(); // or the page would scroll
    this.#go(move ? this.#point.map((share, i) => share + move[i]) : [0.5, 0.5]);
  }

  #wirePointer() {
    // The outermost pictures are whole: their middles are the edges of the sheet.
    const follow = ({ clientX, clientY }) => {
      const { left, top, width, height } = this.#map.getBoundingClientRect();
      this.#go(
        [(clientX - left) / width, (clientY - top) / height].map((share) => (share * SIDE - 0.5) / (SIDE - 1)),
      );
    };
    this.#map.addEventListener('pointerdown', (event) => {
      this.#map.setPointerCapture(event.pointerId);
      follow(event);
    });
    this.#map.addEventListener('pointermove', (event) => event.buttons && follow(event));
  }

  /** Offered where there is a finger and a sensor; Safari asks the visitor first. */
  #wireTilt(label) {
    const Orientation = window.DeviceOrientationEvent;
    label.hidden = !(Orientation && matchMedia('(pointer: coarse)').matches);
    const box = find('input', label);
    let flat = null; // how the device was held when it began
    const follow = ({ beta, gamma }) => {
      if (beta === null || gamma === null) return;
      flat ??= { beta, gamma };
      this.#go([gamma - flat.gamma, beta - flat.beta].map((degrees) => 0.5 + degrees / (2 * TILT)));
    };
    box.addEventListener('change', async () => {
      flat = null;
      window.removeEventListener('deviceorientation', follow);
      if (!box.checked) return;
      const allowed = await Orientation.requestPermission?.().catch(() => 'denied');
      box.checked = (allowed ?? 'granted') === 'granted';
      if (box.checked) window.addEventListener('deviceorientation', follow);
    });
  }
}
