// Form fields made from the engine's registry, so that a new sampler or option needs no work here.

import { find, make } from '../dom.js';

let serial = 0;

/** Fills a <select> with registry entries. */
export function fillSelect(select, entries, value) {
  select.replaceChildren(...optionsOf(entries));
  select.value = value;
}

export function optionsOf(entries) {
  return entries.map(({ name, title }) => make('option', { value: name, textContent: title }));
}

/** Keeps the state's `key` in step with a number field. */
export function bindNumber(input, key, app) {
  input.addEventListener('input', () => input.checkValidity() && app.update({ [key]: input.valueAsNumber }, false));
}

/** Whether all fields of a form hold what they may; complains to the visitor where not. */
export function isValid(form) {
  // A field that is folded away cannot show its complaint.
  if (!form.checkValidity()) {
    form.classList.remove('folded');
    find('details', form).open = true;
  }
  return form.reportValidity();
}

/** A labelled form field for one option; `onInput` gets every valid value. */
export function optionField(option, value, onInput, { slider = false } = {}) {
  const id = `option-${++serial}`;
  const input = option.choices ? choiceInput(option, value, onInput) : numberInput(option, value, onInput);
  input.id = id;
  input.name = option.name;
  const help = make('p', { className: 'hint', id: `${id}-help`, textContent: option.help });
  input.setAttribute('aria-describedby', help.id);
  const row = make('div', { className: 'row' }, input);
  if (slider && !option.choices) row.prepend(sliderFor(option, input));
  return make('div', { className: 'field' }, make('label', { htmlFor: id, textContent: option.title }), row, help);
}

function choiceInput(option, value, onInput) {
  const select = make('select');
  fillSelect(select, option.choices, value);
  select.addEventListener('change', () => onInput(select.value));
  return select;
}

function numberInput(option, value, onInput) {
  const input = make('input', {
    type: 'number',
    required: true,
    min: option.min,
    max: option.max,
    // Tolerances and rates may be any number; `step` is then only what the arrows add.
    step: option.integer ? option.step || 1 : 'any',
    value,
    inputMode: option.integer ? 'numeric' : 'decimal',
  });
  input.addEventListener('input', () => input.checkValidity() && onInput(input.valueAsNumber));
  return input;
}

/**
 * A slider that does the same as the number field beside it for mouse and touch; it is hidden from assistive
 * technology because the field is already there. Positions are logarithmic where the range spans
 * decades, 10 to 2000 steps, say, unless the option says otherwise.
 */
function sliderFor({ min, max, integer, isLog = min > 0 && max / min > 30 }, input) {
  const toValue = (position) => (isLog ? min * (max / min) ** position : min + (max - min) * position);
  const toPosition = (value) =>
    isLog ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
  const range = make('input', { type: 'range', min: 0, max: 1, step: 0.001, tabIndex: -1 });
  range.value = toPosition(input.valueAsNumber);
  range.setAttribute('aria-hidden', 'true');
  range.addEventListener('input', () => {
    const value = toValue(range.valueAsNumber);
    input.value = integer ? Math.round(value) : value.toPrecision(3);
    input.dispatchEvent(new Event('input'));
  });
  input.addEventListener(
    'input',
    () => document.activeElement === input && (range.value = toPosition(input.valueAsNumber)),
  );
  return range;
}
