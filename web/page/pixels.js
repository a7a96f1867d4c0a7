// Pictures as bytes. A picture is {channels, height, width, data}: planes of bytes, [channel][row][column].

/** The shape of a model's images, from its card. */
export function shapeOf({ card }) {
  const { channels, height, width } = card;
  return { channels, height, width };
}

/** Floats in [0, 1] to bytes; the clamped array rounds and clips (and makes a NaN black). */
export function toBytes(floats) {
  const bytes = new Uint8ClampedArray(floats.length);
  for (let i = 0; i < floats.length; i++) bytes[i] = floats[i] * 255;
  return bytes;
}

export function toFloats(bytes) {
  return Float32Array.from(bytes, (byte) => byte / 255);
}

/** Writes one picture into an ImageData at (left, top). `offset` is where the picture starts in `data`. */
export function paint(image, { channels, height, width, data }, left = 0, top = 0, offset = 0) {
  const plane = height * width;
  const [red, green, blue] = channels >= 3 ? [0, plane, 2 * plane] : [0, 0, 0];
  for (let y = 0; y < height; y++) {
    let to = 4 * ((top + y) * image.width + left);
    for (let from = offset + y * width, end = from + width; from < end; from++, to += 4) {
      image.data[to] = data[from + red];
      image.data[to + 1] = data[from + green];
      image.data[to + 2] = data[from + blue];
      image.data[to + 3] = 255;
    }
  }
}

/** Shows a picture; without one the canvas is marked as empty. */
export function show(canvas, picture) {
  canvas.classList.toggle('empty', !picture);
  if (!picture) {
    canvas.width = canvas.height = 1; // another size also clears it; to the same one, Chromium shows black
    return;
  }
  canvas.width = picture.width;
  canvas.height = picture.height;
  const image = new ImageData(picture.width, picture.height);
  paint(image, picture);
  canvas.getContext('2d').putImageData(image, 0, 0);
}

export function fromImageData({ width, height, data: rgba }) {
  const plane = width * height;
  const data = new Uint8ClampedArray(3 * plane);
  for (let i = 0; i < 3 * plane; i++) data[i] = rgba[4 * (i % plane) + Math.floor(i / plane)];
  return { channels: 3, height, width, data };
}

/** The squares of a picture that has so many in a row, as one batch. */
export function tiles(picture, columns) {
  const { channels } = picture;
  const side = picture.width / columns;
  const count = columns * Math.floor(picture.height / side);
  const data = new Uint8ClampedArray(count * channels * side * side);
  for (let i = 0; i < count; i++) {
    const [left, top] = [(i % columns) * side, Math.floor(i / columns) * side];
    data.set(placed(picture, side, side, -left, -top).data, i * channels * side * side);
  }
  return { count, channels, height: side, width: side, data };
}

export function withChannels(picture, channels) {
  if (picture.channels === channels) return picture;
  const plane = picture.width * picture.height;
  const data = new Uint8ClampedArray(channels * plane);
  for (let i = 0; i < data.length; i++) {
    const at = i % plane;
    const value = picture.data;
    data[i] =
      picture.channels === 1
        ? value[at]
        : 0.299 * value[at] + 0.587 * value[at + plane] + 0.114 * value[at + 2 * plane];
  }
  return { ...picture, channels, data };
}

/** A picture in as many channels whose colours are all their mean: the brightness that colorization keeps. */
export function grey(picture) {
  const { channels, height, width, data } = picture;
  const plane = height * width;
  const mean = Uint8ClampedArray.from({ length: plane }, (_, i) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += data[c * plane + i];
    return Math.round(sum / channels);
  });
  return { ...picture, data: Uint8ClampedArray.from(data, (_, i) => mean[i % plane]) };
}

/** The means of squares of `factor` x `factor` pixels, as a picture that is so much smaller. */
export function reduced(picture, factor) {
  return resampled(picture, picture.width / factor, picture.height / factor);
}

