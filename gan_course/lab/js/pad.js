// Drawing a distribution by hand, with the pointer or with the keyboard.

import { dots, plane } from "./plane.js";

const DRAWING =
  "Drag across the picture, and let go to train on what you drew. By keyboard: arrow keys move, " +
  "Space leaves a point, Enter is done, Escape gives up.";

export function drawingButton(parts, button, send) {
  const pad = { on: false, points: [], cursor: [0.5, 0.5] };
  const press = button("Draw data", `Draw a distribution of your own. ${DRAWING}`, () => {
    switchPad(parts, pad, press, !pad.on);
  });
  const done = () => {
    const points = thin(pad.points, 400);
    switchPad(parts, pad, press, false);
    if (points.length) send({ kind: "drawn", points });
  };
  parts.pad = pad;
  const canvas = parts.canvas;
  canvas.addEventListener("pointerdown", (event) => {
    if (pad.on) canvas.setPointerCapture(event.pointerId), leave(parts, pad, ...where(canvas, event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (pad.on && event.buttons) leave(parts, pad, ...where(canvas, event));
  });
  canvas.addEventListener("pointerup", () => pad.on && pad.points.length > 1 && done());
  canvas.addEventListener("keydown", (event) => {
    if (pad.on) key(parts, pad, event, done, () => switchPad(parts, pad, press, false));
  });
}

function switchPad(parts, pad, press, on) {
  Object.assign(pad, { on, points: [], cursor: [0.5, 0.5] });
  press.setAttribute("aria-pressed", String(on));
  parts.canvas.classList.toggle("gan-pad", on);
  parts.canvas.tabIndex = on ? 0 : -1;
  if (on) parts.canvas.focus();
  parts.help.textContent = on ? DRAWING : "";
  parts.redraw();
}

function where(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

/** Leave a point at a place given as shares of the canvas. */
function leave(parts, pad, across, down) {
  const [low, high] = parts.window;
  pad.points.push([low + across * (high - low), high - down * (high - low)]);
  parts.redraw();
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function key(parts, pad, event, done, give_up) {
  const move = MOVES[event.key];
  if (move) pad.cursor = pad.cursor.map((v, i) => Math.min(1, Math.max(0, v + 0.02 * move[i])));
  else if (event.key === " ") leave(parts, pad, ...pad.cursor);
  else if (event.key === "Enter") done();
  else if (event.key === "Escape") give_up();
  else return;
  event.preventDefault();
  parts.redraw();
}

function thin(points, most) {
  const stride = Math.ceil(points.length / most) || 1;
  return points.filter((_, i) => i % stride === 0);
}

export function drawPad(context, size, head, pad, { ink, real }) {
  const place = plane(head, size);
  dots(context, { data: pad.points.flat() }, place, real, 7);
  const [x, y] = pad.cursor.map((v) => v * size);
  context.strokeStyle = ink;
  context.lineWidth = 1;
  context.strokeRect(x - 6, y - 6, 12, 12);
}
