// What the reader moves: sliders, menus, boxes, each with its help.

import { make, write } from "./basics.js";

/** Say what a control does, in the help line and to a screen reader. */
export function explain(parts, element, text, link) {
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

export function controls(parts, page, send) {
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

export function layerBoxes(parts, page, send) {
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
