// A picture from a file, as the native program reads it: upright, in sRGB, on white where it is transparent, and of a
// moving one the first frame. The browser decodes it.

import { make } from '../dom.js';
import { fromImageData } from '../pixels.js';

/** Longest edge of what is kept: enough for every model here. */
const EDGE = 280;

/** How a canvas turns `width` x `height` pixels upright, by EXIF's number: what `setTransform` takes. */
const TURNS = {
  1: () => [1, 0, 0, 1, 0, 0],
  2: (width) => [-1, 0, 0, 1, width, 0],
  3: (width, height) => [-1, 0, 0, -1, width, height],
  4: (width, height) => [1, 0, 0, -1, 0, height],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (width, height) => [0, 1, -1, 0, height, 0],
  7: (width, height) => [0, -1, -1, 0, height, width],
  8: (width) => [0, -1, 1, 0, 0, width],
};

/** The picture in a file; rejects where there is none. */
export async function readPicture(file) {
  const { blob, orientation } = await unturned(file);
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, EDGE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((edge) => Math.max(1, Math.round(edge * scale)));
  const canvas = make('canvas', orientation < 5 ? { width, height } : { width: height, height: width });
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = 'high';
  context.setTransform(...TURNS[orientation](width, height));
  context.drawImage(bitmap, 0, 0, width, height);
  return fromImageData(context.getImageData(0, 0, canvas.width, canvas.height));
}

/**
 * The file as one that no browser turns by itself, and how it is to be turned then. All browsers turn a JPEG, so there
 * it stays with them; a PNG or WebP only some.
 */
async function unturned(file) {
  const bytes = await file.arrayBuffer();
  const found = orientationOf(bytes);
  if (!found || !(found.value in TURNS)) return { blob: file, orientation: 1 };
  found.view.setUint16(found.offset, 1, found.isLittle); // a PNG's checksum is wrong now, so the note is passed over
  return { blob: new Blob([bytes]), orientation: found.value };
}

/** Where a PNG or WebP says how it is to be turned, and what it says; null where it does not. */
function orientationOf(bytes) {
  const view = new DataView(bytes);
  const name = (offset) => String.fromCharCode(...new Uint8Array(bytes, offset, 4));
  try {
    const tiff = exifOf(view, name);
    if (tiff === null) return null;
    const isLittle = name(tiff) === 'II*\0';
    const list = tiff + view.getUint32(tiff + 4, isLittle);
    const entries = Array.from({ length: view.getUint16(list, isLittle) }, (_, i) => list + 2 + 12 * i);
    const entry = entries.find((entry) => view.getUint16(entry, isLittle) === 0x0112);
    return entry ? { view, isLittle, offset: entry + 8, value: view.getUint16(entry + 8, isLittle) } : null;
  } catch (error) {
    if (error instanceof RangeError) return null; // the file ends before
    throw error;
  }
}

/** Where a PNG or WebP holds EXIF, which is a small TIFF file; null for other files. */
function exifOf(view, name) {
  let chunk;
  if (name(0) === '\x89PNG') {
    for (chunk = 8; name(chunk + 4) !== 'eXIf'; ) chunk += 12 + view.getUint32(chunk);
  } else if (name(0) === 'RIFF' && name(8) === 'WEBP') {
    for (chunk = 12; name(chunk) !== 'EXIF'; ) chunk += 8 + 2 * Math.ceil(view.getUint32(chunk + 4, true) / 2);
  } else return null;
  return chunk + 8;
}
