// Plays recorded trainings: k and the loss choose which, the time slider what moment of it.
// `book/player.py` writes the page and the recordings; each is loaded when it is wanted, by a
// script element, since a page on a disk may not fetch.
(() => {
  const REAL = "#0072b2", FAKE = "#d55e00", INK = "#222", PAPER = "#fff";
  const OUTSIDE = 255, TOP = 254;
  const root = document.querySelector(".trainings");
  const about = JSON.parse(root.dataset.about);
  const find = (place) => root.querySelector(place);
  const [k, loss, moment, play, said, main] =
    [".k", ".loss", ".moment", ".play", ".said", ".main"].map(find);
  const tiles = [...root.querySelectorAll(".wall button")];
  const curves = [...root.querySelectorAll(".curves canvas")];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const known = new Map(); // recordings by file, as promises
  const waiting = new Map();
  const state = { shown: null, run: 0, timer: 0, turn: 0 };

  // --- Recordings ---------------------------------------------------------------------------

  window.recordedTraining = (file, data) => waiting.get(file)(data);

  function recording(file) {
    if (!known.has(file)) {
      const loaded = new Promise((resolve, reject) => {
        const script = document.createElement("script");
        waiting.set(file, resolve);
        script.onerror = () => {
          known.delete(file);
          reject(new Error(file));
        };
        script.src = `_static/trainings/${file}`;
        document.head.append(script);
      });
      known.set(file, loaded.then(unpacked));
    }
    return known.get(file);
  }

  async function unpacked(data) {
    const bytes = Uint8Array.from(atob(data.block), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const all = new Uint8Array(await new Response(stream).arrayBuffer());
    const points = about.steps.length * about.runs * about.points * 2;
    return { ...data, points: all.subarray(0, points), belief: all.subarray(points) };
  }

  /** The part of an array that belongs to one moment and run. */
  function part(array, at, run) {
    const length = array.length / about.steps.length / about.runs;
    return array.subarray((at * about.runs + run) * length, (at * about.runs + run + 1) * length);
  }

  // --- Pictures -----------------------------------------------------------------------------

  function surface(canvas) {
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    return { context, width, height };
  }

  function eachPoint(points, size, visit) {
    for (let i = 0; i < points.length; i += 2) {
      if (points[i] < OUTSIDE) visit((points[i] / TOP) * size, size - (points[i + 1] / TOP) * size);
    }
  }

  const mix = (color, share) => [1, 3, 5].map((i) => 255 + share * (parseInt(color.slice(i, i + 2), 16) - 255));

  /** D's belief: its first row is the lowest, its points lie on the border, too. */
  function paintBelief(context, belief, size) {
    const side = about.side;
    const image = new ImageData(side, side);
    belief.forEach((value, i) => {
      const lean = value / 127.5 - 1;
      const color = mix(lean < 0 ? FAKE : REAL, 0.5 * Math.abs(lean));
      image.data.set([...color, 255], 4 * ((side - 1 - Math.floor(i / side)) * side + (i % side)));
    });
    const small = new OffscreenCanvas(side, side);
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingQuality = "high";
    const half = size / (side - 1) / 2;
    context.drawImage(small, -half, -half, size + 2 * half, size + 2 * half);
  }

  /** The line on which D is undecided, cell by cell. */
  function traceHalf(context, belief, size) {
    const side = about.side;
    const step = size / (side - 1);
    const at = (column, row) => belief[row * side + column] - 127.5;
    context.beginPath();
    for (let row = 0; row < side - 1; row++) {
      for (let column = 0; column < side - 1; column++) {
        const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
        let started = false;
        corners.forEach((a, i) => {
          const b = corners[(i + 1) % 4];
          const [u, v] = [at(...a), at(...b)];
          if (u > 0 === v > 0) return;
          const share = u / (u - v);
          const [x, y] = [0, 1].map((axis) => (a[axis] + share * (b[axis] - a[axis])) * step);
          if (started) context.lineTo(x, size - y);
          else context.moveTo(x, size - y);
          started = !started;
        });
      }
    }
    Object.assign(context, { strokeStyle: INK, lineWidth: 1 });
    context.stroke();
  }

  function drawRun(canvas, at, run, large) {
    const { context, width: size } = surface(canvas);
    const belief = part(state.shown.belief, at, run);
    paintBelief(context, belief, size);
    if (large) traceHalf(context, belief, size);
    context.fillStyle = REAL;
    const dot = large ? 1.8 : 1;
    eachPoint(about.real, size, (x, y) => context.fillRect(x - dot, y - dot, 2 * dot, 2 * dot));
    const arm = large ? 3.4 : 1.7;
    context.beginPath();
    eachPoint(part(state.shown.points, at, run), size, (x, y) => {
      context.moveTo(x - arm, y - arm);
      context.lineTo(x + arm, y + arm);
      context.moveTo(x - arm, y + arm);
      context.lineTo(x + arm, y - arm);
    });
    if (large) {
      Object.assign(context, { strokeStyle: PAPER, lineWidth: 3 });
      context.stroke();
    }
    Object.assign(context, { strokeStyle: FAKE, lineWidth: large ? 1.5 : 1 });
    context.stroke();
  }

  /** Lines over the steps: `lines` has names of the recording's numbers, colours and dashes. */
  function drawCurve(canvas, at, low, high, lines) {
    const { context, width, height } = surface(canvas);
    const [left, bottom] = [34, 16];
    const last = about.steps.length - 1;
    const x = (i) => left + (i / last) * (width - left - 6);
    const y = (v) => height - bottom - ((v - low) / (high - low)) * (height - bottom - 8);
    Object.assign(context, { font: "11px system-ui, sans-serif", fillStyle: INK, textAlign: "right" });
    for (const end of [low, high]) context.fillText(short(end), left - 5, y(end) + 4);
    context.fillText(`step ${about.steps[last]}`, width - 6, height - 3);
    context.fillStyle = "#bbb";
    context.fillRect(left, y(low), width - left - 6, 1);
    context.fillRect(x(at), 4, 1, height - bottom - 4);
    // The chosen seed last, above the others.
    const order = [...Array(about.runs).keys()].sort((a, b) => (a === state.run) - (b === state.run));
    for (const { name, color, dash } of lines) {
      for (const run of order) {
        context.beginPath();
        for (let i = 0; i <= last; i++) {
          const value = state.shown[name][i * about.runs + run];
          if (value !== null) context.lineTo(x(i), y(value));
        }
        context.setLineDash(dash);
        context.globalAlpha = run === state.run ? 1 : 0.35;
        Object.assign(context, { strokeStyle: color, lineWidth: run === state.run ? 2.2 : 1 });
        context.stroke();
      }
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  const short = (value) => String(+value.toPrecision(3)).replace("-", "−");

  function draw() {
    if (!state.shown) return;
    const at = Number(moment.value);
    drawRun(main, at, state.run, true);
    tiles.forEach((tile, run) => {
      drawRun(tile.firstChild, at, run, false);
      const modes = number("modes", at, run);
      tile.lastChild.textContent = `${modes} modes`;
      tile.setAttribute("aria-label", `Seed ${run + 1}, ${modes} modes`);
      tile.setAttribute("aria-pressed", String(run === state.run));
    });
    const both = [...state.shown.real, ...state.shown.fake].filter((v) => v !== null);
    const range = probability() ? [0, 1] : [Math.min(...both), Math.max(...both)];
    drawCurve(curves[0], at, 0, 8, [{ name: "modes", color: FAKE, dash: [] }]);
    drawCurve(curves[1], at, 0, 1, [{ name: "high_quality", color: FAKE, dash: [] }]);
    drawCurve(curves[2], at, ...range, [
      { name: "real", color: REAL, dash: [] },
      { name: "fake", color: FAKE, dash: [5, 3] },
    ]);
  }

  // --- Words --------------------------------------------------------------------------------

  const number = (name, at, run) => state.shown[name][at * about.runs + run];
  const probability = () => about.probability[state.loss];

  function tell() {
    const at = Number(moment.value);
    const text = `${about.steps[at]}`;
    moment.nextElementSibling.textContent = text;
    moment.setAttribute("aria-valuetext", text);
    if (!state.shown) return;
    const full = [...Array(about.runs).keys()].filter((run) => number("modes", at, run) === 8).length;
    const [real, fake] = ["real", "fake"].map((name) => number(name, at, state.run));
    const says = [real, fake].map((v) => (v === null ? "not finite" : v.toFixed(2).replace("-", "−")));
    const words =
      `k = ${about.k[state.k]}, ${about.losses[state.loss]}, step ${about.steps[at]}. ` +
      `Seed ${state.run + 1}: ${number("modes", at, state.run)} of 8 modes, ` +
      `${Math.round(100 * number("high_quality", at, state.run))} % HQ, ` +
      `D averages ${says[0]} on real and ${says[1]} on generated samples. ` +
      `All 8 modes: ${full} of ${about.runs} seeds.`;
    main.setAttribute("aria-label", `Real and generated samples with D's belief. ${words}`);
    // While it plays, a screen reader would never come to an end.
    said.setAttribute("aria-live", state.timer ? "off" : "polite");
    if (said.textContent !== words) said.textContent = words;
    find(".judge").textContent = probability()
      ? "D(x), solid, and D(G(z)), dashed"
      : "D's score: real, solid, and generated, dashed";
  }

  const show = () => {
    tell();
    draw();
  };

  // --- What the reader does -----------------------------------------------------------------

  async function choose() {
    const [row, column, mine] = [loss.selectedIndex, Number(k.value), ++state.turn];
    k.nextElementSibling.textContent = about.k[column];
    k.setAttribute("aria-valuetext", String(about.k[column]));
    root.setAttribute("aria-busy", "true");
    const found = await recording(about.files[row][column]).catch(() => null);
    if (mine !== state.turn) return;
    root.removeAttribute("aria-busy");
    if (!found) {
      state.shown = null;
      pause();
      said.textContent = "This recording could not be loaded.";
    }
    Object.assign(state, { shown: found, loss: row, k: column });
    root.classList.toggle("empty", !found);
    if (found) show();
  }

  function pause() {
    clearInterval(state.timer);
    state.timer = 0;
    play.textContent = "Play";
  }

  function advance() {
    if (Number(moment.value) >= about.steps.length - 1) pause();
    else moment.value = Number(moment.value) + 1;
    show();
  }

  play.onclick = () => {
    if (state.timer) pause();
    else {
      if (Number(moment.value) >= about.steps.length - 1) moment.value = 0;
      state.timer = setInterval(advance, calm.matches ? 1000 : 150);
      play.textContent = "Pause";
    }
    show();
  };
  k.oninput = loss.onchange = choose;
  moment.oninput = () => {
    pause();
    show();
  };
  tiles.forEach((tile, run) => {
    tile.onclick = () => {
      state.run = run;
      show();
    };
  });
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(root);
  choose();
})();
