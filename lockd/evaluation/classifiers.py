"""The closed-set classifiers of face recognition tutorials, for comparison only.

Each is taught the enrolled people and nothing else, so each always has a name. As a
confidence each offers what its users threshold in the end. scikit-learn is imported
nowhere else.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from lockd.errors import LockdError
from lockd.evaluation.metrics import Units
from lockd.evaluation.rules import Answers, Rule, always_named
from lockd.types import Floats


def nearest(templates: Floats, owner: Units, probes: Floats) -> Answers:
    """Name whoever has the nearest template; the confidence is its cosine."""
    return _by_similarity(templates, owner, probes)


def centroid(templates: Floats, owner: Units, probes: Floats) -> Answers:
    """Name whoever's mean template is nearest; the confidence is its cosine."""
    people = np.unique(owner)
    means = np.stack([templates[owner == person].mean(axis=0) for person in people])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return _by_similarity(means, people, probes)


def svm(templates: Floats, owner: Units, probes: Floats) -> Answers:
    """Name by a linear support vector machine, one person against the rest.

    The confidence is the margin, squeezed into -1..1. Tutorials make a probability of
    it by Platt's method, which needs more photographs of a person than a few.
    """
    machine = _sklearn("svm", "LinearSVC")(C=1.0)
    answers = _fitted(machine, templates, owner, probes, "decision_function")
    return always_named(answers.nearest, np.tanh(answers.confidence / 2))


def softmax(templates: Floats, owner: Units, probes: Floats) -> Answers:
    """Name by multinomial logistic regression; the confidence is its probability.

    This is the one dense layer with a softmax that is trained on embeddings.
    """
    machine = _sklearn("linear_model", "LogisticRegression")(C=100.0, max_iter=300)
    return _fitted(machine, templates, owner, probes, "predict_proba")


CLASSIFIERS: dict[str, Rule] = {
    "nearest": nearest,
    "centroid": centroid,
    "svm": svm,
    "softmax": softmax,
}


def check(name: str) -> None:
    """Raise LockdError if a classifier needs a package that is not installed."""
    if name in ("svm", "softmax"):
        _sklearn("svm", "LinearSVC")


def _by_similarity(templates: Floats, owner: Units, probes: Floats) -> Answers:
    similarities = probes @ templates.T
    best = similarities.argmax(axis=1)
    return always_named(owner[best], similarities[np.arange(len(probes)), best])


def _fitted(machine: Any, templates: Floats, owner: Units, probes: Floats, ask: str) -> Answers:
    if len(np.unique(owner)) == 1:  # nothing to tell apart
        return always_named(
            np.full(len(probes), owner[0], np.int32), np.ones(len(probes), np.float32)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not quite converged
        machine.fit(templates, owner)
    values = getattr(machine, ask)(probes)
    if values.ndim == 1:  # two people have one boundary
        values = np.stack([-values, values], axis=1)
    best = values.argmax(axis=1)
    return always_named(machine.classes_[best], values[np.arange(len(probes)), best])


def _sklearn(module: str, name: str) -> Any:
    import importlib  # noqa: PLC0415

    try:
        return getattr(importlib.import_module(f"sklearn.{module}"), name)
    except ImportError as error:
        raise LockdError(
            "scikit-learn is not installed; run `pip install 'lockd[evaluate]'`"
        ) from error
