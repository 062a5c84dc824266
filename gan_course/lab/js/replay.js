// Without a kernel: a recording, with a time scrubber; `replay.py` writes it.

import { decode, make } from "./basics.js";
import { mount } from "./page.js";

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
