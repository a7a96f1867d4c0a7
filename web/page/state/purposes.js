// What a sampler is chosen for. Each purpose keeps a sampler and options of its own, since other ones serve it well. A
// purpose is
//   sampler  the name of the usual one; left out: the first
//   options  where the options of samplers differ from their defaults, by the samplers' names
//   isOnly   whether no other will do, though the model may not fit it

/** The samplers that draw with a model: it gives what they need. Who says nothing of this means the score. */
export function fitting(samplers, { gives }) {
  return samplers.filter(({ needs }) => (needs ?? 'score') === (gives ?? 'score'));
}

/** The sampler of the name `chosen` if it will do; else the usual one, or the first where that does not fit the model. */
export function samplerFor({ sampler, isOnly }, chosen, samplers, model) {
  const offered = isOnly ? samplers.filter(({ name }) => name === sampler) : fitting(samplers, model);
  const named = (wanted) => offered.find(({ name }) => name === wanted);
  return named(chosen) ?? named(sampler) ?? offered[0];
}

/** The options that a sampler starts with. */
export function usualOptions(purpose, { name, options }) {
  const own = Object.fromEntries(options.map((option) => [option.name, option.default]));
  return { ...own, ...purpose.options?.[name] };
}
