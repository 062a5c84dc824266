"""The examples in the docstrings run, and say what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import gan_course

MODULES = [
    module.name
    for module in pkgutil.walk_packages(gan_course.__path__, "gan_course.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name: str):
    module = importlib.import_module(name)
    import torch

    torch.manual_seed(0)
    found = doctest.testmod(module, extraglobs={"torch": torch}, optionflags=doctest.ELLIPSIS)
    assert found.failed == 0
