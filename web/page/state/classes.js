// Which classes the images of a model can be asked for.

/**
 * How many classes a model's images can be asked for, what they are called, and where the model has learned none, the
 * name of the classifier that tells them. `isNeeded` says whether it draws none but of a class.
 */
export function classesOf({ card }, classifiers) {
  const countOf = ({ architecture }) => architecture?.config?.classes ?? 0;
  const learned = countOf(card);
  const fits = ({ card: other }) =>
    ['dataset', 'channels', 'height', 'width'].every((key) => other[key] === card[key]);
  const guide = learned ? undefined : classifiers.find(fits);
  const teller = guide?.card ?? card;
  const isNeeded = Boolean(card.architecture?.config?.style?.class_table);
  return { count: countOf(teller), names: teller.class_names ?? [], classifier: guide?.name, isNeeded };
}

/** What a class of a model's images is called. */
export function classTitle({ card }) {
  return { mnist: 'Digit', letters: 'Letter' }[card.dataset] ?? 'Class';
}

/** In place of a class: image k is of class k, from the first one again after the last. */
export const EACH = 'each';

/** Whether a model can be asked for each of its classes in turn: it has learned them. */
export function hasTurns(model, classifiers) {
  const { count, classifier } = classesOf(model, classifiers);
  return count > 0 && !classifier;
}

/**
 * The class that is asked for where nobody has chosen one. A model with classes draws an image better when it is told which one;
 * null is any.
 */
export function usualClass(model, classifiers) {
  return hasTurns(model, classifiers) ? EACH : null;
}

/** The part of a request for `count` images that asks for a class. Where they are variants of one image, none has its turn. */
export function classRequest({ state, model, engine }, count) {
  const { class: chosen, guidance } = state;
  const { count: classes, classifier, isNeeded } = classesOf(model, engine.classifiers);
  // What draws none but of a class cannot be guided away from any.
  const pull = isNeeded ? {} : { guidance };
  if (chosen === EACH && count) return { classes: Array.from({ length: count }, (_, k) => k % classes), ...pull };
  if (chosen === EACH || chosen === null) return isNeeded ? { class: 0 } : {};
  return { class: chosen, ...pull, ...(classifier && { classifier }) };
}
