// What is wider than the page is scrolled in its own box: the keyboard has to get there, too.
const BOXES = "pre, div.math, .table-wrapper, .cell_output, .cell_output > *, mjx-container";

function reach() {
  for (const box of document.querySelectorAll(`article :is(${BOXES})`)) {
    const scrolls = getComputedStyle(box).overflowX === "auto" && box.scrollWidth > box.clientWidth;
    if (scrolls) box.tabIndex = 0;
    else if (box.tabIndex === 0) box.removeAttribute("tabindex");
  }
}

// At the start, and when the window, a font or a formula has changed what fits.
addEventListener("load", () => new ResizeObserver(reach).observe(document.querySelector("article")));
