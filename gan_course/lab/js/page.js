// One lab on a page: it draws what the kernel computes, and says what the reader does.

import { make, surface, theme, write } from "./basics.js";
import { controls, explain, layerBoxes } from "./controls.js";
import { curveBoxes, drawCurves } from "./curves.js";
import { drawLine } from "./line.js";
import { drawPad, drawingButton } from "./pad.js";
import { drawPlane } from "./plane.js";
import { buildWall, drawWall, showLifted } from "./wall.js";

const TURNS = 5; // curves and wall change slowly, and cost more than the main view
const SPEAK_MS = 1500; // a screen reader cannot follow thirty labels a second
let pages = 0;

/** Build a lab inside `root`; `tell` takes what the reader does.
 *  Returns `show(head, arrays)`, which draws, and `redraw()`, after the theme changed.
 *
 *  What the reader does has a number, and each picture says which numbers of this page it has
 *  `seen`. One that has not seen the last is an echo of the past, and moves no control. */
export function mount(root, page, tell) {
  const id = `gan-lab-${++pages}`;
  const parts = {
    canvas: make("canvas", { className: "gan-view", role: "img", ariaLabel: "The lab is starting." }),
    note: make("p", { className: "gan-note", role: "status" }),
    remedy: make("button", { className: "gan-remedy", hidden: true }),
    piece: make("p", { className: "gan-piece", role: "status", hidden: true }),
    facts: make("p", { className: "gan-facts" }),
    reading: make("p", { className: "gan-reading" }),
    wallNote: make("p", { className: "gan-reading" }),
    help: make("p", { className: "gan-help", id: `${id}-help` }),
    recorded: Boolean(page.recorded),
    values: new Map(),
    layers: new Map(),
    curves: [],
    wall: [],
  };
  const name = Math.random().toString(36).slice(2); // a lab may stand on several pages
  const state = { head: null, arrays: null, spoken: 0, turn: 0, name, sent: 0 };
  const send = (message) => tell({ ...message, page: name, number: ++state.sent });
  parts.remedy.onclick = () => {
    send({ kind: "remedy" });
    parts.remedy.hidden = true;
    parts.play.focus();
  };
  const wall = page.runs > 1 && buildWall(parts, page.runs, send);
  const lab = make(
    "div",
    { className: "gan-lab", role: "group", ariaLabel: "GAN lab" },
    toolbar(parts, page, send),
    parts.piece,
    make(
      "div",
      { className: page.runs > 1 ? "gan-stage gan-with-wall" : "gan-stage" },
      make(
        "div",
        { className: "gan-picture" },
        parts.canvas,
        parts.facts,
        parts.reading,
        make("div", { className: "gan-status" }, parts.note, parts.remedy),
        layerBoxes(parts, page, send),
        parts.help,
      ),
      ...(wall ? [wall] : []),
      controls(parts, page, send),
      curveBoxes(parts),
    ),
  );
  root.append(lab);
  const redraw = () => state.head && draw(lab, parts, state);
  parts.redraw = redraw;
  // What the hand held while the last picture came follows it once it is let go.
  const settle = () => requestAnimationFrame(() => state.head && follow(parts, state));
  for (const event of ["change", "focusout", "pointerup", "lostpointercapture"]) lab.addEventListener(event, settle);
  return {
    lab,
    parts,
    redraw,
    show(head, arrays) {
      if (state.ended) return;
      Object.assign(state, { head, arrays });
      redraw();
    },
    /** Keep the last picture, and say why there will be no other; the first reason stays. */
    end(text) {
      lab.inert = true;
      if (state.ended) return;
      state.ended = true;
      if (!state.head) return write(parts.note, text);
      const now = { seen: null, playing: false, remedy: null, note: { kind: "error", text } };
      state.head = { ...state.head, ...now };
      redraw();
    },
  };
}

