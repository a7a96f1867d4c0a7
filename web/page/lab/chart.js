// A small line chart: lines [{name, colour, points: [[x, y], …]}] over one pair of axes, either of which may be logarithmic.

const EDGE = { left: 44, right: 8, top: 8, bottom: 22 };

export function drawChart(canvas, lines, { logX = false, logY = false, x = '', name = '' } = {}) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  const colours = getComputedStyle(canvas);
  const colour = (name) => colours.getPropertyValue(`--${name}`);
  const all = lines.flatMap(({ points }) => points).filter(([a, b]) => (!logX || a > 0) && (!logY || b > 0));
  const said = lines
    .map(({ name, points }) => points.length && `${name} ${figure(points.at(-1)[1])}`)
    .filter(Boolean);
  canvas.setAttribute('aria-label', `${name}: ${said.join(', ') || 'nothing yet'}`);
  if (!all.length) return;
  const [across, down] = [
    axis(
      all.map(([a]) => a),
      [EDGE.left, width - EDGE.right],
      logX,
    ),
    axis(
      all.map(([, b]) => b),
      [height - EDGE.bottom, EDGE.top],
      logY,
    ),
  ];
  context.font = '11px system-ui, sans-serif';
  context.fillStyle = colour('muted');
  context.strokeStyle = colour('line');
  context.lineWidth = 1;
  for (const tick of down.ticks) {
    const y = Math.round(down.at(tick)) + 0.5;
    line(context, [EDGE.left, y], [width - EDGE.right, y]);
    context.textAlign = 'right';
    context.fillText(figure(tick), EDGE.left - 5, y + 3.5);
  }
  context.textAlign = 'left';
  context.fillText(figure(across.low), EDGE.left, height - 6);
  context.textAlign = 'right';
  context.fillText(`${x} ${figure(across.high)}`, width - EDGE.right, height - 6);
  for (const { colour: name, points } of lines) {
    context.strokeStyle = colour(name);
    context.lineWidth = 1.8;
    context.beginPath();
    const fine = points.filter(([a, b]) => Number.isFinite(b) && (!logX || a > 0) && (!logY || b > 0));
    fine.forEach(([a, b], i) => context[i ? 'lineTo' : 'moveTo'](across.at(a), down.at(b)));
    context.stroke();
  }
}

function line(context, from, to) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

function axis(values, [begin, end], isLog) {
  const finite = values.filter(Number.isFinite);
  let [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (low === high) [low, high] = isLog ? [low / 2, high * 2] : [low - 1, high + 1];
  const scale = isLog ? Math.log : (value) => value;
  const at = (value) => begin + ((scale(value) - scale(low)) / (scale(high) - scale(low))) * (end - begin);
  const ticks = isLog ? [low, Math.sqrt(low * high), high] : [low, (low + high) / 2, high];
  return { low, high, at, ticks };
}

export function figure(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1000)
    return value.toLocaleString('en', {
      maximumSignificantDigits: 3,
      notation: size >= 1e5 ? 'compact' : 'standard',
    });
  return String(Number(value.toPrecision(3)));
}
