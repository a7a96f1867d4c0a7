// The charts below the planes: each is there while it has something to show.

import { find, make } from '../dom.js';
import { drawChart } from './chart.js';

export class Charts {
  #holder;
  #charts = new Map(); // name → {figure, draw}

  constructor(holder) {
    this.#holder = holder;
    new ResizeObserver(() => this.#charts.forEach(({ draw }) => draw())).observe(holder);
  }

  /** Lines as drawChart has them; none of them takes the chart away. */
  show(name, lines, caption, options) {
    const { figure } = this.#charts.get(name) ?? this.#add(name);
    figure.hidden = !lines.some(({ points }) => points.length);
    find('figcaption', figure).textContent = caption + legend(lines);
    const draw = () => drawChart(find('canvas', figure), lines, { ...options, name: caption });
    this.#charts.set(name, { figure, draw });
    draw();
  }

  #add(name) {
    const canvas = make('canvas', { className: 'chart', role: 'img' });
    const figure = make('figure', {}, canvas, make('figcaption'));
    this.#holder.append(figure);
    this.#charts.set(name, { figure });
    return { figure };
  }
}

function legend(lines) {
  return lines.length > 1 ? `: ${lines[0].name} (blue), ${lines[1].name} (orange)` : '';
}