function toolbar(parts, page, send) {
  const bar = make("div", { className: "gan-bar", role: "toolbar", ariaLabel: "Training" });
  if (page.recorded || !page.controls.length) return bar;
  const button = (label, help, onclick) => {
    const made = make("button", { textContent: label, title: help, onclick });
    explain(parts, made, help);
    bar.append(made);
    return made;
  };
  const act = (action) => () => send({ kind: "do", action });
  parts.play = button("Play", "Train until you press Pause. It rests while nobody sees it.", () => {
    act(parts.playing ? "pause" : "play")();
    showPlaying(parts, !parts.playing); // so that a second press means the other
  });
  button("D step", "Move the discriminator once. The shade changes, the crosses stay.", act("D step"));
  button("G step", "Move the generator once. The crosses move, the shade stays.", act("G step"));
  parts.slow = button("Slow motion", "One round in slow motion: the pieces of each step in turn.", act("slow motion"));
  if (page.controls.some(({ name }) => name === "data")) drawingButton(parts, button, send);
  button("Reset", "Fresh networks from the same seed; the settings stay.", act("reset"));
  return bar;
}

function showPlaying(parts, playing) {
  parts.playing = playing;
  if (parts.play) write(parts.play, playing ? "Pause" : "Play");
}

function draw(lab, parts, state) {
  const { head, arrays } = state;
  const colors = theme(lab);
  const { context, width } = surface(parts.canvas, 1);
  context.font = `11px ${colors.font}`;
  (head.dimension === 1 ? drawLine : drawPlane)(context, width, head, arrays, colors);
  parts.window = head.window;
  if (parts.pad?.on) drawPad(context, width, head, parts.pad, colors);
  tell(parts, head);
  follow(parts, state);
  speak(parts, state);
  // While it plays, each picture renews its share of them, so that none takes long.
  state.turn = (state.turn + 1) % TURNS;
  const due = (number) => !head.playing || number % TURNS === state.turn;
  if (due(0)) drawCurves(parts, head, arrays, colors);
  drawWall(parts, head, arrays, colors, due, state.spoken);
}

/** Bring the lines of text in line with the kernel's state. */
function tell(parts, head) {
  parts.piece.hidden = !head.piece;
  write(parts.piece, head.piece?.text ?? "");
  write(parts.facts, facts(head));
  write(parts.reading, head.reading.text);
  write(parts.note, head.note.text);
  parts.note.dataset.kind = head.note.kind;
}

/** Bring buttons, boxes and controls in line with the kernel's state, if it has seen all that the
 *  reader did; until then they stand as the reader left them. */
function follow(parts, { head, name, sent }) {
  if (head.seen && (head.seen[name] ?? 0) < sent) return;
  showPlaying(parts, head.playing);
  if (parts.slow) parts.slow.setAttribute("aria-pressed", String(head.slow));
  parts.remedy.hidden = !head.remedy;
  if (head.remedy) write(parts.remedy, head.remedy.label);
  showLifted(parts, head.run);
  for (const [layer, input] of parts.layers) input.checked = head.layers.includes(layer);
  for (const [control, { set, held, input }] of parts.values) {
    if (!held()) set(head.values[control]);
    // A recording only shows its settings; each run of the wall has its own of one.
    input.disabled = parts.recorded || control === head.along;
  }
}

function facts(head) {
  const m = head.measures;
  const parts = [`step ${head.step}`];
  if (m.value !== undefined) parts.push(`V = ${number(m.value)}`);
  if (m.loss !== undefined) parts.push(`D's loss = ${number(m.loss)}`);
  if (m.least !== undefined) parts.push(`of D* = ${number(m.least)}`);
  if (m.modes !== undefined) parts.push(`${m.modes} of ${head.modes} modes`, `${Math.round(100 * m.quality)}\u00a0% near one`);
  if (m.gap !== undefined) parts.push(`V(D*) − V(D) = ${number(m.gap)}`);
  if (m.divergence !== undefined) parts.push(`JS = ${number(m.divergence)}`);
  if (m.outside >= 0.005) parts.push(`${Math.round(100 * m.outside)}\u00a0% of the samples outside the picture`);
  return parts.join(" · ");
}

/** JSON has no infinity; the kernel sends null in its place. */
function number(value, digits = 3) {
  return value === null ? "not finite" : value.toFixed(digits).replace("-", "−");
}

function speak(parts, state) {
  const now = performance.now();
  if (state.head.playing && now - state.spoken < SPEAK_MS) return;
  state.spoken = now;
  const { real_score, fake_score, real = real_score, fake = fake_score } = state.head.measures;
  parts.canvas.ariaLabel =
    `Real and generated samples with the discriminator's opinion. ${facts(state.head)}. ` +
    `D averages ${number(real, 2)} on real and ${number(fake, 2)} on generated samples.`;
}
