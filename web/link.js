// A link's state against what is here: the engine's models and samplers, and the test digits.

import { classesOf } from './class-fields.js';
import { allows } from './controls.js';
import { PURPOSES, purposeOf, usualOptions, usualSampler } from './purposes.js';

/**
 * The state with everything filled in that a link may leave open. What does not exist here is replaced, and told in
 * `notes`. Takes what `readHash` returns.
 */
export function checked({ state, loose, notes }, { engine, digits }) {
  const { models, classifiers, samplers, device } = engine;
  const known = (list, name, what, other) => {
    if (list.some((entry) => entry.name === name)) return name;
    if (name) notes.push(`The link asks for the ${what} “${name}”, which is not here; ${other.title} is used instead.`);
    return other.name;
  };
  const model = known(models, state.model, 'model', models[0]);
  const next = { ...state, model, samplers: {}, options: {} };
  next.count ??= device.kind === 'gpu' ? 64 : 16;

  const { count } = classesOf(
    models.find(({ name }) => name === model),
    classifiers,
  );
  if (next.class !== null && next.class >= count) {
    const learned = count ? `has the classes 0 to ${count - 1}` : 'has learned no classes';
    notes.push(`The link asks for class ${next.class}, but the model ${model} ${learned}.`);
    next.class = null;
  }
  for (const key of ['a', 'b', 'image']) {
    if (next[key].kind !== 'digit' || digits[next[key].digit]) continue;
    if (digits.length) notes.push(`There is no test digit ${next[key].digit} here; another picture is used instead.`);
    if (key === 'image') next.image = { kind: 'digit', digit: 0 };
    else next[key] = { kind: 'seed', seed: key === 'a' ? 1 : 2, index: 0 };
  }

  for (const purpose of PURPOSES) {
    const usual = usualSampler(purpose, samplers);
    // There is no other sampler to interpolate with.
    const wanted = purpose === 'interpolate' ? usual.name : state.samplers[purpose];
    next.samplers[purpose] = known(samplers, wanted, 'sampler', usual);
    const defaults = samplers.map((sampler) => [sampler.name, usualOptions(purpose, sampler)]);
    next.options[purpose] = { ...Object.fromEntries(defaults), ...state.options[purpose] };
  }
  const purpose = purposeOf(next);
  const active = samplers.find(({ name }) => name === next.samplers[purpose]);
  for (const [name, value] of Object.entries(loose)) {
    const option = active.options.find((entry) => entry.name === name);
    if (option && allows(option, value)) {
      const options = next.options[purpose];
      options[active.name] = { ...options[active.name], [name]: value };
    } else
      notes.push(`The link's setting ${name}=${value} does not fit the sampler ${active.name} and was ignored.`);
  }
  return { state: next, notes };
}
