// What the other parts share: elements, colours, strokes, and numbers from bytes.

const FADED = 0.25;
const FOCUSABLE = new Set(["a", "button", "canvas", "input", "select"]);

/** Make an element; text goes in as text, so nothing in it is ever read as HTML. */
export function make(tag, attributes = {}, ...children) {
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
export function surface(canvas, ratio) {
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
export function theme(element) {
  const style = getComputedStyle(element);
  const paper = style.backgroundColor;
  element.classList.toggle("gan-dark", channels(paper).reduce((sum, c) => sum + c) < 384);
  const [real, fake, judge, mesh] = ["real", "fake", "judge", "mesh"].map((name) => style.getPropertyValue(`--gan-${name}`));
  return { ink: style.color, paper, font: style.fontFamily, real, fake, judge, mesh };
}

export function channels(color) {
  if (color.startsWith("#")) {
    return [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  }
  return (color.match(/[\d.]+/g) || [255, 255, 255]).slice(0, 3).map(Number);
}

export function arrow(context, x, y, dx, dy, head) {
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
export function painter(context, head) {
  return (name, array, paint) => {
    if (!array) return;
    const faded = head.piece && !head.piece.highlight.includes(name);
    dimmed(context, faded ? FADED : 1, () => paint(context, array));
  };
}

/** Paint with a share of the present opacity. */
export function dimmed(context, share, paint) {
  const whole = context.globalAlpha;
  context.globalAlpha = share * whole;
  paint();
  context.globalAlpha = whole;
}

export function stroke(context, color, dash, width) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}

/** Changing a text makes a screen reader speak, so only if it is another one. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
