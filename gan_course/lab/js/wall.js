// The wall: every run in small, a button each.

import { dimmed, make, surface, write } from "./basics.js";
import { rug } from "./line.js";
import { dots, plane } from "./plane.js";

export function buildWall(parts, runs, send) {
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

export function showLifted(parts, lifted) {
  parts.wall.forEach(({ button }, run) => button.setAttribute("aria-pressed", String(run === lifted)));
}

export function drawWall(parts, head, arrays, colors, due, spoken) {
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
