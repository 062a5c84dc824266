// The main view in the plane. `place` turns x into a place on the canvas.

import { arrow, channels, dimmed, painter } from "./basics.js";

const SHADE = 0.5; // how strongly D's surface covers the paper
const tables = new Map();

/** 256 colours from generated over the paper to real. */
function colours({ paper, real, fake }) {
  if (!tables.has(paper)) {
    const ends = [fake, paper, real].map(channels);
    const table = new Uint8ClampedArray(256 * 3);
    for (let i = 0; i < 256; i++) {
      const share = i / 255;
      const end = share < 0.5 ? ends[0] : ends[2];
      const strength = SHADE * Math.abs(2 * share - 1);
      for (let c = 0; c < 3; c++) table[3 * i + c] = ends[1][c] + strength * (end[c] - ends[1][c]);
    }
    tables.set(paper, table);
  }
  return tables.get(paper);
}

export function plane(head, width) {
  const [low, high] = head.window;
  const scale = width / (high - low);
  return { x: (v) => (v - low) * scale, y: (v) => (high - v) * scale, scale, width };
}

const scratch = document.createElement("canvas");

/** Paint a square grid of probabilities; where there is none (NaN), the paper shows. */
function paintSurface(context, { shape, data }, size, colors, centred) {
  const side = shape[0];
  const table = colours(colors);
  const image = new ImageData(side, side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const value = data[row * side + column];
      if (!(value >= 0)) continue;
      const to = 4 * ((side - 1 - row) * side + column);
      const from = 3 * Math.round(255 * Math.min(1, value));
      image.data[to] = table[from];
      image.data[to + 1] = table[from + 1];
      image.data[to + 2] = table[from + 2];
      image.data[to + 3] = 255;
    }
  }
  scratch.width = scratch.height = side;
  scratch.getContext("2d").putImageData(image, 0, 0);
  // A grid's points reach from edge to edge, so its pixels stand half over; cells do not.
  const over = centred ? size / (side - 1) / 2 : 0;
  context.imageSmoothingEnabled = centred;
  context.drawImage(scratch, -over, -over, size + 2 * over, size + 2 * over);
}

/** Trace where the surface crosses one half: marching squares, straight within each. */
function traceHalf(context, { shape, data }, size, ink) {
  const side = shape[0];
  const step = size / (side - 1);
  const at = (row, column) => data[row * side + column] - 0.5;
  context.beginPath();
  for (let row = 0; row < side - 1; row++) {
    for (let column = 0; column < side - 1; column++) {
      const corners = [at(row, column), at(row, column + 1), at(row + 1, column + 1), at(row + 1, column)];
      const cuts = crossings(corners);
      for (let i = 0; i + 1 < cuts.length; i += 2) {
        context.moveTo((column + cuts[i][0]) * step, size - (row + cuts[i][1]) * step);
        context.lineTo((column + cuts[i + 1][0]) * step, size - (row + cuts[i + 1][1]) * step);
      }
    }
  }
  context.strokeStyle = ink;
  context.lineWidth = 1.2;
  context.stroke();
}

const CORNERS = [[0, 0], [1, 0], [1, 1], [0, 1]];

/** Where the border of a unit square is zero, given the values at its corners in turn. */
function crossings(values) {
  const found = [];
  for (let i = 0; i < 4; i++) {
    const j = (i + 1) % 4;
    if (values[i] > 0 === values[j] > 0) continue;
    const share = values[i] / (values[i] - values[j]);
    found.push([0, 1].map((axis) => CORNERS[i][axis] + share * (CORNERS[j][axis] - CORNERS[i][axis])));
  }
  return found;
}

export function dots(context, { data }, place, color, size) {
  context.fillStyle = color;
  for (let i = 0; i < data.length; i += 2) {
    context.fillRect(place.x(data[i]) - size / 2, place.y(data[i + 1]) - size / 2, size, size);
  }
}

function crosses(context, { data }, place, color, size, paper) {
  context.beginPath();
  for (let i = 0; i < data.length; i += 2) {
    const x = place.x(data[i]);
    const y = place.y(data[i + 1]);
    context.moveTo(x - size, y - size);
    context.lineTo(x + size, y + size);
    context.moveTo(x - size, y + size);
    context.lineTo(x + size, y - size);
  }
  context.strokeStyle = paper;
  context.lineWidth = 2.6;
  dimmed(context, 0.6, () => context.stroke()); // a rim, off their own colour's shade
  context.strokeStyle = color;
  context.lineWidth = 1.2;
  context.stroke();
}

/** Fill the generator's cells: each holds the same mass, so a small one is dense. */
function drawMesh(context, { shape, data }, place, color) {
  const side = shape[0];
  const corner = (i, j) => [place.x(data[2 * (i * side + j)]), place.y(data[2 * (i * side + j) + 1])];
  const whole = context.globalAlpha;
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = 0.8;
  for (let i = 0; i < side - 1; i++) {
    for (let j = 0; j < side - 1; j++) {
      const cell = [corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1)];
      context.beginPath();
      cell.forEach(([x, y]) => context.lineTo(x, y));
      context.closePath();
      context.globalAlpha = whole * Math.min(0.6, (0.0015 * place.width * place.width) / (area(cell) + 1));
      context.fill();
      context.globalAlpha = 0.9 * whole;
      context.stroke();
    }
  }
}

function area(cell) {
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    const [x, y] = cell[i];
    const [u, v] = cell[(i + 1) % 4];
    sum += x * v - u * y;
  }
  return Math.abs(sum) / 2;
}

function drawThread(context, { data }, place, color) {
  context.beginPath();
  for (let i = 0; i < data.length; i += 2) context.lineTo(place.x(data[i]), place.y(data[i + 1]));
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.stroke();
}

/** An arrow for each sample. Lengths are on one scale that saturates, so that a vanishing
 *  gradient looks like one, and a steep one stays on the canvas. */
function drawArrows(context, { data }, place, ink) {
  const half = 2 / (place.width / place.scale); // the slope drawn at half the full length
  context.strokeStyle = context.fillStyle = ink;
  context.lineWidth = 1;
  for (let i = 0; i < data.length; i += 4) {
    const slope = Math.hypot(data[i + 2], data[i + 3]);
    const length = (0.1 * place.width * slope) / (slope + half);
    const dx = ((data[i + 2] / (slope || 1)) * length);
    const dy = ((-data[i + 3] / (slope || 1)) * length);
    arrow(context, place.x(data[i]), place.y(data[i + 1]), dx, dy, Math.min(4, length / 2));
  }
}

export function drawPlane(context, size, head, arrays, colors) {
  const place = plane(head, size);
  const { paper, ink } = colors;
  const layer = painter(context, head);
  const surface = arrays.optimal ? "optimal" : "belief";
  layer(surface, arrays[surface], (c, a) => paintSurface(c, a, size, colors, surface === "belief"));
  layer("manifold", arrays.mesh, (c, a) => drawMesh(c, a, place, colors.mesh));
  layer("manifold", arrays.thread, (c, a) => drawThread(c, a, place, colors.mesh));
  layer("belief", arrays.belief, (c, a) => traceHalf(c, a, size, ink));
  layer("real", arrays.real, (c, a) => dots(c, a, place, colors.real, 2.6));
  layer("generated", arrays.fake, (c, a) => crosses(c, a, place, colors.fake, 2.2, paper));
  layer("arrows", arrays.arrows, (c, a) => drawArrows(c, a, place, ink));
}
