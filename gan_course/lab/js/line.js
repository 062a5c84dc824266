// The main view on a line: densities, D, and arrows from z, below, to x.

import { arrow, dimmed, painter, stroke } from "./basics.js";

export function drawLine(context, size, head, arrays, colors) {
  const [low, high] = head.window;
  const floor = 0.78 * size;
  const top = arrays.p ? Math.max(1.05, 1.3 * Math.max(...arrays.p.data)) : 1.05;
  const x = (v) => ((v - low) / (high - low)) * size;
  const y = (v) => floor - (Math.min(v, top) / top) * (floor - 8);
  baseline(context, size, y, colors.ink);
  const curve = (array, color, dash, width) => {
    if (!array) return;
    let pen = "moveTo"; // a gap where there is no number
    context.beginPath();
    array.data.forEach((v, i) => {
      const place = ((i + (array.cells ? 0.5 : 0)) / (array.data.length - (array.cells ? 0 : 1))) * size;
      if (Number.isNaN(v)) pen = "moveTo";
      else context[pen](place, y(v)), (pen = "lineTo");
    });
    stroke(context, color, dash, width);
  };
  const { name } = head.reading;
  const curves = [
    ["real", "p_data", arrays.p, colors.real, [2, 3], 2.6],
    ["generated", "p_g", arrays.q, colors.fake, [], 2],
    ["optimal", name.replace("D", "D*"), arrays.optimal && { ...arrays.optimal, cells: true }, colors.ink, [1, 3], 2],
    ["belief", name, arrays.belief, colors.judge, [7, 4], 2],
  ].filter(([, , array]) => array);
  const layer = painter(context, head);
  curves.forEach(([of, , array, ...style]) => layer(of, array, () => curve(array, ...style)));
  legends(context, curves, size, colors);
  layer("real", arrays.real, (c, a) => rug(c, a, x, floor + 3, colors.real));
  layer("generated", arrays.fake, (c, a) => rug(c, a, x, floor + 11, colors.fake));
  layer("arrows", arrays.arrows, (c, a) => drawPulls(c, a, x, floor + 25, size, head, colors.ink));
  layer("manifold", arrays.ladder, (c, a) => drawLadder(c, a, size, x, floor + 31, colors.ink));
}

/** Name the curves in a corner, on paper, so that no curve runs through a name. */
function legends(context, curves, size, { ink, paper }) {
  const wide = Math.max(0, ...curves.map(([, label]) => context.measureText(label).width));
  const left = size - wide - 30;
  context.fillStyle = paper;
  dimmed(context, 0.85, () => context.fillRect(left - 4, 2, wide + 32, 14 * curves.length + 4));
  curves.forEach(([, label, , color, dash], i) => {
    const y = 14 * (i + 1);
    context.beginPath();
    context.moveTo(left, y - 4);
    context.lineTo(left + 18, y - 4);
    stroke(context, color, dash, 2);
    context.fillStyle = ink;
    context.fillText(label, left + 22, y);
  });
}

function baseline(context, size, y, ink) {
  context.fillStyle = ink;
  for (const level of [0, 0.5, 1]) {
    dimmed(context, 0.4, () => context.fillRect(0, y(level), size, 0.8));
    context.fillText(String(level), 2, y(level) - 2);
  }
}

export function rug(context, { data }, x, y, color) {
  context.fillStyle = color;
  dimmed(context, 0.5, () => {
    for (const v of data) context.fillRect(x(v) - 0.5, y, 1, 7);
  });
}

function drawLadder(context, { data }, size, x, y, ink) {
  context.strokeStyle = ink;
  context.fillStyle = ink;
  context.lineWidth = 0.8;
  for (let i = 0; i < data.length; i += 2) {
    const from = data[i] * size;
    arrow(context, from, size - 12, x(data[i + 1]) - from, y - size + 12, 4);
  }
  context.fillText("z", 2, size - 2);
}

function drawPulls(context, { data }, x, y, size, head, ink) {
  const half = 2 / (head.window[1] - head.window[0]);
  context.strokeStyle = ink;
  context.lineWidth = 1;
  for (let i = 0; i < data.length; i += 8) {
    const slope = Math.abs(data[i + 1]);
    arrow(context, x(data[i]), y, (Math.sign(data[i + 1]) * 0.1 * size * slope) / (slope + half), 0, 3);
  }
}
