// An experiment as a link says it: what is different from its lesson's, in JSON.

/** In the order in which they are taught, and what is none. */
export const LESSON_NAMES = [
  'score',
  'langevin',
  'weights',
  'low_density',
  'manifold',
  'annealing',
  'marginals',
  'predictor_corrector',
  'likelihood',
  'one_step',
  'own',
];

/** What can be drawn, in the order of the boxes. */
export const LAYERS = {
  density: 'Density',
  points: 'Points',
  arrows: 'Score',
  learned: 'Learned score',
  difference: 'Difference',
  error: 'Error of the learned score',
};

/** Layers in a link, joined by dots. */
export function readLayers(text) {
  return text === 'none' || text.split('.').every((name) => Object.hasOwn(LAYERS, name)) ? text : undefined;
}

/** What of `setup` differs from `usual`, part by part. */
export function difference(setup, usual) {
  const parts = Object.entries(setup).filter(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify(usual[key]),
  );
  return Object.fromEntries(parts);
}

/** The JSON of a link; undefined where it is none. */
export function readExperiment(text) {
  try {
    const value = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? value : undefined;
  } catch {
    return undefined;
  }
}

export function writeExperiment(value) {
  return Object.keys(value).length ? JSON.stringify(value) : null;
}

/** The noise level of a place of the slider: 0 is the least, 1 the most. */
export function noiseAt(share, [least, most]) {
  return Math.exp(Math.log(least) + share * (Math.log(most) - Math.log(least)));
}
