// The picture of an empty stage, and the mark of the project: the score of a small mixture of Gaussians, drawn as
// a field of strokes that lead from anywhere to where the data are.

const MODES = [
  { x: 0.3, y: 0.36, spread: 0.15, weight: 1 },
  { x: 0.7, y: 0.62, spread: 0.18, weight: 1.2 },
  { x: 0.66, y: 0.2, spread: 0.1, weight: 0.6 },
];

/** Gradient of the log density at a point of the unit square, and the density. */
function score(x, y) {
  let [density, gx, gy] = [0, 0, 0];
  for (const mode of MODES) {
    const [dx, dy] = [mode.x - x, mode.y - y];
    const variance = mode.spread ** 2;
    const p = (mode.weight / variance) * Math.exp(-(dx * dx + dy * dy) / (2 * variance));
    density += p;
    gx += (p * dx) / variance;
    gy += (p * dy) / variance;
  }
  return [gx / (density + 1e-3), gy / (density + 1e-3), density];
}

export function drawField(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const style = getComputedStyle(canvas);
  const [near, far] = [style.getPropertyValue('--accent'), style.getPropertyValue('--muted')];
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  context.lineCap = 'round';
  const pitch = 18;
  const [columns, rows] = [Math.floor(width / pitch), Math.floor(height / pitch)];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [x, y] = [(column + 0.5) / columns, (row + 0.5) / rows];
      const [gx, gy, density] = score(x, y);
      const size = Math.hypot(gx, gy);
      const length = pitch * (0.18 + 0.55 * Math.tanh(size / 12));
      const closeness = Math.min(1, density / 30);
      const [ux, uy] = [(gx / size) * length, (gy / size) * length];
      const [cx, cy] = [((column + 0.5) * width) / columns, ((row + 0.5) * height) / rows];
      context.strokeStyle = closeness > 0.25 ? near : far;
      context.globalAlpha = 0.25 + 0.6 * closeness;
      context.lineWidth = 1 + closeness;
      context.beginPath();
      context.moveTo(cx - ux / 2, cy - uy / 2);
      context.lineTo(cx + ux / 2, cy + uy / 2);
      context.stroke();
      context.globalAlpha = 0.4 + 0.6 * closeness;
      context.beginPath();
      context.arc(cx + ux / 2, cy + uy / 2, 1 + 0.7 * closeness, 0, 7);
      context.fillStyle = context.strokeStyle;
      context.fill();
    }
  }
}
