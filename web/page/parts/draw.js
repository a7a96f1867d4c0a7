// A pad to draw on: mouse, touch and pen, and the keyboard (arrows move a cursor, space puts the pen down).

import { make } from '../dom.js';

const SIZE = 280;
const STEP = 10;
const LINE = 24;
const HELP = 'Arrow keys move, space puts the pen down or up, Delete clears, Ctrl+Z undoes.';

/**
 * Builds the pad in `holder`. After each stroke `onChange(picture)` gets the ink as a 1-channel picture, null when there
 * is none, and may return a picture that is shown instead.
 *
 * @returns {(picture) => void}  shows a 1-channel picture as ink, and forgets what could be undone
 */
export function createPad(holder, { label = 'Drawing pad', ink = '#fff', below = [], onChange }) {
  const canvas = make('canvas', { width: SIZE, height: SIZE, tabIndex: 0, className: 'pad' });
  const cursor = make('div', { className: 'pad-cursor', hidden: true });
  const status = make('p', { className: 'hint', textContent: HELP, role: 'status' });
  const undo = make('button', { type: 'button', textContent: 'Undo' });
  const clear = make('button', { type: 'button', textContent: 'Clear' });
  canvas.setAttribute('role', 'application');
  canvas.setAttribute('aria-label', `${label}. ${HELP}`);
  holder.append(
    make('div', { className: 'pad-holder' }, ...below, canvas, cursor),
    make('div', { className: 'row' }, undo, clear),
    status,
  );

  const context = canvas.getContext('2d', { willReadFrequently: true });
  const history = [];
  let last = null; // the pen's place while it is down
  let place = { x: SIZE / 2, y: SIZE / 2 }; // the keyboard's cursor
  let keyPen = false;

  context.lineCap = context.lineJoin = 'round';
  context.strokeStyle = context.fillStyle = ink;

  function wipe() {
    context.clearRect(0, 0, SIZE, SIZE);
  }
  function put({ height, width, data }) {
    wipe();
    const [across, down] = [SIZE / width, SIZE / height];
    data.forEach((byte, i) => {
      context.globalAlpha = byte / 255;
      context.fillRect((i % width) * across, Math.floor(i / width) * down, across, down);
    });
    context.globalAlpha = 1;
  }
  function remember() {
    history.push(context.getImageData(0, 0, SIZE, SIZE));
    if (history.length > 30) history.shift();
  }
  function line(from, to, pressure) {
    context.lineWidth = LINE * (pressure > 0 ? 0.6 + 0.8 * pressure : 1);
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }
  function report() {
    const { data: rgba } = context.getImageData(0, 0, SIZE, SIZE);
    const data = Uint8ClampedArray.from({ length: SIZE * SIZE }, (_, i) => rgba[4 * i + 3]);
    const isEmpty = !data.some((byte) => byte > 0);
    const shown = onChange(isEmpty ? null : { channels: 1, height: SIZE, width: SIZE, data });
    if (shown) put(shown);
  }
  function locate(event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return { x: ((event.clientX - left) * SIZE) / width, y: ((event.clientY - top) * SIZE) / height };
  }
  function showCursor() {
    cursor.hidden = document.activeElement !== canvas || !canvas.matches(':focus-visible');
    cursor.style.left = `${(100 * place.x) / SIZE}%`;
    cursor.style.top = `${(100 * place.y) / SIZE}%`;
    cursor.classList.toggle('down', keyPen);
  }
  function stepBack() {
    const before = history.pop();
    if (!before) return;
    context.putImageData(before, 0, 0);
    report();
  }
  function clearAll() {
    remember();
    wipe();
    report();
  }

  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    remember();
    last = locate(event);
    line(last, last, event.pointerType === 'pen' ? event.pressure : 0);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!last) return;
    // A fast pen sends several points between two frames; without them curves become polygons.
    const points = event.getCoalescedEvents?.() ?? [];
    for (const point of points.length ? points : [event]) {
      const to = locate(point);
      line(last, to, event.pointerType === 'pen' ? point.pressure : 0);
      last = to;
    }
  });
  for (const type of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(type, () => {
      if (last) report();
      last = null;
    });
  }

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener('keydown', (event) => {
    const move = moves[event.key];
    if (move) {
      const inside = (value) => Math.min(SIZE - STEP, Math.max(STEP, value));
      const to = { x: inside(place.x + move[0] * STEP), y: inside(place.y + move[1] * STEP) };
      if (keyPen) line(place, to, 0);
      place = to;
      if (keyPen) report();
    } else if (event.key === ' ') {
      keyPen = !keyPen;
      if (keyPen) {
        remember();
        line(place, place, 0);
        report();
      }
      status.textContent = keyPen ? 'Pen down: arrow keys draw.' : 'Pen up: arrow keys move.';
    } else if (event.key === 'Delete' || event.key === 'Backspace') clearAll();
    else if (event.key === 'z' && (event.ctrlKey || event.metaKey)) stepBack();
    else return;
    event.preventDefault();
    showCursor();
  });
  canvas.addEventListener('focus', showCursor);
  canvas.addEventListener('blur', showCursor);
  undo.addEventListener('click', stepBack);
  clear.addEventListener('click', clearAll);

  return (picture) => {
    history.length = 0;
    put(picture);
  };
}
