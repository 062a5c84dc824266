// What is larger than its slide is set smaller: a wide formula by itself, else the whole slide.
(() => {
  "use strict";
  const pixels = (node) => parseFloat(getComputedStyle(node).fontSize);

  async function fit(slide) {
    // Until a picture is there, its words in place of it take room.
    await Promise.allSettled([...slide.querySelectorAll("img")].map((picture) => picture.decode()));
    slide.style.fontSize = "";
    for (const formula of slide.querySelectorAll("div.math")) {
      formula.style.fontSize = "";
      const set = formula.querySelector("mjx-math");
      const share = set ? formula.getBoundingClientRect().width / set.getBoundingClientRect().width : 1;
      if (share < 1) formula.style.fontSize = `${pixels(formula) * share * 0.99}px`;
    }
    // Smaller letters break lines elsewhere, so that one step may not be enough.
    const end = () => Math.max(...[...slide.children].map((part) => part.offsetTop + part.offsetHeight));
    for (let step = 0; step < 20 && end() > slide.clientHeight + 1; step++)
      slide.style.fontSize = `${pixels(slide) * 0.96}px`;
    slide.dataset.fits = "";
  }

  addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    const shown = () => fit(Reveal.getCurrentSlide());
    Reveal.on("slidechanged", shown);
    Reveal.isReady() ? shown() : Reveal.on("ready", shown);
  });
})();
