// What can be done to a picture in the task "Edit". Each kind says what the model is given of the picture: as the
// condition of a `SampleRequest`, and as a picture to look at. Pictures come fitted to the model.

import { grey, reduced, toBytes, toFloats } from '../pixels.js';
import { integer, number } from './keys.js';
import { maskPicture, readMask, writeMask } from './mask.js';

/** How a missing pixel is shown, here and on the pad. */
export const HOLE = [196, 86, 31];

const STRENGTH = { min: 0.02, max: 1 };
const NOISE = { min: 0.02, max: 2 };

/**
 * Each kind has its name in the API and words for the visitor, and
 *   purpose  what it needs a sampler for: a part of the image is `known`, or the image is a `start`
 *   setting  the name of its setting, which is the `key` (keys.js); `option(shape)` describes a form field for it
 *   refuse   why a model with images of a shape cannot do it, if so; `missing` why nothing can be drawn yet
 *   given    what the model is given of a picture: {condition, picture}; of an engine it may ask for noise
 */
export const KINDS = [
  {
    name: 'inpaint',
    title: 'Fill in',
    help: 'Paint over what is missing, or choose a part. The rest of the picture stays as it is.',
    purpose: 'known',
    setting: 'mask',
    key: { initial: { preset: 'bottom' }, read: readMask, write: writeMask },
    missing: (shape, { mask }) =>
      maskPicture(mask, shape).data.includes(255) ? '' : 'Paint over the part that is to be drawn anew first.',
    given(picture, { mask }) {
      const isMissing = maskPicture(mask, picture).data;
      const known = Float32Array.from(isMissing, (byte) => (byte ? 0 : 1));
      return {
        picture: withHoles(picture, isMissing),
        condition: { inpaint: { image: toFloats(picture.data), mask: known } },
      };
    },
  },
  {
    name: 'colorize',
    title: 'Colour',
    help: 'Only the brightness of the picture is kept: the mean of red, green and blue. The colours are drawn anew.',
    purpose: 'known',
    refuse: ({ channels }) => (channels === 3 ? '' : 'Colour needs a model of colour images; this one draws in grey.'),
    given(picture) {
      const known = grey(picture);
      return { picture: known, condition: { colorize: { image: toFloats(known.data) } } };
    },
  },
  {
    name: 'upscale',
    title: 'Sharpen detail',
    help: 'The picture is made smaller, and drawn anew from that in full size: super-resolution.',
    purpose: 'known',
    refuse: (shape) => (factorsFor(shape).length ? '' : 'The images of this model cannot be reduced.'),
    missing: (shape, { factor }) =>
      factorsFor(shape).includes(factor) ? '' : `Images of this model cannot be reduced to 1/${factor}.`,
    setting: 'factor',
    key: { initial: 4, read: integer(2, 64) },
    option: (shape) => ({
      title: 'Reduce to',
      help: 'Every pixel of the small picture is the mean of a square of the large one.',
      choices: factorsFor(shape).map((factor) => ({
        name: String(factor),
        title: `1/${factor}: ${shape.width / factor} x ${shape.height / factor} pixels`,
      })),
    }),
    given(picture, { factor }) {
      const small = reduced(picture, factor);
      return { picture: small, condition: { upscale: { image: toFloats(small.data), factor } } };
    },
  },
  {
    name: 'edit',
    title: 'Redraw',
    help: 'The picture is a sketch: noise is added to it, and removed again by the model (SDEdit).',
    purpose: 'start',
    setting: 'strength',
    key: { initial: 0.5, read: number(STRENGTH.min, STRENGTH.max) },
    option: () => ({
      title: 'Strength',
      help: 'The share of noise that the picture gets. A little keeps it with its faults; 1 forgets it.',
      ...STRENGTH,
      isLog: false,
    }),
    // Not a picture to show: the noise is drawn with the results.
    given: (picture, { strength }) => ({ condition: { edit: { image: toFloats(picture.data), strength } } }),
  },
  {
    name: 'denoise',
    title: 'Clean up',
    help: 'The picture gets noise, of the seed below. The results are pictures that may be behind it.',
    purpose: 'start',
    setting: 'noise',
    key: { initial: 0.5, read: number(NOISE.min, NOISE.max) },
    option: () => ({
      title: 'Noise',
      help: 'Its standard deviation, black being 0 and white 1.',
      ...NOISE,
    }),
    async given(picture, { noise: sigma, seed }, engine) {
      const z = await engine.noise(seed, picture.data.length);
      const image = toFloats(picture.data).map((value, i) => value + sigma * z[i]);
      return { picture: { ...picture, data: toBytes(image) }, condition: { denoise: { image, sigma } } };
    },
  },
];

export const kindOf = ({ mode }) => KINDS.find(({ name }) => name === mode);

/** How many times smaller a model's images can be made. */
function factorsFor({ height, width }) {
  return [2, 4].filter((factor) => height % factor === 0 && width % factor === 0);
}

/** The picture in colour, with every missing pixel in the colour of a hole. */
function withHoles({ channels, height, width, data }, isMissing) {
  const plane = height * width;
  const coloured = Uint8ClampedArray.from({ length: 3 * plane }, (_, i) => {
    const [colour, at] = [Math.floor(i / plane), i % plane];
    return isMissing[at] ? HOLE[colour] : data[(channels === 3 ? colour * plane : 0) + at];
  });
  return { channels: 3, height, width, data: coloured };
}
