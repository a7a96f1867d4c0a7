// What a sampler is chosen for. Each purpose keeps a sampler and options of its own, since other ones serve it well. A
// purpose is {sampler, options}: the usual sampler, and where its options differ from its own defaults.

/** The samplers that draw with a model: it gives what they need. Who says nothing of this means the score. */
export function fitting(samplers, { gives }) {
  return samplers.filter(({ needs }) => (needs ?? 'score') === (gives ?? 'score'));
}

/** The sampler of the name `chosen` if it is among these; else the usual one, or the first where that is not. */
export function samplerFor({ sampler }, chosen, samplers) {
  const named = (wanted) => samplers.find(({ name }) => name === wanted);
  return named(chosen) ?? named(sampler) ?? samplers[0];
}

/** The options that a sampler starts with. */
export function usualOptions(purpose, { name, options }) {
  const own = Object.fromEntries(options.map((option) => [option.name, option.default]));
  return name === purpose.sampler ? { ...own, ...purpose.options } : own;
}
