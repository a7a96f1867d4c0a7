// The lesson at the side of the bench, the numbers in which it shows, and the row of all lessons.

import { find, make } from '../dom.js';
import { figure } from './chart.js';
import { LANGUAGES, LESSONS } from './lessons.js';

/** Pixels of a side of a lesson's picture. */
const THUMB = 56;

export class Lesson {
  #bench;
  #holder;
  #numbers = null; // that were measured

  constructor(bench, holder) {
    this.#bench = bench;
    this.#holder = holder;
  }

  begin() {
    this.#numbers = null;
  }

  refresh() {
    const { state, words, language } = this.#bench;
    const { labels } = words;
    const told = words[state.lesson] ?? words.own;
    const isOwn = !told.watch;
    const start = make('button', { type: 'button', className: 'primary start', textContent: this.#label(told) });
    start.addEventListener('click', () => this.#bench.start());
    const hasButton = Boolean(this.#bench.plan.action);
    const answer =
      told.question &&
      make(
        'details',
        {},
        make('summary', { textContent: `${labels.question}: ${told.question}` }),
        make('p', { textContent: told.answer }),
      );
    const check = make('button', { type: 'button', className: 'check-numbers', textContent: labels.check });
    check.addEventListener('click', () => this.measure());
    const wasOpen = this.#holder.dataset.lesson === state.lesson && find('details', this.#holder)?.open;
    const hadFocus = this.#holder.contains(document.activeElement) && document.activeElement.className;
    this.#holder.lang = language;
    this.#holder.dataset.lesson = state.lesson;
    this.#holder.replaceChildren(
      this.#languages(),
      make('h2', { textContent: told.title }),
      make('p', { textContent: told.text }),
      ...(isOwn
        ? []
        : [make('p', { className: 'watch' }, make('strong', { textContent: `${labels.watch}: ` }), told.watch)]),
      ...(hasButton
        ? [make('div', { className: 'actions' }, start, ...this.#kept(labels))]
        : [make('p', { className: 'hint', textContent: told.button })]),
      make('p', { className: 'said hint', role: 'status', textContent: this.#bench.panels.said }),
      ...(answer ? [answer] : []),
      ...(isOwn ? [] : [check, this.#table()]),
    );
    if (wasOpen) find('details', this.#holder).open = true;
    if (hadFocus) find(`.${hadFocus.split(' ').at(-1)}`, this.#holder)?.focus({ preventScroll: true });
    for (const button of this.#bench.section.querySelectorAll('.lessons button')) {
      if (button.name === state.lesson) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
      find('.title', button).textContent = titleOf(words, button.name);
    }
  }

  /** The button for those who do not want to wait, where learning is the lesson. */
  #kept(labels) {
    const { plan, learner } = this.#bench;
    if (plan.action !== 'learn' || !learner.isKept) return [];
    const kept = make('button', { type: 'button', className: 'kept', textContent: labels.kept });
    kept.addEventListener('click', () => learner.remember());
    return [kept];
  }

  #label(told) {
    const { learner, sampling, plan } = this.#bench;
    if (plan.action === 'learn' && learner.isRunning) return 'Pause';
    if (plan.action === 'sample' && sampling.isBusy) return 'Stop';
    return told.button;
  }

  /** Measures the lesson's own numbers, in the experiment as it is on the bench. */
  async measure() {
    const { laboratory, state, app, attempt } = this.#bench;
    const [lesson, before] = [state.lesson, this.#bench.loaded];
    this.#numbers = 'measuring';
    this.refresh();
    const numbers = await attempt(() => laboratory.ask('measure', 'measure', [lesson]));
    if (before !== this.#bench.loaded) return;
    this.#numbers = numbers;
    this.refresh();
    if (numbers)
      app.announce(
        numbers.every(({ holds }) => holds)
          ? 'All numbers are as they should be.'
          : 'A number is not as it should be.',
      );
  }

  #table() {
    if (!this.#numbers) return '';
    if (this.#numbers === 'measuring') return make('p', { className: 'hint', textContent: 'Measuring …' });
    const rows = this.#numbers.map(({ name, value, error, expected: [low, high], holds }) =>
      make(
        'tr',
        { className: holds ? 'holds' : 'fails' },
        make('th', { scope: 'row', textContent: name }),
        make(
          'td',
          {},
          figure(value) + (error ? ` ± ${figure(error)}` : ''),
          make('small', { textContent: `${figure(low)} to ${figure(high)}`, title: 'Where it has to be' }),
        ),
        make('td', {
          textContent: holds ? '✓' : '✗',
          'aria-label': holds ? 'as it should be' : 'not as it should be',
        }),
      ),
    );
    return make('table', { className: 'numbers' }, make('tbody', {}, ...rows));
  }

  #languages() {
    const { language, app } = this.#bench;
    const buttons = Object.entries(LANGUAGES).map(([name, title]) => {
      const button = make('button', {
        type: 'button',
        textContent: title,
        lang: name,
        'aria-pressed': String(name === language),
      });
      button.addEventListener('click', () => app.update({ language: name }));
      return button;
    });
    return make('div', { className: 'languages', role: 'group', 'aria-label': 'Language' }, ...buttons);
  }
}

/** With its number, where it has one. */
function titleOf(words, name) {
  const place = Object.keys(LESSONS).indexOf(name) + 1;
  return place ? `${place}. ${words[name].title}` : words[name].title;
}

/** A button for each lesson, with a picture of its world. */
export async function lessonList(bench, holder) {
  const { laboratory, usual, words } = bench;
  for (const [name, setup] of Object.entries(usual)) {
    const picture = make('canvas', { width: THUMB, height: THUMB, 'aria-hidden': 'true' });
    const button = make(
      'button',
      { type: 'button', name },
      picture,
      make('span', { className: 'title', textContent: titleOf(words, name) }),
    );
    button.addEventListener('click', () => bench.choose(name));
    holder.append(button);
    const { levels } = await laboratory.arrange(setup);
    const density = await laboratory.ask('show', 'density', [
      { sigma: Math.max(levels[0], setup.half / 60), places: THUMB },
    ]);
    const image = new ImageData(THUMB, THUMB);
    density.forEach((value, i) => image.data.set([29, 63, 165, 255 * Math.sqrt(value)], 4 * i));
    picture.getContext('2d').putImageData(image, 0, 0);
  }
}
