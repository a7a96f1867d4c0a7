// Fields of the laboratory's forms.

import { find, make } from '../dom.js';
import { optionField } from '../parts/controls.js';

/** A labelled list of choices, `[value, text]` each. */
export function choice(name, title, entries, value, onChange) {
  const id = `lab-${name}`;
  const select = make(
    'select',
    { id, name },
    ...entries.map(([value, text]) => make('option', { value, textContent: text })),
  );
  select.value = value;
  select.addEventListener('change', () => onChange(select.value));
  return make('div', { className: 'field' }, make('label', { htmlFor: id, textContent: title }), select);
}

/** A labelled number, with a slider unless the option says otherwise. */
export function quantity(
  name,
  title,
  { min, max, integer = false, slider = true, isLog = false },
  value,
  onInput,
) {
  const option = { name, title, min, max, integer, isLog, step: integer ? 1 : 'any', help: '' };
  return settingOf(option, `lab-${name}`, value, onInput, { slider });
}

/** The field of an option of the registry, by an id that it keeps. It is left alone while it is being changed. */
export function settingOf(option, id, value, onInput, how) {
  let timer = 0;
  const later = (value) => {
    clearTimeout(timer);
    timer = setTimeout(() => onInput(value), 300);
  };
  const field = optionField(option, value, later, how);
  find('input[type=number], select', field).id = find('label', field).htmlFor = id;
  return field;
}

/** Buttons side by side. */
export function row(...buttons) {
  return make('div', { className: 'actions' }, ...buttons);
}

export function button(textContent, onClick, className = '') {
  const button = make('button', { type: 'button', textContent, className });
  button.addEventListener('click', onClick);
  return button;
}
