// A widget of sliders without a kernel: at each place, the picture that was drawn there in advance.
// It is loaded when it is wanted; until it is there, the one before is dimmed. A picture that comes
// after the reader has moved on is not shown.
for (const figure of document.querySelectorAll("figure.sliders")) {
  const { folder, alt, names, places, pictures } = JSON.parse(figure.dataset.sketch);
  const inputs = [...figure.querySelectorAll("input, select")];
  const image = figure.querySelector("img");
  const about = figure.querySelector(".about");
  const text = about.textContent;
  let turn = 0;

  const stop = (input) => (input.matches("select") ? input.selectedIndex : Number(input.value));
  // Row by row: the last control's places stand beside one another.
  const picture = (stops) => pictures[stops.reduce((place, at, i) => place * places[i].length + at, 0)];
  const address = (stops) => `${folder}/${picture(stops)}.webp`;

  async function show() {
    const stops = inputs.map(stop);
    const values = stops.map((at, i) => places[i][at]);
    inputs.forEach((input, i) => {
      if (input.matches("select")) return;
      input.setAttribute("aria-valuetext", values[i]);
      input.nextElementSibling.textContent = values[i];
    });
    const mine = ++turn;
    const next = new Image();
    next.src = address(stops);
    figure.setAttribute("aria-busy", "true");
    const came = await next.decode().then(() => true, () => false);
    if (mine !== turn) return;
    figure.removeAttribute("aria-busy");
    about.textContent = came ? text : "This picture could not be loaded.";
    image.hidden = !came;
    image.src = address(stops);
    image.alt = `${alt.replace(/\.?$/, ".")} Here ${names.map((name, i) => `${name} is ${values[i]}`).join(", ")}.`;
  }

  // What the next press of a key would show is fetched while this picture is looked at.
  function fetchNext(input) {
    for (const way of [-1, 1]) {
      const stops = inputs.map((other) => stop(other) + (other === input ? way : 0));
      const there = stops[inputs.indexOf(input)];
      if (there >= 0 && there < places[inputs.indexOf(input)].length) new Image().src = address(stops);
    }
  }

  for (const input of inputs) {
    input.addEventListener("input", async () => {
      await show();
      fetchNext(input);
    });
  }
  image.decoding = "sync";
  figure.querySelector(".controls").hidden = false;
}
