// The front end of the lab: it draws what the kernel computes, and says what the reader moves.
// The same module plays recordings in a page without a kernel; see `replay`.

const FADED = 0.25;
const SHADE = 0.5; // how strongly D's surface covers the paper
// At each message JupyterLab swaps the page's icon for that of a busy kernel, and Chromium keeps
// some 40 KB of every swap. So acknowledge seldom (half of the window in `view.py`), and the last.
const ACKNOWLEDGE_EVERY = 36;
const ACKNOWLEDGE_MS = 1000;
const TURNS = 5; // curves and wall change slowly, and cost more than the main view
const SPEAK_MS = 1500; // a screen reader cannot follow thirty labels a second

const CURVES = [
  {
    title: "D, on average",
    low: 0,
    high: 1,
    marks: [0.5],
    lines: [
      { name: "real", label: "real", color: "real" },
      { name: "fake", label: "generated", color: "fake", dash: [4, 3] },
    ],
  },
  {
    title: "scores, on average",
    lines: [
      { name: "real_score", label: "real", color: "real" },
      { name: "fake_score", label: "generated", color: "fake", dash: [4, 3] },
    ],
  },
  {
    title: "V(D, G)",
    marks: [-2 * Math.log(2)],
    lines: [{ name: "value", label: "V (thin line: −2 log 2)", color: "judge" }],
  },
  {
    title: "loss, penalty left out",
    lines: [
      { name: "loss", label: "D", color: "judge" },
      { name: "least", label: "D*", color: "ink", dash: [4, 3] },
    ],
  },
  {
    title: "distances to the theory, in nats",
    low: 0,
    lines: [
      { name: "gap", label: "V(D*) − V(D)", color: "judge" },
      { name: "divergence", label: "JS(data, generated)", color: "fake", dash: [4, 3] },
    ],
  },
  {
    title: "gradient norms",
    logarithmic: true,
    lines: [
      { name: "discriminator_gradient", label: "D", color: "judge" },
      { name: "generator_gradient", label: "G", color: "fake", dash: [4, 3] },
    ],
  },
  {
    title: "modes covered",
    low: 0,
    lines: [{ name: "modes", label: "", color: "real" }],
  },
];

// ---------------------------------------------------------------------------------------
// Small helpers

const FOCUSABLE = new Set(["a", "button", "canvas", "input", "select"]);

/** Make an element; text goes in as text, so nothing in it is ever read as HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  // JupyterLab would take the arrow keys and letters of whatever has the focus.
  if (FOCUSABLE.has(tag)) element.setAttribute("data-lm-suppress-shortcuts", "true");
  element.append(...children);
  return element;
}

const TYPES = { f4: [Float32Array, 0], u2: [Uint16Array, 65535], u1: [Uint8Array, 255] };

/** Read the arrays of a block by its layout; `frames.py` writes it. */
export function decode(layout, view) {
  const arrays = {};
  let start = view.byteOffset;
  for (const [name, type, shape, low, high] of layout) {
    const [Type, top] = TYPES[type];
    const bytes = shape.reduce((product, size) => product * size, 1) * Type.BYTES_PER_ELEMENT;
    // A copy, because a typed array must start at a multiple of its element's size.
    const raw = new Type(view.buffer.slice(start, start + bytes));
    start += bytes;
    const data = top ? Float32Array.from(raw, (v) => low + (v * (high - low)) / top) : raw;
    arrays[name] = { shape, data };
  }
  return arrays;
}

