// The curves over the steps.

import { dimmed, make, stroke, surface } from "./basics.js";

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

export function curveBoxes(parts) {
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

export function drawCurves(parts, head, arrays, colors) {
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
