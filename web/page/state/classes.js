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

/** The class that is asked for where nobody has chosen one; null is any. */
export function usualClass(model, classifiers) {
  return classesOf(model, classifiers).isNeeded ? 0 : null;
}

/** The part of a request that asks for a class. */
export function classRequest({ state, model, engine }) {
  const { class: chosen, guidance } = state;
  const { classifier, isNeeded } = classesOf(model, engine.classifiers);
  if (chosen === null) return {};
  // What draws none but of a class cannot be guided away from any.
  return { class: chosen, ...(!isNeeded && { guidance }), ...(classifier && { classifier }) };
}
