// An experiment as a link says it: what is different from its lesson's, in JSON.

/** What of `setup` differs from `usual`, part by part. */
export function difference(setup, usual) {
  const parts = Object.entries(setup).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(usual[key]));
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
