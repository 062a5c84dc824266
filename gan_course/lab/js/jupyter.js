// In JupyterLab: pictures come from the kernel, messages go to it.

import { decode } from "./basics.js";
import { mount } from "./page.js";

// At each message JupyterLab swaps the page's icon for that of a busy kernel, and Chromium keeps
// some 40 KB of every swap. So acknowledge seldom (half of the window in `view.py`), and the last.
const ACKNOWLEDGE_EVERY = 36;
const ACKNOWLEDGE_MS = 1000;

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

export function render({ model, el }) {
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
