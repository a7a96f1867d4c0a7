// A picture of the plane, in layers: shading, points, arrows, lines, and what the visitor moves. Coordinates of layers are
// those of the world; what is seen of it is a square around the origin, larger where there is more noise.

/** Half the side of the square that is seen at a noise level, as Rust's `run::contrast` has it. */
export const seen = (half, sigma) => Math.hypot(half, sigma);

/** Pixels of a side of the layer of points: each point is one of them. */
const GRAIN = 380;

/** No layer. */
export const NOTHING = {
  shade: null,
  points: null,
  trails: null,
  arrows: null,
  grid: null,
  cloud: null,
  marks: null,
};

export class Plane {
  #canvas;
  #layers = {};
  #isAsked = false;
  half = 8;

  constructor(canvas) {
    this.#canvas = canvas;
    const redraw = () => this.#ask();
    new ResizeObserver(redraw).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ['data-theme'] });
  }

  get canvas() {
    return this.#canvas;
  }

  /** Replaces layers, by name; null takes one away. In the order in which they lie on each other:
   *  shade    {values, kind}: a square of numbers by rows, `kind` 'density' (0 to 1) or 'error' (0 to 1) or 'nats'
   *  points   coordinates; or {seen: coordinates} as a share of what is seen
   *  trails   [{seen, zoom}, …], the latest last: coordinates as shares of what was seen, and how much larger that was
   *  arrows   [{at, vectors, places, longest, colour, isError}]: coordinates, vectors, and the length that fills a place
   *  grid     {points, places}: a square of points joined to their neighbours
   *  cloud    coordinates, drawn larger
   *  marks    [{x, y, text, kind}] */
  show(layers) {
    Object.assign(this.#layers, layers);
    this.#ask();
  }

  /** The world's coordinates of a pointer. */
  place({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const at = (share) => this.half * (2 * share - 1);
    return [at((clientX - left) / width), -at((clientY - top) / height)];
  }

  #ask() {
    if (this.#isAsked) return;
    this.#isAsked = true;
    requestAnimationFrame(() => {
      this.#isAsked = false;
      this.draw();
    });
  }

  draw() {
    const side = this.#canvas.clientWidth;
    if (!side) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    if (this.#canvas.width !== Math.round(side * ratio))
      this.#canvas.width = this.#canvas.height = Math.round(side * ratio);
    const context = this.#canvas.getContext('2d');
    const style = getComputedStyle(this.#canvas);
    const colours = Object.fromEntries(
      ['raised', 'ink', 'muted', 'line', 'accent', 'second'].map((name) => [
        name,
        style.getPropertyValue(`--${name}`).trim(),
      ]),
    );
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colours.raised;
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    const scale = this.#canvas.width / side;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const to = (x, y) => [(side / 2) * (1 + x / this.half), (side / 2) * (1 - y / this.half)];
    const { shade, points, trails, arrows, grid, cloud, marks } = this.#layers;
    if (shade) drawShade(context, side, shade, colours);
    if (trails) drawTrails(context, side, trails, colours.accent);
    if (points) drawPoints(context, side, points, this.half, colours.ink);
    if (grid) drawGrid(context, to, grid, colours);
    if (arrows) drawArrows(context, to, side, arrows, colours);
    if (cloud) drawCloud(context, to, cloud, colours.second);
    if (marks) drawMarks(context, to, marks, colours);
  }
}

function rgb(colour) {
  const hex = /^#(..)(..)(..)$/.exec(colour);
  return hex ? hex.slice(1).map((part) => parseInt(part, 16)) : [128, 128, 128];
}

const scratch = document.createElement('canvas');

/** A small picture made of pixels, drawn as large as the plane. */
function enlarged(context, side, places, pixel, smooth) {
  scratch.width = scratch.height = places;
  const image = new ImageData(places, places);
  for (let i = 0; i < places * places; i++) image.data.set(pixel(i), 4 * i);
  scratch.getContext('2d').putImageData(image, 0, 0);
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = 'high';
  context.drawImage(scratch, 0, 0, side, side);
}

function drawShade(context, side, { values, kind }, colours) {
  const places = Math.sqrt(values.length);
  const [low, high] = [rgb(colours.accent), rgb(colours.second)];
  const alphas = {
    // The root: twice as far from the middle of a mode something is still seen.
    density: (value) => [...low, 150 * Math.sqrt(value)],
    error: (value) => [...high, 190 * Math.min(1, value)],
    nats: (value) => [...low, 220 * Math.min(1, Math.max(0, value))],
  };
  enlarged(context, side, places, (i) => alphas[kind](values[i]), true);
}

function drawPoints(context, side, points, half, ink) {
  const [coordinates, unit] = points.seen ? [points.seen, 1] : [points, half];
  const counts = new Uint16Array(GRAIN * GRAIN);
  for (let i = 0; i + 1 < coordinates.length; i += 2) {
    const x = Math.floor((GRAIN / 2) * (1 + coordinates[i] / unit));
    const y = Math.floor((GRAIN / 2) * (1 - coordinates[i + 1] / unit));
    if (x >= 0 && y >= 0 && x < GRAIN && y < GRAIN) counts[y * GRAIN + x]++;
  }
  const [r, g, b] = rgb(ink);
  const single = Math.min(230, Math.max(70, 3e5 / (coordinates.length + 1)));
  scratch.width = scratch.height = GRAIN;
  const image = new ImageData(GRAIN, GRAIN);
  for (let i = 0; i < counts.length; i++) {
    if (!counts[i]) continue;
    image.data[4 * i] = r;
    image.data[4 * i + 1] = g;
    image.data[4 * i + 2] = b;
    image.data[4 * i + 3] = 255 - (255 - single) * (1 - single / 255) ** (counts[i] - 1);
  }
  scratch.getContext('2d').putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(scratch, 0, 0, side, side);
}

/** Of so many points. */
const TRAILS = 40;

function drawTrails(context, side, frames, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  for (let k = 1; k < frames.length; k++) {
    context.globalAlpha = (0.6 * k) / frames.length;
    context.beginPath();
    for (let i = 0; i < Math.min(2 * TRAILS, frames[k].seen.length); i += 2) {
      const at = ({ seen, zoom }) => [(side / 2) * (1 + zoom * seen[i]), (side / 2) * (1 - zoom * seen[i + 1])];
      context.moveTo(...at(frames[k - 1]));
      context.lineTo(...at(frames[k]));
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawArrows(context, to, side, arrows, colours) {
  context.lineCap = 'round';
  for (const { at, vectors, places, longest, colour, isError = false } of arrows) {
    const pitch = side / places;
    context.strokeStyle = context.fillStyle = colours[colour];
    context.lineWidth = 1.3;
    const [lines, heads] = [new Path2D(), new Path2D()];
    for (let i = 0; i < vectors.length; i += 2) {
      const [vx, vy] = [vectors[i], -vectors[i + 1]];
      const size = Math.hypot(vx, vy);
      if (!(size > 0)) continue;
      // Of a score the direction is what counts, as lengths spread over decades; of an error it is the length.
      const share = Math.min(1.5, size / longest);
      const length = pitch * (isError ? 0.85 * share : 0.2 + 0.65 * Math.sqrt(share));
      const [x, y] = to(at[i], at[i + 1]);
      const [dx, dy] = [((vx / size) * length) / 2, ((vy / size) * length) / 2];
      lines.moveTo(x - dx, y - dy);
      lines.lineTo(x + dx, y + dy);
      heads.rect(x + dx - 1.8, y + dy - 1.8, 3.6, 3.6);
    }
    context.stroke(lines);
    context.fill(heads);
  }
}

function drawGrid(context, to, { points, places }, colours) {
  const at = (i) => to(points[2 * i], points[2 * i + 1]);
  context.lineWidth = 1;
  for (const [step, colour] of [
    [1, colours.accent],
    [places, colours.second],
  ]) {
    context.strokeStyle = colour;
    context.globalAlpha = 0.75;
    context.beginPath();
    for (let i = 0; i < places * places; i++) {
      const isLast = step === 1 ? (i + 1) % places === 0 : i + places >= places * places;
      if (isLast) continue;
      context.moveTo(...at(i));
      context.lineTo(...at(i + step));
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

function drawCloud(context, to, cloud, colour) {
  context.fillStyle = colour;
  context.globalAlpha = 0.55;
  for (let i = 0; i + 1 < cloud.length; i += 2) {
    const [x, y] = to(cloud[i], cloud[i + 1]);
    context.fillRect(x - 1.5, y - 1.5, 3, 3);
  }
  context.globalAlpha = 1;
}

function drawMarks(context, to, marks, colours) {
  context.font = '600 13px system-ui, sans-serif';
  for (const { x, y, text = '', kind, vector, colour = 'second' } of marks) {
    const [left, top] = to(x, y);
    context.strokeStyle = context.fillStyle = colours[colour];
    context.lineWidth = 2;
    if (vector) {
      const size = Math.hypot(...vector);
      const length = 14 + 46 * Math.tanh(size / 4);
      const end = [left + (vector[0] / size) * length, top - (vector[1] / size) * length];
      context.beginPath();
      context.moveTo(left, top);
      context.lineTo(...end);
      context.stroke();
      context.beginPath();
      context.arc(...end, 4, 0, 7);
      context.fill();
    } else {
      context.beginPath();
      context.arc(left, top, kind === 'mode' ? 9 : 5, 0, 7);
      context.stroke();
      if (kind === 'chosen') context.fill();
    }
    context.fillStyle = colours.ink;
    context.fillText(text, left + 13, top + 4);
  }
}
