// What a sampler is chosen for. Each purpose keeps a sampler and options of its own, since other ones serve it well.

import { kindOf } from './conditions.js';

/** The sampler for each purpose, and where its options differ from its own defaults. */
const USUAL = {
  generate: {},
  // The probability-flow ODE is the only one that also encodes.
  interpolate: { name: 'ode' },
  // Corrector steps let the rest of the image settle with the part that is known.
  known: { name: 'pc', options: { n_corrector: 4 } },
  // The reverse diffusion alone: corrector steps would forget the picture that it starts in.
  start: { name: 'pc', options: { n_corrector: 0 } },
};
export const PURPOSES = Object.keys(USUAL);

/** What the sampler of a state is for. */
export function purposeOf({ task, mode }) {
  if (task === 'edit') return kindOf({ mode }).purpose;
  return task === 'interpolate' ? task : 'generate';
}

export function usualSampler(purpose, samplers) {
  return samplers.find(({ name }) => name === USUAL[purpose].name) ?? samplers[0];
}

/** The options that a sampler starts with. */
export function usualOptions(purpose, sampler) {
  const own = Object.fromEntries(sampler.options.map((option) => [option.name, option.default]));
  const { name, options } = USUAL[purpose];
  return name === sampler.name ? { ...own, ...options } : own;
}
