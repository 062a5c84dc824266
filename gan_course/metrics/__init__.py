"""What came out: measures of a trained generator, one value for each run.

A measure of finitely many samples is neither 0 nor 1 for a perfect generator.
:func:`mode_coverage_of_perfect_samples`, :func:`two_sample_floor` and
:func:`coverage_of_perfect_samples` say what it is then; other real pictures in the place of
generated ones do it for every measure. :func:`mean_interval` and :func:`proportion_interval` say
how sure a mean over runs is.

``samples`` measures points, ``features`` what a network sees in pictures, ``classifier`` is that
network, trained here.
"""

from gan_course.metrics.classifier import (
    Classifier,
    PictureQuality,
    picture_quality,
    train_classifier,
)
from gan_course.metrics.features import (
    DensityCoverage,
    LabelCoverage,
    Memorisation,
    PrecisionRecall,
    coverage_of_perfect_samples,
    density_coverage,
    frechet_distance,
    kernel_distance,
    label_coverage,
    memorisation,
    precision_recall,
)
from gan_course.metrics.samples import (
    Interval,
    ModeCoverage,
    TwoSampleTest,
    js_of_masses,
    line_masses,
    mean_interval,
    mode_coverage,
    mode_coverage_of_perfect_samples,
    nearest_neighbors,
    proportion_interval,
    sliced_wasserstein,
    squared_mmd,
    two_sample_floor,
    two_sample_test,
)

__all__ = [
    "Classifier",
    "DensityCoverage",
    "Interval",
    "LabelCoverage",
    "Memorisation",
    "ModeCoverage",
    "PictureQuality",
    "PrecisionRecall",
    "TwoSampleTest",
    "coverage_of_perfect_samples",
    "density_coverage",
    "frechet_distance",
    "js_of_masses",
    "kernel_distance",
    "label_coverage",
    "line_masses",
    "mean_interval",
    "memorisation",
    "mode_coverage",
    "mode_coverage_of_perfect_samples",
    "nearest_neighbors",
    "picture_quality",
    "precision_recall",
    "proportion_interval",
    "sliced_wasserstein",
    "squared_mmd",
    "train_classifier",
    "two_sample_floor",
    "two_sample_test",
]
