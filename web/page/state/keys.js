// What a link says, key by key. A key is
//   initial  its value before anybody has chosen one
//   read     the value that a text stands for, undefined where it makes no sense
//   write    `write(value, state)`: the text of a value, null where a link need not say it; left out: the value itself
//   settle   a value that is here, in place of one that may not be: `settle(value, {engine, digits, model, tell})`,
//            where `tell(sentence)` is for the visitor

import { EACH, classesOf, usualClass } from './classes.js';

export const oneOf =
  (...names) =>
  (text) =>
    names.includes(text) ? text : undefined;
export const number = (min, max) => (text) => {
  const value = Number(text);
  return text !== '' && value >= min && value <= max ? value : undefined;
};
export const integer = (min, max) => (text) => {
  const value = number(min, max)(text);
  return Number.isInteger(value) ? value : undefined;
};
export const whole = integer(0, Number.MAX_SAFE_INTEGER);
/** As many positive integers as `28x28` or `28x28x1` has. */
export const sides = (count) => (text) => {
  const values = text.split('x').map(integer(1, Number.MAX_SAFE_INTEGER));
  return values.length === count && !values.includes(undefined) ? values : undefined;
};
export const name = (text) => (/^[\w.-]+$/.test(text) ? text : undefined);

/** The keys that belong to no task alone. A task says which of them its links have. */
export const SHARED = {
  device: { initial: 'auto', read: oneOf('auto', 'gpu', 'cpu') },
  model: {
    initial: '',
    read: name,
    settle(wanted, { engine, tell }) {
      const [first] = engine.models;
      if (engine.models.some((model) => model.name === wanted)) return wanted;
      if (wanted) tell(`The link asks for the model “${wanted}”, which is not here; ${first.title} is used instead.`);
      return first.name;
    },
  },
  class: {
    initial: undefined, // until the model is known; null is any
    read: (text) => (text === EACH ? EACH : whole(text)),
    write: (value) => value ?? null,
    settle(value, { engine, model, tell }) {
      const { count, isNeeded } = classesOf(model, engine.classifiers);
      const usual = usualClass(model, engine.classifiers);
      if (value === undefined) return usual;
      if (value === null) return isNeeded ? usual : null;
      if (value === EACH ? usual === EACH : value < count) return value;
      const learned = count ? `has the classes 0 to ${count - 1}` : 'has learned no classes';
      const asked = value === EACH ? 'each class' : `class ${value}`;
      tell(`The link asks for ${asked}, but the model ${model.name} ${learned}.`);
      return usual;
    },
  },
  guidance: { initial: 1, read: number(0, 5), write: (value, state) => (state.class === null ? null : value) },
  // How far to go on from what the model's weaker version says, where it has one; 1 is the model alone.
  weaker: {
    initial: null, // until the model is known
    read: number(1, 5),
    write: (weight) => (weight === 1 ? null : weight),
    settle: (weight, { model }) => (model.weaker ? (weight ?? model.weaker_weight) : null),
  },
  seed: { initial: 7, read: whole },
};
