"""Each fault planted into the lab's page makes a test of what it draws or says fail.

A plant is an edit of the page's code, found by its pattern; white space in it stands for any.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import test_lab_drawing as drawing
import test_lab_echo as echo
from jupyter_browser import browser
from lab_page import Stage, stage
from playwright.sync_api import Error, expect

from gan_course.lab import front

pytestmark = pytest.mark.browser


class Plant(NamedTuple):
    """What to write for what, and the test that must notice, with its arguments."""

    old: str
    new: str
    test: Callable[..., None]
    arguments: tuple[Any, ...] = ()


FAULTS = {
    "a surface upside down": Plant(
        "(side - 1 - row) * side + column",
        "row * side + column",
        drawing.test_a_surface_lies_the_right_way_round_in_its_colours,
        (
            "belief",
            40,
        ),
    ),
    "a surface mirrored": Plant(
        "(side - 1 - row) * side + column",
        "(side - 1 - row) * side + (side - 1 - column)",
        drawing.test_a_surface_lies_the_right_way_round_in_its_colours,
        (
            "belief",
            40,
        ),
    ),
    "a surface transposed": Plant(
        "const value = data[row * side + column]",
        "const value = data[column * side + row]",
        drawing.test_a_surface_lies_the_right_way_round_in_its_colours,
        (
            "belief",
            40,
        ),
    ),
    "the colours of a surface reversed": Plant(
        "const ends = [fake, paper, real]",
        "const ends = [real, paper, fake]",
        drawing.test_a_surface_lies_the_right_way_round_in_its_colours,
        (
            "belief",
            40,
        ),
    ),
    "a surface paler": Plant(
        "const SHADE = 0.5",
        "const SHADE = 0.4",
        drawing.test_a_surface_lies_the_right_way_round_in_its_colours,
        (
            "belief",
            40,
        ),
    ),
    "a surface not centred on its points": Plant(
        "centred ? size / (side - 1) / 2 : 0",
        "0",
        drawing.test_d_is_painted_from_edge_to_edge_and_smoothly_between_its_points,
    ),
    "cells of D* blurred": Plant(
        "imageSmoothingEnabled = centred",
        "imageSmoothingEnabled = true",
        drawing.test_the_cells_of_d_star_are_sharp_and_empty_ones_are_paper,
    ),
    "D in place of D*": Plant(
        'arrays.optimal ? "optimal" : "belief"',
        'arrays.belief ? "belief" : "optimal"',
        drawing.test_d_star_is_painted_in_place_of_d_whose_border_stays,
    ),
    "no number painted as generated": Plant(
        "if (!(value >= 0)) continue;",
        "",
        drawing.test_the_cells_of_d_star_are_sharp_and_empty_ones_are_paper,
    ),
    "the border upside down": Plant(
        "size - (row + cuts[i][1]) * step",
        "(row + cuts[i][1]) * step",
        drawing.test_the_border_runs_where_d_is_one_half,
    ),
    "the border transposed": Plant(
        "data[row * side + column] - 0.5",
        "data[column * side + row] - 0.5",
        drawing.test_the_border_runs_where_d_is_one_half,
    ),
    "the border at 0.4": Plant(
        "data[row * side + column] - 0.5",
        "data[row * side + column] - 0.4",
        drawing.test_the_border_runs_where_d_is_one_half,
    ),
    "the border of half a cell": Plant(
        "values[i] / (values[i] - values[j])",
        "0.5",
        drawing.test_the_border_runs_where_d_is_one_half,
    ),
    "y downwards": Plant(
        "y: (v) => (high - v) * scale",
        "y: (v) => (v - low) * scale",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "x leftwards": Plant(
        "x: (v) => (v - low) * scale",
        "x: (v) => (high - v) * scale",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "dots with their axes exchanged": Plant(
        "place.x(data[i]) - size / 2, place.y(data[i + 1])",
        "place.x(data[i + 1]) - size / 2, place.y(data[i])",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "crosses with their axes exchanged": Plant(
        "const x = place.x(data[i]); const y = place.y(data[i + 1]);",
        "const x = place.x(data[i + 1]); const y = place.y(data[i]);",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "real and generated exchanged": Plant(
        'layer("real", arrays.real, (c, a) => dots(',
        'layer("real", arrays.fake, (c, a) => dots(',
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "real dots in the colour of generated": Plant(
        "dots(c, a, place, colors.real, 2.6)",
        "dots(c, a, place, colors.fake, 2.6)",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "crosses in the colour of real": Plant(
        "crosses(c, a, place, colors.fake",
        "crosses(c, a, place, colors.real",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "dots twice as large": Plant(
        "colors.real, 2.6)",
        "colors.real, 5.2)",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "mesh with its axes exchanged": Plant(
        "place.x(data[2 * (i * side + j)]), place.y(data[2 * (i * side + j) + 1])",
        "place.x(data[2 * (i * side + j) + 1]), place.y(data[2 * (i * side + j)])",
        drawing.test_the_mesh_has_its_corners_and_is_darker_where_it_is_dense,
    ),
    "mesh darker where it is thin": Plant(
        "/ (area(cell) + 1))",
        "* (area(cell) + 1) / 1e6)",
        drawing.test_the_mesh_has_its_corners_and_is_darker_where_it_is_dense,
    ),
    "mesh without its last row": Plant(
        "i < side - 1; i++) { for (let j = 0; j < side - 1",
        "i < side - 2; i++) { for (let j = 0; j < side - 1",
        drawing.test_the_mesh_has_its_corners_and_is_darker_where_it_is_dense,
    ),
    "a thread closed": Plant(
        "context.lineTo(place.x(data[i]), place.y(data[i + 1]));",
        "context.lineTo(place.x(data[i]), place.y(data[i + 1])); context.closePath();",
        drawing.test_a_thread_runs_through_its_points_in_turn,
    ),
    "arrows mirrored in x": Plant(
        "((data[i + 2] / (slope || 1)) * length)",
        "((-data[i + 2] / (slope || 1)) * length)",
        drawing.test_an_arrow_points_along_its_slope_and_its_length_saturates,
    ),
    "arrows mirrored in y": Plant(
        "((-data[i + 3] / (slope || 1)) * length)",
        "((data[i + 3] / (slope || 1)) * length)",
        drawing.test_an_arrow_points_along_its_slope_and_its_length_saturates,
    ),
    "arrows doubled": Plant(
        "(0.1 * place.width * slope) / (slope + half)",
        "(0.2 * place.width * slope) / (slope + half)",
        drawing.test_an_arrow_points_along_its_slope_and_its_length_saturates,
    ),
    "arrows all of one length": Plant(
        "(0.1 * place.width * slope) / (slope + half)",
        "0.1 * place.width",
        drawing.test_an_arrow_points_along_its_slope_and_its_length_saturates,
    ),
    "arrows that never saturate": Plant(
        "(0.1 * place.width * slope) / (slope + half)",
        "0.1 * place.width * slope / (2 * half)",
        drawing.test_an_arrow_points_along_its_slope_and_its_length_saturates,
    ),
    "half an arrow at another slope": Plant(
        "2 / (place.width / place.scale)",
        "1 / (place.width / place.scale)",
        drawing.test_an_arrow_points_along_its_slope_and_its_length_saturates,
    ),
    "an arrow's head at its foot": Plant(
        (
            "context.moveTo(x + dx - head * (u - 0.6 * v), y + dy - head * (v + 0.6 * u)); "
            "context.lineTo(x + dx, y + dy); context.lineTo(x + dx - head * (u + 0.6 * v), "
            "y + dy - head * (v - 0.6 * u));"
        ),
        (
            "context.moveTo(x + head * (u - 0.6 * v), y + head * (v + 0.6 * u)); "
            "context.lineTo(x, y); context.lineTo(x + head * (u + 0.6 * v), y + head * (v -"
            " 0.6 * u));"
        ),
        drawing.test_an_arrow_points_along_its_slope_and_its_length_saturates,
    ),
    "what is spoken of fades": Plant(
        "!head.piece.highlight.includes(name)",
        "head.piece.highlight.includes(name)",
        drawing.test_in_slow_motion_what_is_not_spoken_of_fades,
    ),
    "nothing fades": Plant(
        "dimmed(context, faded ? FADED : 1",
        "dimmed(context, 1",
        drawing.test_in_slow_motion_what_is_not_spoken_of_fades,
    ),
    "light inks on light paper": Plant(
        "c) < 384)",
        "c) > 384)",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "an older picture drawn": Plant(
        "newest = { head, buffer };",
        "newest ??= { head, buffer };",
        drawing.test_of_two_pictures_at_once_the_newer_is_drawn_and_acknowledged,
    ),
    "the older of two pictures drawn": Plant(
        "request ||= requestAnimationFrame(frame);",
        (
            "const first = { head, buffer }; request ||= requestAnimationFrame(() => { "
            "newest = first; frame(); });"
        ),
        drawing.test_of_two_pictures_at_once_the_newer_is_drawn_and_acknowledged,
    ),
    "another picture acknowledged": Plant(
        "acknowledge(head.number);",
        "acknowledge(head.number + 1);",
        drawing.test_of_two_pictures_at_once_the_newer_is_drawn_and_acknowledged,
    ),
    "p drawn as q": Plant(
        '"p_data", arrays.p, colors.real',
        '"p_data", arrays.q, colors.real',
        drawing.test_each_curve_of_the_line_has_its_height_and_its_colour,
        ("p",),
    ),
    "p and q in each other's colour": Plant(
        "arrays.p, colors.real, [2, 3], 2.6",
        "arrays.p, colors.fake, [2, 3], 2.6",
        drawing.test_each_curve_of_the_line_has_its_height_and_its_colour,
        ("p",),
    ),
    "names of p and q exchanged": Plant(
        '["real", "p_data", arrays.p',
        '["real", "p_g", arrays.p',
        drawing.test_the_line_is_drawn_on_its_scale_with_names,
    ),
    "a curve from right to left": Plant(
        "* size; if (Number.isNaN(v))",
        "* -size + size; if (Number.isNaN(v))",
        drawing.test_each_curve_of_the_line_has_its_height_and_its_colour,
        ("p",),
    ),
    "a curve on another scale": Plant(
        "(Math.min(v, top) / top) * (floor - 8)",
        "Math.min(v, 1) * (floor - 8)",
        drawing.test_each_curve_of_the_line_has_its_height_and_its_colour,
        ("p",),
    ),
    "a gap bridged": Plant(
        'if (Number.isNaN(v)) pen = "moveTo"; else',
        "if (!Number.isNaN(v))",
        drawing.test_d_star_of_the_line_has_gaps_where_nothing_is_known,
    ),
    "cells at points": Plant(
        "array.cells ? 0.5 : 0",
        "0",
        drawing.test_d_star_of_the_line_has_gaps_where_nothing_is_known,
    ),
    "the critic called a probability": Plant(
        'name.replace("D", "D*")', '"D*"', drawing.test_the_line_is_drawn_on_its_scale_with_names
    ),
    "a rug of the other samples": Plant(
        "rug(c, a, x, floor + 3, colors.real)",
        "rug(c, a, x, floor + 11, colors.real)",
        drawing.test_samples_of_the_line_stand_under_the_curves,
    ),
    "rugs in one colour": Plant(
        "rug(c, a, x, floor + 11, colors.fake)",
        "rug(c, a, x, floor + 11, colors.real)",
        drawing.test_samples_of_the_line_stand_under_the_curves,
    ),
    "pulls the other way": Plant(
        "Math.sign(data[i + 1]) * 0.1",
        "-Math.sign(data[i + 1]) * 0.1",
        drawing.test_pulls_on_the_line_point_along_their_slopes,
    ),
    "pulls of their neighbours": Plant(
        "i += 8) { const slope = Math.abs(data[i + 1])",
        "i += 8) { const slope = Math.abs(data[i])",
        drawing.test_pulls_on_the_line_point_along_their_slopes,
    ),
    "the ladder from x to z": Plant(
        "const from = data[i] * size;",
        "const from = (1 - data[i]) * size;",
        drawing.test_the_ladder_leads_from_z_below_to_x_above,
    ),
    "the ladder hanging down": Plant(
        "arrow(context, from, size - 12, x(data[i + 1]) - from, y - size + 12, 4)",
        "arrow(context, x(data[i + 1]), y, from - x(data[i + 1]), size - 12 - y, 4)",
        drawing.test_the_ladder_leads_from_z_below_to_x_above,
    ),
    "D's norm drawn as G's": Plant(
        '{ name: "discriminator_gradient", label: "D"',
        '{ name: "generator_gradient", label: "D"',
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("gradient norms",),
    ),
    "names of D and G exchanged": Plant(
        '{ name: "discriminator_gradient", label: "D"',
        '{ name: "discriminator_gradient", label: "G"',
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("gradient norms",),
    ),
    "real and generated exchanged in a key": Plant(
        '{ name: "fake", label: "generated", color: "fake"',
        '{ name: "fake", label: "generated", color: "real"',
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("D, on average",),
    ),
    "loss and least exchanged": Plant(
        '{ name: "loss", label: "D", color',
        '{ name: "least", label: "D", color',
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("loss, penalty left out",),
    ),
    "the row of another quantity": Plant(
        (
            "data.subarray(head.curves.indexOf(name) * shape[1], (head.curves.indexOf(name)"
            " + 1) * shape[1])"
        ),
        (
            "data.subarray((head.curves.indexOf(name) + 1) * shape[1], "
            "(head.curves.indexOf(name) + 2) * shape[1])"
        ),
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("D, on average",),
    ),
    "a logarithmic scale a decade off": Plant(
        "10 ** v : v", "10 ** (v + 1) : v", drawing.test_a_panel_says_its_scale, ("gradient norms",)
    ),
    "a logarithmic axis made linear": Plant(
        "const scaled = (v) => (spec.logarithmic ? Math.log10(v) : v)",
        "const scaled = (v) => v",
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("gradient norms",),
    ),
    "a curve upside down": Plant(
        "height - 14 - ((scaled(v) - bottom)",
        "8 + ((scaled(v) - bottom)",
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("D, on average",),
    ),
    "the ends of a scale exchanged": Plant(
        "short(end, digits), LEFT - 5, y(end) + 4",
        "short(end, digits), LEFT - 5, y(ends[0] + ends[1] - end) + 4",
        drawing.test_a_panel_says_its_scale,
        ("D, on average",),
    ),
    "a mark at another value": Plant(
        "marks: [0.5]", "marks: [0.6]", drawing.test_a_panel_says_its_scale, ("D, on average",)
    ),
    "V's mark at −log 2": Plant(
        "marks: [-2 * Math.log(2)]",
        "marks: [-Math.log(2)]",
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("V(D, G)",),
    ),
    "D on average on a free scale": Plant(
        'title: "D, on average", low: 0, high: 1',
        'title: "D, on average", low: 0',
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("D, on average",),
    ),
    "the last step unsaid": Plant(
        "`step ${last}`",
        "`step ${last + 1}`",
        drawing.test_a_panel_says_its_scale,
        ("D, on average",),
    ),
    "a curve in the place of its index": Plant(
        "end = [x(steps[j]), y(v)]",
        "end = [x((j / (steps.length - 1)) * last), y(v)]",
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("D, on average",),
    ),
    "no dashes": Plant(
        "stroke(context, colors[color], dash, 1.6)",
        "stroke(context, colors[color], [], 1.6)",
        drawing.test_dashes_tell_the_second_line_from_the_first,
    ),
    "what is not measured stays": Plant(
        "figure.hidden = keys.every((key) => key.hidden)",
        "figure.hidden = false",
        drawing.test_what_is_not_measured_leaves_the_page,
    ),
    "modes out of eight, always": Plant(
        "? head.modes : spec.high",
        "? 8 : spec.high",
        drawing.test_as_many_modes_as_the_data_has_are_the_top,
    ),
    "the line ends unmarked": Plant(
        "if (end) drawEnd(",
        "if (false) drawEnd(",
        drawing.test_each_curve_of_a_panel_has_its_place_its_colour_and_its_name,
        ("distances to the theory, in nats",),
    ),
    "a tile with the next run": Plant(
        "data.subarray(run * samples * axes, (run + 1) * samples * axes)",
        ("data.subarray(((run + 1) % 6) * samples * axes, (((run + 1) % 6) + 1) * samples * axes)"),
        drawing.test_each_tile_shows_its_own_run_in_rows,
    ),
    "tiles in columns": Plant(
        'box.style.setProperty("--gan-columns", Math.ceil(Math.sqrt(runs)));',
        (
            'box.style.setProperty("--gan-columns", Math.ceil(Math.sqrt(runs))); '
            'box.style.gridAutoFlow = "column"; box.style.gridTemplateRows = "repeat(2, '
            '1fr)";'
        ),
        drawing.test_each_tile_shows_its_own_run_in_rows,
    ),
    "too few columns": Plant(
        "Math.ceil(Math.sqrt(runs))",
        "Math.floor(Math.sqrt(runs))",
        drawing.test_each_tile_shows_its_own_run_in_rows,
    ),
    "a click lifts the next run": Plant(
        'send({ kind: "lift", run });',
        'send({ kind: "lift", run: run + 1 });',
        drawing.test_the_lifted_tile_is_marked_and_a_click_asks_for_its_run,
    ),
    "another tile marked": Plant(
        "String(run === lifted)",
        "String(run === lifted + 1)",
        drawing.test_the_lifted_tile_is_marked_and_a_click_asks_for_its_run,
    ),
    "modes of the next run": Plant(
        "arrays.covered.data[run]",
        "arrays.covered.data[run + 1]",
        drawing.test_each_tile_shows_its_own_run_in_rows,
    ),
    "the rate of the next run": Plant(
        'write(value, head.tiles[run] ?? "")',
        'write(value, head.tiles[run + 1] ?? "")',
        drawing.test_each_tile_shows_its_own_run_in_rows,
    ),
    "no run is ever stopped": Plant(
        "head.stopped.includes(run)", "false", drawing.test_each_tile_shows_its_own_run_in_rows
    ),
    "tiles of real samples": Plant(
        "dots(context, { data: own }, place, colors.fake, 1.8)",
        "dots(context, { data: own }, place, colors.real, 1.8)",
        drawing.test_each_tile_shows_its_own_run_in_rows,
    ),
    "a tile never renewed while it plays": Plant(
        "number % TURNS === state.turn",
        "number % TURNS === state.turn && number !== 3",
        drawing.test_while_it_plays_every_tile_and_curve_is_renewed_within_five_pictures,
    ),
    "curves never renewed while it plays": Plant(
        "if (due(0)) drawCurves",
        "if (!head.playing) drawCurves",
        drawing.test_while_it_plays_every_tile_and_curve_is_renewed_within_five_pictures,
    ),
    "rates of D and G exchanged in words": Plant(
        'discriminator_rate: "rate of D", generator_rate: "rate of G"',
        'discriminator_rate: "rate of G", generator_rate: "rate of D"',
        drawing.test_each_tile_shows_its_own_run_in_rows,
    ),
    "a slider's place for its value": Plant(
        "change(control.options[+input.value]); }; const set",
        "change(+input.value); }; const set",
        drawing.test_every_control_says_its_name_and_its_value_and_shows_it,
    ),
    "a slider's stale label": Plant(
        "input.oninput = () => { label(control.labels[+input.value]);",
        "input.oninput = () => {",
        drawing.test_every_control_says_its_name_and_its_value_and_shows_it,
    ),
    "a slider's label for its place": Plant(
        "label(exact < 0 ? String(value) : control.labels[exact])",
        "label(String(input.value))",
        drawing.test_every_control_shows_the_kernel_s_value,
    ),
    "the kernel's value unsaid": Plant(
        "label(exact < 0 ? String(value) : control.labels[exact]);",
        "",
        drawing.test_every_control_shows_the_kernel_s_value,
    ),
    "the farthest stop": Plant(
        "off.indexOf(Math.min(...off))",
        "off.indexOf(Math.max(...off))",
        drawing.test_every_control_says_its_name_and_its_value_and_shows_it,
    ),
    "a menu's neighbour": Plant(
        "input.onchange = () => change(options[+input.value])",
        "input.onchange = () => change(options[(+input.value + 1) % options.length])",
        drawing.test_every_control_says_its_name_and_its_value_and_shows_it,
    ),
    "a menu that stays": Plant(
        "if (+input.value !== at) input.value = at;",
        "",
        drawing.test_every_control_shows_the_kernel_s_value,
    ),
    "a number that stays": Plant(
        "if (input.value !== String(value)) input.value = value;",
        "",
        drawing.test_every_control_shows_the_kernel_s_value,
    ),
    "a control of another name": Plant(
        "values: { [control.name]: value }",
        (
            "values: { [control.name === 'generator_rate' ? 'discriminator_rate' : "
            "control.name]: value }"
        ),
        drawing.test_every_control_says_its_name_and_its_value_and_shows_it,
    ),
    "D step moves G": Plant(
        'the crosses stay.", act("D step")',
        'the crosses stay.", act("G step")',
        drawing.test_every_button_says_what_it_is_called,
    ),
    "play and pause exchanged": Plant(
        'act(parts.playing ? "pause" : "play")()',
        'act(parts.playing ? "play" : "pause")()',
        drawing.test_every_button_says_what_it_is_called,
    ),
    "slow motion unsaid": Plant(
        '"aria-pressed", String(head.slow)',
        '"aria-pressed", "false"',
        drawing.test_every_button_says_what_it_is_called,
    ),
    "what is not ticked is sent": Plant(
        "input.checked).map(([name])",
        "!input.checked).map(([name])",
        echo.test_boxes_keep_what_was_ticked_and_say_all_of_it,
    ),
    "boxes that stay": Plant(
        "input.checked = head.layers.includes(layer)",
        "input.checked = true",
        echo.test_boxes_keep_what_was_ticked_and_say_all_of_it,
    ),
    "an echo takes a control back": Plant(
        "if (head.seen && (head.seen[name] ?? 0) < sent) return;",
        "",
        echo.test_eight_presses_on_a_slow_kernel_end_at_nine,
        (True,),
    ),
    "an answer taken for an echo": Plant(
        "(head.seen[name] ?? 0) < sent",
        "(head.seen[name] ?? 0) <= sent",
        echo.test_a_refused_move_goes_back_once_it_is_seen,
    ),
    "a move without its number": Plant(
        "number: ++state.sent",
        "number: state.sent",
        echo.test_eight_presses_on_a_slow_kernel_end_at_nine,
        (True,),
    ),
    "acknowledging counts as a move": Plant(
        "number: ++state.sent",
        "number: (state.sent += 2)",
        echo.test_eight_presses_on_a_slow_kernel_end_at_nine,
        (True,),
    ),
    "a share for a percentage": Plant(
        "Math.round(100 * m.quality)",
        "Math.round(m.quality)",
        drawing.test_the_facts_are_the_measures,
    ),
    "JS for the gap": Plant(
        "number(m.gap)", "number(m.divergence)", drawing.test_the_facts_are_the_measures
    ),
    "a sign lost": Plant(
        '.replace("-", "−")', '.replace("-", "")', drawing.test_the_facts_are_the_measures
    ),
    "real and generated exchanged in speech": Plant(
        "D averages ${number(real, 2)} on real and ${number(fake, 2)}",
        "D averages ${number(fake, 2)} on real and ${number(real, 2)}",
        drawing.test_the_facts_are_the_measures,
    ),
    "a note of another kind": Plant(
        "parts.note.dataset.kind = head.note.kind",
        'parts.note.dataset.kind = "info"',
        drawing.test_notes_and_readings_are_said_as_text,
    ),
    "a note read as HTML": Plant(
        "element.textContent = text; }",
        "element.innerHTML = text; }",
        drawing.test_notes_and_readings_are_said_as_text,
    ),
    "a stale remedy": Plant(
        "if (head.remedy) write(parts.remedy, head.remedy.label);",
        "",
        drawing.test_a_remedy_is_offered_by_its_name_and_taken_once,
    ),
    "the end is not said": Plant(
        "if (!state.head) return write(parts.note, text);",
        "return;",
        echo.test_an_end_before_the_first_picture_is_said_too,
    ),
    "a drawing stored upside down": Plant(
        "high - down * (high - low)",
        "low + down * (high - low)",
        drawing.test_what_is_drawn_with_the_pointer_is_where_it_was_drawn,
    ),
    "a drawing stored mirrored": Plant(
        "low + across * (high - low)",
        "high - across * (high - low)",
        drawing.test_what_is_drawn_with_the_pointer_is_where_it_was_drawn,
    ),
    "a drawing with its axes exchanged": Plant(
        "pad.points.push([low + across * (high - low), high - down * (high - low)])",
        "pad.points.push([high - down * (high - low), low + across * (high - low)])",
        drawing.test_what_is_drawn_with_the_pointer_is_where_it_was_drawn,
    ),
    "up and down exchanged": Plant(
        "ArrowUp: [0, -1], ArrowDown: [0, 1]",
        "ArrowUp: [0, 1], ArrowDown: [0, -1]",
        drawing.test_what_is_drawn_with_the_keys_is_where_the_cursor_was,
    ),
    "the cursor elsewhere": Plant(
        "context.strokeRect(x - 6, y - 6, 12, 12)",
        "context.strokeRect(y - 6, x - 6, 12, 12)",
        drawing.test_what_is_drawn_with_the_keys_is_where_the_cursor_was,
    ),
    "giving up sends": Plant(
        'else if (event.key === "Escape") give_up();',
        'else if (event.key === "Escape") done();',
        drawing.test_what_is_drawn_with_the_keys_is_where_the_cursor_was,
    ),
    "only the beginning of a long drawing": Plant(
        "points.filter((_, i) => i % stride === 0)",
        "points.slice(0, most)",
        drawing.test_a_long_drawing_is_thinned_evenly,
    ),
    "a pointer's place in the window": Plant(
        "(event.clientX - box.left) / box.width",
        "event.clientX / box.width",
        drawing.test_what_is_drawn_with_the_pointer_is_where_it_was_drawn,
    ),
    "bytes on another scale": Plant(
        "low + (v * (high - low)) / top",
        "(v * (high - low)) / top",
        drawing.test_a_recording_shows_each_picture_at_its_time,
    ),
    "a byte too late": Plant(
        "start += bytes; const data",
        "start += bytes + 4; const data",
        drawing.test_dots_are_real_and_crosses_are_generated_at_their_places,
    ),
    "curves of the whole recording": Plant(
        "found < 0 ? columns : found",
        "columns",
        drawing.test_a_recording_shows_each_picture_at_its_time,
    ),
    "curves a step short": Plant(
        "findIndex((s) => s > step)",
        "findIndex((s) => s >= step)",
        drawing.test_a_recording_shows_each_picture_at_its_time,
    ),
    "a layer hides another": Plant(
        'generated: ["fake", "q"]',
        'generated: ["real", "q"]',
        drawing.test_a_layer_of_a_recording_is_hidden_and_shown_again,
    ),
    "a recording's settings free": Plant(
        "parts.recorded || control === head.along",
        "control === head.along",
        drawing.test_a_recording_shows_each_picture_at_its_time,
    ),
    "a recording stuck at its start": Plant(
        "move(state.at + 1)",
        "move(state.at)",
        drawing.test_a_recording_plays_to_its_end_and_then_from_its_start,
    ),
    "forty real samples in a tile": Plant(
        "subarray(0, 80 * axes)",
        "subarray(0, 80)",
        drawing.test_a_tile_has_eighty_real_samples,
    ),
    "a quarter of a screen of fine pixels": Plant(
        "context.setTransform(scale, 0, 0, scale, 0, 0)",
        "context.setTransform(1, 0, 0, 1, 0, 0)",
        drawing.test_on_a_screen_of_fine_pixels_the_picture_is_as_large_and_finer,
    ),
    "a recording ten times too fast": Plant(
        "PICTURE_MS = 100",
        "PICTURE_MS = 10",
        drawing.test_a_recording_plays_some_ten_pictures_a_second,
    ),
    "the dashes of the keys exchanged": Plant(
        '${dash ? "dashed" : "solid"}',
        '${dash ? "solid" : "dashed"}',
        drawing.test_a_key_is_dashed_where_its_line_is,
    ),
    "two pages of one name": Plant(
        "const name = Math.random().toString(36).slice(2);",
        'const name = "page";',
        echo.test_each_page_of_a_lab_has_a_name_of_its_own,
    ),
    "a page that was left goes on": Plant(
        'sizes.disconnect(); model.off("msg:custom", receive);',
        "sizes.disconnect();",
        echo.test_a_page_that_was_left_draws_nothing_more_and_says_nothing,
    ),
    "the cursor leaves the picture": Plant(
        "Math.min(1, Math.max(0, v + 0.02 * move[i]))",
        "v + 0.02 * move[i]",
        drawing.test_the_cursor_stays_on_the_picture,
    ),
    "a drawing in the window of the first picture": Plant(
        "parts.window = head.window;",
        "parts.window ??= head.window;",
        drawing.test_what_is_drawn_lies_in_the_window_that_is_on_the_screen,
    ),
    "the scrubber stands still": Plant(
        "scrubber.value = state.at;",
        "",
        drawing.test_a_recording_plays_to_its_end_and_then_from_its_start,
    ),
}


@pytest.fixture(scope="module")
def page(chromium_is_there: None) -> Iterator[Stage]:
    with browser() as chrome, stage(chrome) as made:
        made.page.set_default_timeout(3000)  # what a fault has removed is not waited for
        expect.set_options(timeout=3000)
        yield made
        expect.set_options(timeout=30_000)
        made.console.clear()


def planted(plant: Plant, code: str) -> str:
    """The page's code with a fault."""
    pattern = r"\s+".join(map(re.escape, plant.old.split()))
    changed, count = re.subn(pattern, lambda _: plant.new, code)
    assert count, f"the page has changed: renew the plant {plant.old!r}"
    return changed


def noticed(plant: Plant, page: Stage) -> bool:
    """Whether the plant's test fails on the page as it is loaded, or the page complains."""
    page.console.clear()
    wanted = next(iter(inspect.signature(plant.test).parameters))
    try:
        if wanted == "recording":
            drawing.record(page)
        else:
            page.mount(runs={"lab": 1, "wall": 6}[wanted] if plant.test in DRAWING else 4)
        plant.test(page, *plant.arguments)
    except (AssertionError, Error, KeyError, ValueError):
        return True
    return bool(page.console)


DRAWING = {test for name, test in vars(drawing).items() if name.startswith("test_")}


def test_the_sound_page_passes(page: Stage) -> None:
    page.load(front.script())
    tests = {(plant.test, plant.arguments): plant for plant in FAULTS.values()}
    assert [plant.test.__name__ for plant in tests.values() if noticed(plant, page)] == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_page_is_noticed(name: str, page: Stage) -> None:
    page.load(planted(FAULTS[name], front.script()))
    assert noticed(FAULTS[name], page)
