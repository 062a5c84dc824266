"""In the site's code a name of the library is a link, by whatever way it got there."""

from __future__ import annotations

from html import escape

import pytest
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonConsoleLexer, PythonLexer
from tools import load

cells = load("book/cells.py")


def page(*blocks: str, language: str = "ipython3") -> str:
    """A page with blocks of code, as Sphinx writes it."""
    around = f'<p>words</p><div class="highlight-{language} notranslate">{{}}</div>'
    shown = (highlight(block, PythonLexer(), HtmlFormatter(wrapcode=False)) for block in blocks)
    return "".join(map(around.format, shown))


def links(*blocks: str) -> list[tuple[str, str]]:
    """The words that are links, with the names that they lead to."""
    html = cells.with_links(page(*blocks), lambda name: f"#{name}")
    found = cells.re.findall(r'<a class="library-name" href="#([^"]*)"><span[^>]*>([^<]*)<', html)
    plain = cells.re.sub(r"</?a[^>]*>", "", html)
    assert plain == page(*blocks)  # nothing else has changed
    return [(word, name.removeprefix("gan_course.")) for name, word in found]


def test_what_is_imported_is_linked_there_and_in_the_blocks_below() -> None:
    found = links("import torch\nfrom gan_course.theory import kl\n", "a = 'é', kl(p, q)\n")
    assert found == [("gan_course.theory", "theory"), ("kl", "theory.kl"), ("kl", "theory.kl")]


@pytest.mark.parametrize(
    ("code", "word", "name"),
    [
        ("from gan_course import losses\nlosses.value(a)", "value", "losses.value"),
        ("from gan_course import losses as ours\nours.value(a)", "value", "losses.value"),
        ("import gan_course.losses as ours\nours.value(a)", "value", "losses.value"),
        ("import gan_course\ngan_course.losses.value(a)", "value", "losses.value"),
        ("from gan_course.distributions import ring as r\ny = [r(8)]", "r", "distributions.ring"),
        (
            "from gan_course.training import Trainer\nt = Trainer(D)\nwith x:\n    t.train(5)",
            "train",
            "training.trainer.Trainer.train",
        ),
        (
            "from gan_course.training import Trainer\ndef f(t: Trainer):\n    return t.train(5)",
            "train",
            "training.trainer.Trainer.train",
        ),
        (
            "from gan_course.distributions import ring\np = ring()\np.sample(3)",
            "sample",
            "distributions.GaussianMixture.sample",
        ),
    ],
)
def test_a_name_is_followed(code: str, word: str, name: str) -> None:
    assert links(code)[-1] == (word, name)


@pytest.mark.parametrize(
    "code",
    [
        "kl = 3\nkl(p)",
        "def f(kl):\n    return kl",
        "def kl(p):\n    return kl(p)",
        "f = lambda kl: kl(p)",
        "[kl for kl in p]",
        "for kl in p:\n    kl(p)",
        "with p as kl:\n    kl(p)",
        "from torch import kl\nkl(p)",
        "f(kl=p), p.kl",
        "'kl'  # kl",
    ],
)
def test_what_the_code_gives_to_something_else_is_none(code: str) -> None:
    assert links("from gan_course.theory import kl", code) == links(
        "from gan_course.theory import kl"
    )


def test_an_example_of_a_docstring_is_read_without_its_prompts() -> None:
    code = ">>> from gan_course.theory import kl\n>>> kl(\n...     p)\n'kl'\n>>> 1 + kl(q)\n"
    block = highlight(code, PythonConsoleLexer(), HtmlFormatter())
    html = f'<div class="doctest highlight-default notranslate">{block}</div>'
    assert cells.with_links(html, lambda name: "#").count("<a ") == 4


def test_what_is_no_python_and_what_has_no_page_stay_as_they_are() -> None:
    assert links("%matplotlib inline\nfrom gan_course.theory import kl") == []
    html = page("from gan_course.theory import kl")
    assert cells.with_links(html, lambda name: None) == html
    text = f"<p>{escape('from gan_course.theory import kl')}</p>"
    assert cells.with_links(text, lambda name: "#") == text
    other = page("from gan_course.theory import kl", language="none")
    assert cells.with_links(other, lambda name: "#") == other
