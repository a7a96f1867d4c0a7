// Which classes the images of a model can be asked for.

/**
 * How many classes a model's images can be asked for, what they are called, and where the model has learned none, the
 * name of the classifier that tells them.
 */
export function classesOf({ card }, classifiers) {
  const countOf = ({ architecture }) => architecture?.config?.classes ?? 0;
  const learned = countOf(card);
  const fits = ({ card: other }) =>
    ['dataset', 'channels', 'height', 'width'].every((key) => other[key] === card[key]);
  const guide = learned ? undefined : classifiers.find(fits);
  const teller = guide?.card ?? card;
  return { count: countOf(teller), names: teller.class_names ?? [], classifier: guide?.name };
}

/** The part of a request that asks for a class. */
export function classRequest({ state, model, engine }) {
  const { class: chosen, guidance } = state;
  const { classifier } = classesOf(model, engine.classifiers);
  return chosen === null ? {} : { class: chosen, guidance, ...(classifier && { classifier }) };
}
