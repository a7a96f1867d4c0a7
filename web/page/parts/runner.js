// What a run shows while it goes on and after it: progress, figures, buttons. Each task that runs something has one.

import { duration, elements, figure, find, make, megabytes, plural } from '../dom.js';

const MARKUP = `
  <div class="progress">
    <span class="progress-text"></span>
    <progress class="bar" max="1" aria-label="Progress" hidden></progress>
    <button type="button" class="cancel" hidden>Cancel</button>
  </div>
  <dl class="figures"></dl>`;

export class Runner {
  #start;
  #cancel;
  #bar;
  #text;
  #figures;
  #form;
  #preparing = [];

  /** `section` has a form with a start button, which calls `start`, and a place for the run. */
  constructor(section, app, start) {
    find('.run', section).append(...elements(MARKUP));
    this.#start = find('.start', section);
    this.#cancel = find('.cancel', section);
    this.#bar = find('.bar', section);
    this.#text = find('.progress-text', section);
    this.#figures = find('.figures', section);
    this.#form = find('form', section);
    const unfold = make('button', { type: 'button', className: 'unfold', textContent: 'Settings' });
    unfold.addEventListener('click', () => {
      this.#form.classList.remove('folded');
      find('select, input', this.#form).focus();
    });
    this.#start.after(unfold);
    this.#cancel.addEventListener('click', () => app.engine.cancel());
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      start();
    });
    this.#show({});
  }

  start() {
    this.#busy(true);
    this.#preparing = [];
    this.#say('Starting …', null);
    this.#show({});
    // On a phone the results are below the controls, which make room.
    this.#form.classList.add('folded');
    const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
    if (this.#figures.getBoundingClientRect().bottom > innerHeight)
      this.#text.parentElement.scrollIntoView({ behavior });
  }

  download({ loaded, total }) {
    this.#prepare(0, `Fetching weights: ${megabytes(loaded)} of ${megabytes(total)}`, total ? loaded / total : 1);
  }

  compile({ compiled, programs }) {
    this.#prepare(1, `Preparing the GPU: ${compiled} of ${programs} programs`, compiled / programs);
  }

  progress({ step, n_steps, nfe, seconds }) {
    // An adaptive solver knows no number of steps; it may send n_steps 0.
    const share = n_steps ? step / n_steps : null;
    const left = share && step > 1 ? `, ${duration((seconds * (1 - share)) / share)} left` : '';
    this.#say(
      `Step ${step.toLocaleString('en')}${n_steps ? ` of ${n_steps.toLocaleString('en')}` : ''}${left}`,
      share,
    );
    this.#show({ nfe, seconds });
  }

  /** Shows the final figures and returns them as one sentence for the live region. */
  finish({ count, nfe, seconds }) {
    this.#busy(false);
    this.#say('Done.', 0);
    this.#show({ nfe, seconds, count });
    return `${plural(count, 'image')} in ${duration(seconds)}, ${plural(nfe, 'network evaluation')}.`;
  }

  stop(sentence) {
    this.#busy(false);
    this.#say(sentence, 0);
  }

  #busy(isBusy) {
    const [gone, next] = isBusy ? [this.#start, this.#cancel] : [this.#cancel, this.#start];
    const hadFocus = document.activeElement === gone;
    this.#start.disabled = isBusy;
    this.#cancel.hidden = !isBusy;
    this.#bar.hidden = !isBusy;
    if (hadFocus) next.focus({ preventScroll: true }); // or the keyboard user's place would be lost
  }

  /** What goes on before the first step, at the same time: shows what is not done. */
  #prepare(index, text, share) {
    this.#preparing[index] = { text, share };
    const open = this.#preparing.filter(({ share }) => share < 1);
    if (open.length) this.#say(open.map(({ text }) => text).join('. '), Math.min(...open.map(({ share }) => share)));
  }

  #say(text, share) {
    this.#text.textContent = text;
    if (share === null) this.#bar.removeAttribute('value');
    else this.#bar.value = share;
  }

  #show({ nfe = 0, seconds = 0, count = null }) {
    const rows = [
      [
        'Network evaluations',
        nfe ? nfe.toLocaleString('en') : '–',
        'NFE: how often the network was asked for the score',
      ],
      [
        'Per evaluation',
        nfe ? `${figure((1000 * seconds) / nfe)} ms` : '–',
        'Time of one evaluation of the whole batch',
      ],
      [
        'Images per second',
        count && seconds ? figure(count / seconds) : '–',
        'Finished images over the whole time',
      ],
      ['Time', seconds ? duration(seconds) : '–', 'From the first step to the last'],
    ];
    this.#figures.classList.toggle('none', !nfe);
    this.#figures.replaceChildren(
      ...rows.map(([term, value, title]) =>
        make('div', { title }, make('dt', { textContent: term }), make('dd', { textContent: value })),
      ),
    );
  }
}
