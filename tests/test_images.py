"""The digits are scikit-learn's, as the trainer wants them."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from gan_course.images import digits


def test_digits_are_scikit_learns_from_minus_one_to_one():
    images, labels = digits()
    reference = load_digits()
    assert images.shape == (1797, 1, 8, 8)
    np.testing.assert_allclose((images[:, 0].numpy() + 1) * 8, reference.images, atol=1e-5)
    assert (images.min().item(), images.max().item()) == (-1, 1)
    assert labels.tolist() == reference.target.tolist()
