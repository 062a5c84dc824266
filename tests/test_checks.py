"""`check` holds on either side of the claim, and prints the same whatever was measured."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from gan_course.checks import RECORDS, Quoted, check, check_panel, drawn, numbers
from gan_course.metrics import Interval

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "expected", "atol", "line"),
    [
        (0.3133, 0.31, 0.01, "✓ claim: 0.31 ± 0.01"),
        (2, 2, 0, "✓ claim: 2, exactly"),
        (True, True, 0, "✓ claim"),
        (torch.tensor(True), True, 0, "✓ claim"),
        ([1.0, 2.0], [1.0, 2.1], 0.2, "✓ claim (± 0.2)"),
        (torch.ones(2, 3, requires_grad=True), 1, 0, "✓ claim"),
        (np.full(4, 1.5), 1.5, 0, "✓ claim: 1.5, exactly"),
        (torch.tensor([1.5]), torch.tensor([1.5]), 0, "✓ claim: 1.5, exactly"),
        (torch.tensor([1.4]), [1.5], 0.2, "✓ claim: 1.5 ± 0.2"),
        (torch.zeros(2, 3), torch.zeros(3), 0, "✓ claim"),
        (INF, INF, 0, "✓ claim: inf, exactly"),
        ([-INF, INF], [-INF, INF], 0.1, "✓ claim (± 0.1)"),
    ],
)
def test_a_claim_that_holds_prints_its_line(
    value: object, expected: object, atol: float, line: str, capsys: pytest.CaptureFixture
):
    check("claim", value, expected, atol)
    assert capsys.readouterr().out == line + "\n"


def test_the_line_does_not_depend_on_the_value(capsys: pytest.CaptureFixture):
    for value in (0.951, 1.0, 1.0499, torch.tensor(1.01)):
        check("claim", value, 1.0, 0.05)
    assert set(capsys.readouterr().out.splitlines()) == {"✓ claim: 1 ± 0.05"}


@pytest.mark.parametrize(
    ("value", "expected", "atol"),
    [
        (1.2, 1.0, 0.1),
        (0.8, 1.0, 0.1),
        (-1e9, 1.0, 0.1),
        (1.0 + 1e-12, 1.0, 0.0),
        ([1.0, 1.0, 1.2], 1.0, 0.1),
        ([1.0, 0.8, 1.0], 1.0, 0.1),
        (NAN, 1.0, 0.1),
        (NAN, NAN, 0.1),
        ([1.0, NAN], 1.0, 0.1),
        (1.0, NAN, 0.1),
        (INF, 1.0, 0.1),
        (1.0, INF, 0.1),
        (INF, -INF, 0.1),
        (None, 1.0, 0.1),
        (False, True, 0.0),
        ([], 1.0, 0.1),
        (torch.empty(0, 3), 1.0, 0.1),
        (1.0, [], 0.1),
        ([1.0, 1.0], [[1.0], [1.0]], 0.1),
        (1.0, [1.0, 1.0], 0.1),
        ([1.0, 1.0], [1.0, 1.0, 1.0], 0.1),
    ],
)
def test_a_claim_that_does_not_hold_fails_in_silence(
    value: object, expected: object, atol: float, capsys: pytest.CaptureFixture
):
    with pytest.raises(AssertionError, match="✗ the claim: "):
        check("the claim", value, expected, atol)
    assert capsys.readouterr().out == ""


def test_a_failure_shows_what_was_measured_and_expected():
    with pytest.raises(AssertionError, match=r"measured 0\.8, expected 1\.0 ± 0\.1"):
        check("claim", 0.8, 1.0, 0.1)
    long = np.ones(100)
    long[70] = 5
    with pytest.raises(AssertionError, match=r"measured \[5\.\]"):
        check("claim", long, 1.0, 0.1)


@pytest.mark.parametrize("atol", [-1.0, -1e-9, NAN, INF])
def test_a_tolerance_that_says_nothing_is_refused(atol: float):
    with pytest.raises(ValueError, match=f"atol = {atol}"):
        check("claim", 1.0, 1.0, atol)


@pytest.mark.parametrize(
    ("value", "expected", "atol"),
    [(0.01, 0.02, 0.03), (0.02, 0.02, 0.02), ([0.1, 0.2], [0.1, 0.2], 0.2), (-1, -1, 1)],
)
def test_a_tolerance_that_lets_0_pass_is_refused(value: object, expected: object, atol: float):
    with pytest.raises(ValueError, match=rf"✗ claim: atol = {atol} would let 0 pass, too"):
        check("claim", value, expected, atol)
    check("claim", value, expected, atol / 3)
    check("it is nothing", 0.01, 0, 0.03)


# --- Bounds, intervals, orders ------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "asked", "line"),
    [
        (0.3, {"above": 0.2}, "✓ claim: above 0.2"),
        (0.3, {"below": 0.4}, "✓ claim: below 0.4"),
        ([0.3, 0.35], {"above": 0.2, "below": 0.4}, "✓ claim: above 0.2 and below 0.4"),
        ([0.3, 0.5], {"above": [0.2, 0.4]}, "✓ claim: above its bound"),
        (0.3, {"above": torch.tensor(0.29)}, "✓ claim: above its bound"),
        (0.3, {"above": 0.123456789}, "✓ claim: above its bound"),
        ((0.1, 0.3), {"above": 0}, "✓ claim: above 0"),
        (Interval(0.2, 0.1, 0.3), {"above": 0}, "✓ claim: above 0"),
        (INF, {"above": 0, "finite": False}, "✓ claim: above 0"),
        ((0.1, 0.3), {"excludes": 0}, "✓ claim: the interval excludes 0"),
        ((-0.3, -0.1), {"excludes": 0}, "✓ claim: the interval excludes 0"),
        (Interval(0.2, 0.1, 0.3), {"excludes": 0.31}, "✓ claim: the interval excludes 0.31"),
        (Interval(0.2, 0.1, 0.3), {"contains": 0.3}, "✓ claim: the interval contains 0.3"),
        ((-0.1, torch.tensor(0.3)), {"contains": 0}, "✓ claim: the interval contains 0"),
        ([1, 2, 4], {"order": "increasing"}, "✓ claim: increasing"),
        (torch.tensor([3.0, 1.0]), {"order": "decreasing"}, "✓ claim: decreasing"),
    ],
)
def test_a_relation_that_holds_prints_its_line(
    value: object, asked: dict, line: str, capsys: pytest.CaptureFixture
):
    check("claim", value, **asked)
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (0.2, {"above": 0.2}),
        (0.4, {"below": 0.4}),
        ([0.3, 0.1], {"above": 0.2}),
        ([0.3, 0.39], {"above": [0.2, 0.4]}),
        (0.5, {"above": 0.2, "below": 0.4}),
        (0.1, {"above": 0.2, "below": 0.4}),
        (NAN, {"above": 0}),
        (NAN, {"below": 0}),
        (NAN, {"above": 0, "finite": False}),
        (INF, {"above": 0}),
        (-INF, {"below": 0}),
        (INF, {"below": 0, "finite": False}),
        (-INF, {"above": 0, "below": 1, "finite": False}),
        (INF, {"above": 0, "below": INF, "finite": False}),
        (1.0, {"above": NAN}),
        ([], {"above": 0}),
        ([0.1, 0.2], {"above": [0, 0, 0]}),
        (Interval(0.2, -0.1, 0.5), {"above": 0}),
        ((-0.1, 0.3), {"excludes": 0}),
        ((0.0, 0.3), {"excludes": 0}),
        ((-0.3, 0.0), {"excludes": 0}),
        ((NAN, 0.3), {"excludes": 0}),
        ((0.1, INF), {"excludes": 0}),
        ((0.3, 0.1), {"excludes": 0}),
        ((0.3, -0.1), {"contains": 0}),
        ((0.1, 0.3), {"contains": 0}),
        ((NAN, NAN), {"contains": 0}),
        ((-INF, INF), {"contains": 0}),
        ([1, 1, 2], {"order": "increasing"}),
        ([1, 3, 2], {"order": "increasing"}),
        ([1, 2], {"order": "decreasing"}),
        ([1, NAN], {"order": "increasing"}),
        ([1, INF], {"order": "increasing"}),
        ([1], {"order": "increasing"}),
        ([], {"order": "increasing"}),
        ([[1, 2], [3, 4]], {"order": "increasing"}),
    ],
)
def test_a_relation_that_does_not_hold_fails_in_silence(
    value: object, asked: dict, capsys: pytest.CaptureFixture
):
    with pytest.raises(AssertionError, match="✗ the claim: "):
        check("the claim", value, **asked)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("value", "asked", "said"),
    [
        (1, {}, "nothing given: a check asks for one of expected, above or below"),
        (1, {"expected": 1, "above": 0}, "expected and above or below given"),
        ((1, 2), {"excludes": 0, "contains": 1}, "excludes and contains given"),
        ([1, 2], {"order": "growing"}, "order = 'growing': allowed are 'increasing'"),
        (1.0, {"excludes": 0}, r"value has shape \(\): an interval is a pair"),
        ([1, 2, 3], {"contains": 0}, r"value has shape \(3,\)"),
    ],
)
def test_a_check_that_asks_nothing_or_too_much_is_refused(value: object, asked: dict, said: str):
    with pytest.raises(ValueError, match=said):
        check("claim", value, **asked)


# --- What a check records -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "asked", "slack", "also"),
    [
        (1.05, {"expected": 1, "atol": 0.1}, 0.5, ()),
        ([1.05, 0.98], {"expected": 1, "atol": 0.1}, 0.5, ()),
        (2, {"expected": 2}, 1, ()),
        (0.01, {"expected": 0, "atol": 0.03}, 2 / 3, ()),
        (False, {"expected": False}, 1, ()),
        (0.3, {"above": 0.2}, 0.5, ()),
        (0.3, {"above": -0.2}, 2.5, ("0",)),
        (0.1, {"above": -0.2, "below": 0.2}, 0.5, ("0", "opposite sign")),
        (0.3, {"above": 0.2, "below": 0.4}, 1, ()),
        ((0.1, 0.3), {"excludes": 0}, 1, ("opposite sign",)),
        ((0.1, 0.3), {"above": 0.05}, 1, ()),
        ((-0.1, 0.3), {"contains": 0}, 0.5, ()),
        ([1, 2, 6], {"order": "increasing"}, 0.25, ()),
    ],
)
def test_a_check_records_how_near_it_was_and_what_else_would_pass(
    value: object, asked: dict, slack: float, also: tuple
):
    check("claim", value, **asked)
    record = RECORDS[-1]
    assert (record.claim, record.also) == ("claim", also)
    assert record.slack == pytest.approx(slack)


# --- What is drawn ------------------------------------------------------------------------


def test_a_line_is_found_by_its_label(ax: Axes):
    ax.plot([0, 1], [5, 6])
    ax.plot([0, 1], [1, 3], label="γ = 1")
    ax.plot([0, 1], [1, 2], "--", label="γ = 4")
    ax.set(title="JS", xlabel="step", ylabel="loss")
    ax.set_xticks([0, 1], ["start", "end"])
    ax.text(0, 0, "here")
    lines = drawn(ax)
    assert {key: place[1].tolist() for key, place in lines.items()} == {
        0: [5, 6],
        "γ = 1": [1, 3],
        "γ = 4": [1, 2],
    }
    assert (lines.xticks, lines.yticks) == (["start", "end"], [])
    assert (lines.title, lines.xlabel, lines.ylabel, lines.texts) == (
        "JS",
        "step",
        "loss",
        ["here"],
    )


@pytest.mark.parametrize("own", [False, True])
def test_the_words_of_the_legend_count(ax: Axes, own: bool):
    first = ax.plot([0, 1], [1, 3], label="a" if own else None)[0]
    second = ax.plot([0, 1], [1, 2], label="b" if own else None)[0]
    ax.plot([0, 1], [7, 7], color=second.get_color())  # another of the same colour
    ax.legend([first, second], ["b", "a"])
    lines = drawn(ax)
    assert [lines[key][1].tolist() for key in ("b", "a", 0)] == [[1, 3], [1, 2], [7, 7]]


def test_a_legend_without_handles_names_them_in_turn(ax: Axes):
    ax.plot([0, 1], [1, 3])
    ax.plot([0, 1], [1, 2])
    ax.legend(["b", "a"])
    assert drawn(ax)["a"][1].tolist() == [1, 2]


def test_styles_of_one_colour_keep_their_own_words(ax: Axes):
    ax.plot([0, 1], [1, 3], color="red", label="a")
    ax.plot([0, 1], [1, 2], "--", color="red", label="b")
    ax.legend()
    assert drawn(ax)["b"][1].tolist() == [1, 2]


def test_points_bars_intervals_and_bands_are_found(ax: Axes):
    ax.scatter([1, 2], [3, 4], label="points")
    ax.bar([1, 2], [5, 6], label="bars")
    ax.errorbar([1, 2], [7, 8], [1, 1], capsize=3, label="intervals")
    ax.fill_between([1, 2], [0, 0], [1, 1], label="band")
    ax.legend()
    found = drawn(ax)
    assert set(found) == {"points", "bars", "intervals", "band"}
    assert [found[key][1].tolist() for key in ("points", "bars", "intervals")] == [
        [3, 4],
        [5, 6],
        [7, 8],
    ]
    assert found["bars"][0].tolist() == [1, 2]
    assert found["band"][1].max() == 1


def test_bands_and_error_bars_have_two_ends(ax: Axes):
    ax.fill_between([1, 2, 3], [0, 1, 2], [5, 6, 9])
    ax.fill_between([1, 2], [3, 4])  # from there down to 0
    ax.errorbar([1, 2], [7, 8], [[1, 2], [3, 4]], capsize=3)
    ax.errorbar([1, 2], [7, 8], xerr=1)
    ax.scatter([1, 2], [3, 4])
    band, area, bars = drawn(ax).bands
    assert area.tolist() == [[1, 2], [0, 0], [3, 4]]
    assert band.tolist() == [[1, 2, 3], [0, 1, 2], [5, 6, 9]]
    assert bars.tolist() == [[1, 2], [6, 6], [10, 12]]


def test_arrows_have_a_start_and_a_way(ax: Axes):
    assert drawn(ax).arrows.shape == (0, 4)
    ax.quiver([1, 2], [3, 4], [1, 0], [0, -1])
    ax.annotate("", (7, 1), (5, 0), arrowprops={"arrowstyle": "->"})
    ax.annotate("no arrow", (7, 1), (5, 0))
    assert drawn(ax).arrows.tolist() == [[1, 3, 1, 0], [2, 4, 0, -1], [5, 0, 2, 1]]


def test_images_and_heat_maps_are_found(ax: Axes):
    ax.imshow([[1, 2], [3, 4]])
    ax.pcolormesh(np.ma.masked_equal([[5, 6], [7, 8]], 8))
    image, mesh = drawn(ax).images
    assert image.tolist() == [[1, 2], [3, 4]]
    assert mesh.ravel()[:3].tolist() == [5, 6, 7] and np.isnan(mesh.ravel()[3])


def test_a_panel_is_known_by_its_place():
    figure, axes = plt.subplots(2, 2)
    assert [drawn(ax).panel for ax in axes.flat] == [0, 1, 2, 3]
    left, right = axes[0]
    here, there = left.get_subplotspec(), right.get_subplotspec()
    left.set_subplotspec(there)
    right.set_subplotspec(here)
    assert [drawn(ax).panel for ax in axes.flat] == [1, 0, 2, 3]
    plt.close(figure)


def test_one_label_twice_is_refused(ax: Axes):
    ax.plot([0, 1], [1, 3], label="a")
    ax.plot([0, 1], [1, 2], label="a")
    with pytest.raises(ValueError, match="two things with the label 'a'"):
        drawn(ax)


# --- Numbers of the text ------------------------------------------------------------------

NAMES = {
    "x": 0.06249,
    "n": 12_345,
    "t": torch.tensor(2.5),
    "d": {"a:b": 7},
    "word": r"\gamma y",
    "i": np.int64(3),
}


@pytest.mark.parametrize(
    ("line", "digits"),
    [
        ("x:.3f", "0.062 ← 0.06249"),
        ("-x:.3f ~.004", "-0.062 ← -0.06249"),
        ("x:.1%", "6.2% ← 0.06249"),
        ("x / 1e4:.2e", "6.25e-06 ← 6.249e-06"),
        ("12345678.9:.0f", "12345679 ← 12345678.9"),
        ("n", "12345"),
        ("n:,", "12,345"),
        ("n:, ~8", "12,345 ← 12345"),
        ("i:d", "3"),
        ("i:d ~1", "3 ← 3"),
        ("t", "2.5"),
        ("t:.2f", "2.50 ← 2.5"),
        ('d["a:b"]', "7"),
        ("[n, x][1:][0]:+.2f", "+0.06 ← 0.06249"),
        ("word", r"\gamma y"),
        ("sum(x for _ in range(2)):.2f", "0.12 ← 0.12498"),
    ],
)
def test_digits_are_those_of_a_format_and_hold(
    line: str, digits: str, capsys: pytest.CaptureFixture
):
    assert Quoted.read(line).shown(NAMES) == digits
    numbers(NAMES, f"\n{line} → {digits}\n")
    assert capsys.readouterr().out == "✓ 1 number of this section's text, recomputed\n"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x:.4f → 0.0626", r"✗ x:\.4f: stated 0\.0626, measured 0\.06249, tolerance 7.5e-05"),
        ("x:.3f → 0.061", "stated 0.061"),
        ("x:.3f ~.004 → 0.063 ← 0.06249", r"stated 0\.063, but the build measured 0\.06249"),
        ("x:.3f ~.004 → 0.067 ← 0.067", r"stated 0\.067, measured 0\.06249, tolerance 0\.004"),
        ("x:.1% ~2 → 6.3% ← 0.06249", r"stated 6\.3%, but the build measured 0\.06249"),
        ("n:, ~8 → 12,346 ← 12345", "stated 12,346, but the build measured 12345"),
        ("x:.3f → -0.062", "stated -0.062"),
        ("x:.3f ~.004 → 0.067", "tolerance 0.004"),
        ("x:.1% → 6.1%", "stated 6.1%"),
        ("n → 12346", "stated 12346"),
        ("n:, → 12,344", "stated 12,344"),
        ("word → y", r"stated y, is \\gamma y"),
        ("x:.2f → many", "'many', which is no number"),
        ("float('nan') → 1", "stated 1, measured nan"),
    ],
)
def test_a_number_that_is_not_stated_right_fails(line: str, problem: str):
    with pytest.raises(AssertionError, match=problem):
        numbers(NAMES, line)


@pytest.mark.parametrize(
    ("line", "slack", "also"),
    [
        ("x:.3f ~.002 → 0.062 ← 0.06249", 1 - 0.49 / 2, ()),
        ("t → 2.5", 1, ()),
        ("x:.2f ~.07 → 0.06 ← 0.06249", 1 - 0.249 / 7, ("0",)),
        ("x:.2f ~.2 → 0.06 ← 0.06249", 1 - 0.249 / 20, ("0", "opposite sign")),
        ("x - x:.2f ~.2 → 0.00 ← 0", 1, ()),
    ],
)
def test_a_number_records_how_near_it_was_and_what_else_would_pass(
    line: str, slack: float, also: tuple
):
    numbers(NAMES, line)
    assert RECORDS[-1].kind == "number"
    assert RECORDS[-1].slack == pytest.approx(slack, abs=1e-6)
    assert RECORDS[-1].also == also


def test_all_wrong_numbers_are_told_at_once():
    with pytest.raises(AssertionError, match=r"(?s)✗ x:\.2f.*✗ n:"):
        numbers(NAMES, "x:.2f → 0.09\nt → 2.5\nn → 3")


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        ("x +:.2f", SyntaxError, "not an expression"),
        ("nobody", NameError, "nobody"),
        ("torch.ones(2)", TypeError, r"one number is needed, not the shape \(2,\)"),
        ("float('nan'):.2f", ValueError, "a finite number is needed, not 'nan'"),
        ("True", ValueError, "a finite number is needed, not 'True'"),
        ("None", ValueError, "a finite number is needed, not 'None'"),
        ("184.4:.3g ~.1", ValueError, "stated 184, measured 184.4"),
        ("'a\\nb'", ValueError, "one line"),
    ],
)
def test_what_no_number_can_show_is_refused(line: str, error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        Quoted.read(line).shown(NAMES | {"torch": torch})


def test_check_panel_sees_place_title_and_lines() -> None:
    figure, (left, right) = plt.subplots(1, 2)
    for ax, sign in ((left, 1), (right, -1)):
        ax.plot([0, 1], [0, sign], label="line")
        ax.plot([0, 1], [2, 2])
        ax.set_title("up" if sign == 1 else "down")
    check_panel(left, 0, "up", {"line": [0, 1], 0: [2, 2]})
    check_panel(right, 1, "down", {"line": [0, -1]})
    for wrong in (
        lambda: check_panel(left, 1, "up"),
        lambda: check_panel(left, 0, "down"),
        lambda: check_panel(left, 0, "up", {"line": [0, -1]}),
        lambda: check_panel(left, 0, "up", {"lines": [0, 1]}),
    ):
        with pytest.raises(AssertionError, match="✗ panel"):
            wrong()
    plt.close(figure)