/** Give a canvas one pixel for each of the screen's, and a context in CSS pixels. */
function surface(canvas, ratio) {
  const width = Math.max(1, canvas.clientWidth);
  const height = Math.max(1, Math.round(width * ratio));
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** The theme's colours, as JupyterLab's variables and `lab.css` have them now. */
function theme(element) {
  const style = getComputedStyle(element);
  const paper = style.backgroundColor;
  element.classList.toggle("gan-dark", channels(paper).reduce((sum, c) => sum + c) < 384);
  const [real, fake, judge, mesh] = ["real", "fake", "judge", "mesh"].map((name) => style.getPropertyValue(`--gan-${name}`));
  return { ink: style.color, paper, font: style.fontFamily, real, fake, judge, mesh };
}

function channels(color) {
  if (color.startsWith("#")) {
    return [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  }
  return (color.match(/[\d.]+/g) || [255, 255, 255]).slice(0, 3).map(Number);
}

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

// ---------------------------------------------------------------------------------------
// The main view in the plane. `place` turns x into a place on the canvas.

function plane(head, width) {
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

function dots(context, { data }, place, color, size) {
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

function arrow(context, x, y, dx, dy, head) {
  const length = Math.hypot(dx, dy);
  if (length < 0.5) return;
  const [u, v] = [dx / length, dy / length];
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + dx, y + dy);
  context.moveTo(x + dx - head * (u - 0.6 * v), y + dy - head * (v + 0.6 * u));
  context.lineTo(x + dx, y + dy);
  context.lineTo(x + dx - head * (u + 0.6 * v), y + dy - head * (v - 0.6 * u));
  context.stroke();
}

/** Paint the parts of a layer, if they are there; in slow motion, what is not spoken of fades. */
function painter(context, head) {
  return (name, array, paint) => {
    if (!array) return;
    const faded = head.piece && !head.piece.highlight.includes(name);
    dimmed(context, faded ? FADED : 1, () => paint(context, array));
  };
}

/** Paint with a share of the present opacity. */
function dimmed(context, share, paint) {
  const whole = context.globalAlpha;
  context.globalAlpha = share * whole;
  paint();
  context.globalAlpha = whole;
}

function drawPlane(context, size, head, arrays, colors) {
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

// ---------------------------------------------------------------------------------------
// The main view on a line: densities, D, and arrows from z, below, to x.

function drawLine(context, size, head, arrays, colors) {
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

function stroke(context, color, dash, width) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}

function baseline(context, size, y, ink) {
  context.fillStyle = ink;
  for (const level of [0, 0.5, 1]) {
    dimmed(context, 0.4, () => context.fillRect(0, y(level), size, 0.8));
    context.fillText(String(level), 2, y(level) - 2);
  }
}

function rug(context, { data }, x, y, color) {
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

// ---------------------------------------------------------------------------------------
// The curves

const LEFT = 40; // of a panel, for the numbers of its scale

function range(rows, { low, high, marks = [], logarithmic }) {
  let values = rows.flatMap((row) => Array.from(row)).filter(Number.isFinite);
  if (logarithmic) values = values.filter((v) => v > 0);
  let bottom = low ?? Math.min(...values, ...marks);
  let top = high ?? Math.max(...values, ...marks);
  if (!(top > bottom)) top = bottom + (logarithmic ? bottom : 1) || 1;
  return logarithmic ? [Math.log10(bottom), Math.log10(top)] : [bottom, top];
}

function drawCurve(canvas, spec, steps, rows, colors) {
  const { context, width, height } = surface(canvas, 0.42);
  if (!steps.length) return;
  const [bottom, top] = range(rows, spec);
  const scaled = (v) => (spec.logarithmic ? Math.log10(v) : v);
  const y = (v) => height - 14 - ((scaled(v) - bottom) / (top - bottom)) * (height - 22);
  const last = steps[steps.length - 1];
  const x = (step) => LEFT + (step / (last || 1)) * (width - LEFT - 4);
  context.font = `10px ${colors.font}`;
  scale(context, spec, bottom, top, y, width, height, last, colors.ink);
  spec.lines.forEach(({ color, dash = [] }, i) => {
    let end = null;
    context.beginPath();
    rows[i].forEach((v, j) => {
      if (!Number.isFinite(v) || !Number.isFinite(scaled(v))) return;
      end = [x(steps[j]), y(v)];
      context.lineTo(...end);
    });
    stroke(context, colors[color], dash, 1.6);
    if (end) drawEnd(context, end, colors[color], dash.length > 0);
  });
}

/** Mark where a line ends: before the first step, that is all of it. A ring can lie around a dot. */
function drawEnd(context, [x, y], color, ring) {
  context.beginPath();
  context.arc(x, y, ring ? 3 : 2, 0, 2 * Math.PI);
  context.fillStyle = color;
  if (ring) stroke(context, color, [], 1.2);
  else context.fill();
}

function scale(context, spec, bottom, top, y, width, height, last, ink) {
  context.fillStyle = ink;
  const back = (v) => (spec.logarithmic ? 10 ** v : v);
  context.textAlign = "right";
  const ends = [back(bottom), back(top)];
  const digits = [2, 3, 4].find((count) => short(ends[0], count) !== short(ends[1], count)) ?? 4;
  for (const end of ends) context.fillText(short(end, digits), LEFT - 5, y(end) + 4);
  context.fillText(`step ${last}`, width - 2, height - 2);
  context.textAlign = "left";
  dimmed(context, 0.4, () => {
    for (const mark of [back(bottom), ...(spec.marks || [])]) context.fillRect(LEFT, y(mark), width - LEFT - 4, 0.8);
  });
}

function short(value, digits) {
  const size = Math.abs(value);
  const text = size && (size < 0.01 || size >= 1e4) ? value.toExponential(0) : String(+value.toPrecision(digits));
  return text.replaceAll("-", "−");
}

// ---------------------------------------------------------------------------------------
// The page

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

// ---------------------------------------------------------------------------------------
// Drawing a distribution by hand, with the pointer or with the keyboard

const DRAWING =
  "Drag across the picture, and let go to train on what you drew. By keyboard: arrow keys move, " +
  "Space leaves a point, Enter is done, Escape gives up.";

function drawingButton(parts, button, send) {
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

function drawPad(context, size, head, pad, { ink, real }) {
  const place = plane(head, size);
  dots(context, { data: pad.points.flat() }, place, real, 7);
  const [x, y] = pad.cursor.map((v) => v * size);
  context.strokeStyle = ink;
  context.lineWidth = 1;
  context.strokeRect(x - 6, y - 6, 12, 12);
}

// ---------------------------------------------------------------------------------------
// The wall: every run in small, a button each

function buildWall(parts, runs, send) {
  const box = make("div", { className: "gan-wall", role: "group", ariaLabel: "All runs" });
  box.style.setProperty("--gan-columns", Math.ceil(Math.sqrt(runs)));
  for (let run = 0; run < runs; run++) {
    const canvas = make("canvas", {});
    const [value, state] = [make("span", {}), make("span", {})];
    const lift = () => {
      send({ kind: "lift", run });
      showLifted(parts, run);
    };
    const button = make("button", { onclick: lift }, canvas, value, state);
    box.append(button);
    parts.wall.push({ button, canvas, value, state });
  }
  return make("div", { className: "gan-runs" }, box, parts.wallNote);
}

function showLifted(parts, lifted) {
  parts.wall.forEach(({ button }, run) => button.setAttribute("aria-pressed", String(run === lifted)));
}

function drawWall(parts, head, arrays, colors, due, spoken) {
  if (!arrays.wall) return;
  const [, samples, axes] = arrays.wall.shape;
  const rate = { discriminator_rate: "rate of D", generator_rate: "rate of G" }[head.along];
  write(parts.wallNote, wallNote(head, parts.wall.length, rate));
  parts.wall.forEach((tile, run) => {
    if (!due(run)) return;
    const { button, canvas, value, state } = tile;
    const { context, width } = surface(canvas, 1);
    const place = plane(head, width);
    const own = arrays.wall.data.subarray(run * samples * axes, (run + 1) * samples * axes);
    const some = arrays.real ? arrays.real.data.subarray(0, 80 * axes) : [];
    if (axes === 2) {
      dimmed(context, 0.4, () => dots(context, { data: some }, place, colors.real, 1.5));
      dots(context, { data: own }, place, colors.fake, 1.8);
    } else {
      rug(context, { data: some }, place.x, width / 2 - 8, colors.real);
      rug(context, { data: own }, place.x, width / 2, colors.fake);
    }
    const covered = arrays.covered ? `${Math.round(arrays.covered.data[run])} of ${head.modes}` : "";
    const stopped = head.stopped.includes(run);
    write(value, head.tiles[run] ?? "");
    write(state, stopped ? "stopped" : covered);
    if (tile.spoken !== spoken) {
      tile.spoken = spoken;
      const says = [`Run ${run + 1}`, rate && `${rate} ${head.tiles[run]}`, covered && `${covered} modes`, stopped && "stopped"];
      button.ariaLabel = button.title = says.filter(Boolean).join(", ");
    }
  });
}

/** What the tiles differ in, and what is written under them. */
function wallNote(head, runs, rate) {
  const modes = head.modes ? "modes covered" : "";
  if (!rate) return `${runs} runs that differ in their seed${modes && `; below each, the ${modes}`}. Click one to lift it.`;
  const below = [`its ${rate}`, modes && `the ${modes}`].filter(Boolean).join(" and ");
  return `${runs} runs from the same weights; below each, ${below}. Click one to lift it.`;
}

/** Say what a control does, in the help line and to a screen reader. */
function explain(parts, element, text, link) {
  element.setAttribute("aria-description", text);
  const tell = () => {
    parts.help.replaceChildren(text, ...(link ? [" ", link()] : []));
  };
  element.addEventListener("focusin", tell);
  element.addEventListener("pointerenter", tell);
}

function chapterLink(control) {
  const text = `Chapter ${control.chapter}.`;
  if (!control.link) return text;
  return make("a", { href: control.link, target: "_blank", rel: "noopener", textContent: text });
}

function controls(parts, page, send) {
  const box = make("div", { className: "gan-controls" });
  const groups = new Map();
  for (const control of page.controls) {
    if (!groups.has(control.group)) {
      const legend = make("legend", { textContent: control.group });
      groups.set(control.group, make("fieldset", {}, legend));
      box.append(groups.get(control.group));
    }
    groups.get(control.group).append(controlRow(parts, control, send));
  }
  return box;
}

function controlRow(parts, control, send) {
  const output = make("span", { className: "gan-value" });
  const change = (value) => send({ kind: "set", values: { [control.name]: value } });
  const build = control.menu ? menu : control.options.length > 100 ? numberBox : slider;
  const { input, set, held } = build(control, output, change);
  input.setAttribute("data-control", control.name);
  parts.values.set(control.name, { set, held, input });
  const row = make("label", { className: "gan-control" }, make("span", { textContent: control.label }), input, output);
  row.title = control.help;
  explain(parts, input, control.help, () => chapterLink(control));
  row.addEventListener("pointerenter", () => parts.help.replaceChildren(control.help, " ", chapterLink(control)));
  return row;
}

function menu(control, output, change) {
  const input = make("select", {});
  const add = (option, i) => input.append(make("option", { value: i, textContent: control.labels[i] ?? option }));
  const options = [...control.options];
  options.forEach(add);
  input.onchange = () => change(options[+input.value]);
  const set = (value) => {
    if (!options.includes(value)) add(value, options.push(value) - 1); // "drawn", once it is
    const at = options.indexOf(value);
    if (+input.value !== at) input.value = at; // an open list is left alone
  };
  return { input, set, held: () => false };
}

/** A slider runs over the stops; between them, the nearest stands for a value set in Python. */
function slider(control, output, change) {
  const input = make("input", { type: "range", min: 0, max: control.options.length - 1, step: 1 });
  const label = (text) => {
    write(output, text);
    if (input.getAttribute("aria-valuetext") !== text) input.setAttribute("aria-valuetext", text);
  };
  let dragged = false;
  input.onpointerdown = () => (dragged = true);
  input.onpointerup = input.onlostpointercapture = input.onblur = () => (dragged = false);
  input.oninput = () => {
    label(control.labels[+input.value]);
    change(control.options[+input.value]);
  };
  const set = (value) => {
    const off = control.options.map((option) => Math.abs(option - value));
    input.value = off.indexOf(Math.min(...off));
    const exact = control.options.indexOf(value);
    label(exact < 0 ? String(value) : control.labels[exact]);
  };
  return { input, set, held: () => dragged };
}

function numberBox(control, output, change) {
  const [least, most] = [control.options[0], control.options[control.options.length - 1]];
  const input = make("input", { type: "number", min: least, max: most, step: 1 });
  let typing = false; // not yet sent
  input.oninput = () => (typing = true);
  input.onblur = () => (typing = false);
  input.onchange = () => {
    typing = false;
    if (input.value !== "") change(Math.round(Number(input.value))); // no number: it stays as it was
  };
  const set = (value) => {
    if (input.value !== String(value)) input.value = value;
  };
  return { input, set, held: () => typing };
}

function layerBoxes(parts, page, send) {
  const box = make("fieldset", { className: "gan-layers" }, make("legend", { textContent: "Layers" }));
  const chosen = () => [...parts.layers].filter(([, input]) => input.checked).map(([name]) => name);
  for (const [name, help] of Object.entries(page.layers)) {
    const input = make("input", { type: "checkbox", onchange: () => send({ kind: "layers", layers: chosen() }) });
    parts.layers.set(name, input);
    const label = { optimal: "D*", belief: "D(x)" }[name] || name;
    const row = make("label", { title: help }, input, make("span", { className: `gan-key gan-${name}` }), label);
    explain(parts, input, help);
    row.addEventListener("pointerenter", () => parts.help.replaceChildren(help));
    box.append(row);
  }
  return box;
}

function curveBoxes(parts) {
  const box = make("div", { className: "gan-curves" });
  for (const spec of CURVES) {
    const canvas = make("canvas", { role: "img", ariaLabel: spec.title });
    const keys = spec.lines.map(({ label, color, dash }) => {
      if (!label) return make("span"); // the title says it
      const key = make("span", { className: "gan-line" });
      key.style.borderTop = `2px ${dash ? "dashed" : "solid"} var(--gan-${color})`;
      return make("span", { className: "gan-label" }, key, label);
    });
    const caption = make("figcaption", {}, make("b", { textContent: spec.title }), ...keys);
    const figure = make("figure", {}, caption, canvas);
    parts.curves.push({ spec, canvas, figure, keys });
    box.append(figure);
  }
  return box;
}

// ---------------------------------------------------------------------------------------
// Drawing one picture

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

function drawCurves(parts, head, arrays, colors) {
  const { shape, data } = arrays.curves;
  const row = (name) => data.subarray(head.curves.indexOf(name) * shape[1], (head.curves.indexOf(name) + 1) * shape[1]);
  for (const { spec, canvas, figure, keys } of parts.curves) {
    const rows = spec.lines.map(({ name }) => row(name));
    // A quantity that is no longer measured (V, say, once D is a critic) leaves the page.
    rows.forEach((values, i) => (keys[i].hidden = shape[1] > 0 && !Number.isFinite(values[shape[1] - 1])));
    figure.hidden = keys.every((key) => key.hidden);
    if (!figure.hidden) drawCurve(canvas, { ...spec, high: spec.title === "modes covered" ? head.modes : spec.high }, row("step"), rows, colors);
  }
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

/** Changing a text makes a screen reader speak, so only if it is another one. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
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

// ---------------------------------------------------------------------------------------
// In JupyterLab

/** Draw the newest picture at the browser's pace; those it could not follow are dropped. */
function renderLoop(view, acknowledge) {
  let newest = null;
  let request = 0;
  const frame = () => {
    request = 0;
    const { head, buffer } = newest;
    view.show(head, decode(head.layout, buffer));
    acknowledge(head.number);
  };
  const stop = () => {
    cancelAnimationFrame(request);
    request = 0;
  };
  return {
    take(head, buffer) {
      newest = { head, buffer };
      request ||= requestAnimationFrame(frame);
    },
    /** Draw what has come, and no more. */
    finish() {
      if (!request) return;
      stop();
      frame();
    },
    stop,
  };
}

/** Acknowledge now and then, and always the last one. */
function acknowledger(send) {
  let last = 0;
  let timer = 0;
  const acknowledge = (number) => {
    clearTimeout(timer);
    const now = () => {
      last = number;
      send({ kind: "acknowledge", number });
    };
    if (Math.abs(number - last) >= ACKNOWLEDGE_EVERY) now();
    else timer = setTimeout(now, ACKNOWLEDGE_MS);
  };
  return { acknowledge, quiet: () => clearTimeout(timer) };
}

function onThemeChange(redraw) {
  const observer = new MutationObserver(() => requestAnimationFrame(redraw));
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  return observer;
}


function render({ model, el }) {
  const send = (message) => model.send(message);
  const view = mount(el, model.get("page"), send);
  const { acknowledge, quiet } = acknowledger(send);
  const loop = renderLoop(view, acknowledge);
  const receive = (head, buffers) => {
    if (head.kind === "frame") loop.take(head, buffers[0]);
    if (head.kind === "end") end(head.text);
  };
  const end = (text) => {
    loop.finish();
    quiet(); // nobody is left to hear it
    view.end(text);
  };
  model.on("msg:custom", receive);
  // It was closed, or its kernel has gone.
  const leave = () => {
    model.off("msg:custom", receive);
    end("This lab has ended. Run its cell again.");
  };
  model.on("destroy", leave);
  model.on("comm_live_update", leave);
  const themes = onThemeChange(view.redraw);
  const sizes = new ResizeObserver(() => requestAnimationFrame(view.redraw));
  sizes.observe(view.lab);
  send({ kind: "hello" });
  return () => {
    loop.stop();
    quiet();
    themes.disconnect();
    sizes.disconnect();
    model.off("msg:custom", receive);
    model.off("destroy", leave);
    model.off("comm_live_update", leave);
  };
}

// ---------------------------------------------------------------------------------------
// Without a kernel: a recording, with a time scrubber; `replay.py` writes it

const ARRAYS = {
  real: ["real", "p"],
  generated: ["fake", "q"],
  belief: ["belief"],
  manifold: ["mesh", "thread", "ladder"],
  arrows: ["arrows"],
  optimal: ["optimal"],
};
const PICTURE_MS = 100;

async function unpacked(block) {
  const bytes = Uint8Array.from(atob(block), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** The pictures of a recording, each with the part of the curves that it had. */
async function pictures({ heads, curves, block }) {
  const buffer = await unpacked(block);
  let start = 0;
  const part = ({ layout, bytes }) => {
    const arrays = decode(layout, new DataView(buffer, start, bytes));
    start += bytes;
    return arrays;
  };
  const frames = heads.map((head) => ({ head, arrays: part(head) }));
  const whole = part(curves).curves;
  frames.forEach(({ head, arrays }) => (arrays.curves = until(whole, head.step)));
  return frames;
}

/** The curves up to a step. */
function until({ shape: [rows, columns], data }, step) {
  const found = data.subarray(0, columns).findIndex((s) => s > step);
  const kept = found < 0 ? columns : found;
  const cut = new Float32Array(rows * kept);
  for (let row = 0; row < rows; row++) cut.set(data.subarray(row * columns, row * columns + kept), row * kept);
  return { shape: [rows, kept], data: cut };
}

/** Play a recording inside `root`. */
export async function replay(root, recording) {
  const frames = await pictures(recording);
  const state = { at: 0, timer: 0, layers: frames[0].head.layers };
  const view = mount(root, recording.page, (message) => {
    if (message.kind === "layers") state.layers = message.layers;
    show();
  });
  const { scrubber, play } = timeline(frames.length, move, toggle);
  view.lab.prepend(make("div", { className: "gan-bar" }, play, scrubber));

  function move(at) {
    state.at = at;
    show();
  }

  function show() {
    const { head, arrays } = frames[state.at];
    const hidden = Object.keys(ARRAYS).filter((name) => !state.layers.includes(name));
    const shown = { ...arrays };
    for (const array of hidden.flatMap((name) => ARRAYS[name])) delete shown[array];
    scrubber.value = state.at;
    scrubber.setAttribute("aria-valuetext", `step ${head.step}`);
    view.show({ ...head, layers: state.layers }, shown);
  }

  function toggle() {
    if (state.timer) stop();
    else {
      if (state.at === frames.length - 1) move(0);
      state.timer = setInterval(advance, PICTURE_MS);
      play.textContent = "Pause";
    }
  }

  function advance() {
    move(state.at + 1);
    if (state.at === frames.length - 1) stop();
  }

  function stop() {
    clearInterval(state.timer);
    state.timer = 0;
    play.textContent = "Play";
  }

  followTheme(view.redraw);
  new ResizeObserver(() => requestAnimationFrame(view.redraw)).observe(view.lab);
  for (const [name, input] of view.parts.layers) {
    input.parentElement.hidden = !frames[0].head.layers.includes(name); // not recorded
  }
  show();
}

/** Follow the system's colour scheme or, where it has chosen one, that of the page around us. */
function followTheme(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let page;
  try {
    page = parent.document;
  } catch {
    return; // of another origin, as is every file on a disk
  }
  const follow = () => {
    const chosen = page.querySelector("html[data-theme], body[data-theme]")?.dataset.theme;
    document.documentElement.style.colorScheme = ["light", "dark"].includes(chosen) ? chosen : "";
    redraw();
  };
  const observer = new MutationObserver(follow);
  for (const element of [page.documentElement, page.body]) {
    observer.observe(element, { attributes: true, attributeFilter: ["data-theme"] });
  }
  follow();
}

function timeline(length, move, toggle) {
  const scrubber = make("input", { type: "range", min: 0, max: length - 1, value: 0, className: "gan-time" });
  scrubber.ariaLabel = "time";
  scrubber.oninput = () => move(Number(scrubber.value));
  return { scrubber, play: make("button", { textContent: "Play", onclick: toggle }) };
}

export default { render };