/** Dark ink on paper as light ink on black: the paper's tone (the median) becomes black, the darkest ink white. */
export function inkOnBlack(picture) {
  const sorted = picture.data.slice().sort();
  const [ink, paper] = [sorted[0], sorted[sorted.length >> 1]];
  const black = paper - 0.15 * (paper - ink); // shadows on the paper are not ink
  return { ...picture, data: picture.data.map((byte) => (255 * (black - byte)) / Math.max(1, black - ink)) };
}

/** The mean of the picture's rim: bright means dark ink on white paper. */
export function rimIsBright({ width, height, data }) {
  let sum = 0;
  for (let x = 0; x < width; x++) sum += data[x] + data[(height - 1) * width + x];
  for (let y = 0; y < height; y++) sum += data[y * width] + data[y * width + width - 1];
  return sum / (2 * (width + height)) > 127;
}

/** A picture in a model's shape: a smaller one is framed in black (as MNIST in 32x32), others are scaled to fit. */
export function fitted(picture, { channels, height, width }) {
  const source = withChannels(picture, channels);
  if (source.width === width && source.height === height) return source;
  const isSmaller = source.width <= width && source.height <= height;
  const scale = isSmaller && 2 * source.width > width ? 1 : Math.min(width / source.width, height / source.height);
  const w = Math.max(1, Math.round(source.width * scale));
  const h = Math.max(1, Math.round(source.height * scale));
  return placed(resampled(source, w, h), width, height, Math.floor((width - w) / 2), Math.floor((height - h) / 2));
}

/** As MNIST was made: the ink scaled into 20 of 28 pixels, its centre of mass in the middle. */
export function centredLikeMnist(picture, size) {
  const { width, height, data } = picture;
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let i = 0; i < width * height; i++) {
    if (data[i] < 32) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  if (right < 0) return fitted(picture, { channels: picture.channels, height: size, width: size });
  const ink = placed(picture, right - left + 1, bottom - top + 1, -left, -top);
  const scale = ((20 / 28) * size) / Math.max(ink.width, ink.height);
  const small = resampled(
    ink,
    Math.max(1, Math.round(ink.width * scale)),
    Math.max(1, Math.round(ink.height * scale)),
  );
  let [mass, massX, massY] = [0, 0, 0];
  for (let i = 0; i < small.width * small.height; i++) {
    mass += small.data[i];
    massX += small.data[i] * ((i % small.width) + 0.5);
    massY += small.data[i] * (Math.floor(i / small.width) + 0.5);
  }
  const put = (centre, length) => Math.min(Math.max(0, Math.round(size / 2 - centre)), size - length);
  return placed(small, size, size, put(massX / mass, small.width), put(massY / mass, small.height));
}

/** The picture on a black ground of another size, cropped where it does not fit. */
function placed(picture, width, height, left, top) {
  const data = new Uint8ClampedArray(picture.channels * width * height);
  for (let c = 0; c < picture.channels; c++) {
    for (let y = Math.max(0, -top); y < Math.min(picture.height, height - top); y++) {
      for (let x = Math.max(0, -left); x < Math.min(picture.width, width - left); x++) {
        data[(c * height + y + top) * width + x + left] =
          picture.data[(c * picture.height + y) * picture.width + x];
      }
    }
  }
  return { ...picture, height, width, data };
}

/** Every new pixel is the mean of the area it covers, so that thin strokes survive a strong reduction. */
function resampled(picture, width, height) {
  const { channels } = picture;
  const data = new Uint8ClampedArray(channels * width * height);
  const columns = spans(picture.width, width);
  const rows = spans(picture.height, height);
  for (let i = 0; i < data.length; i++) {
    const plane = Math.floor(i / (width * height)) * picture.height;
    let sum = 0;
    for (const [y, wy] of rows[Math.floor(i / width) % height]) {
      for (const [x, wx] of columns[i % width]) sum += wx * wy * picture.data[(plane + y) * picture.width + x];
    }
    data[i] = sum;
  }
  return { ...picture, height, width, data };
}

/** For each new pixel the old ones under it and their shares. */
function spans(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [(i * from) / to, ((i + 1) * from) / to];
    const span = [];
    for (let k = Math.floor(start); k < Math.min(from, Math.ceil(end)); k++) {
      span.push([k, (Math.min(end, k + 1) - Math.max(start, k)) / (end - start)]);
    }
    return span;
  });
}
