import random

import numpy as np
import pytest
from sklearn import metrics

from kerazoo.errors import InputError
from kerazoo.metrics import classification


def guessed(references, share, seed=0):
    """Replace a share of the labels by random ones."""
    chance, labels = random.Random(seed), sorted(set(references))
    return [chance.choice(labels) if chance.random() < share else label for label in references]


@pytest.fixture(params=["sms-spam/sms.tsv", "trec/TREC.test.all"])
def labels(request, mirror):
    """Predicted and right labels: two classes, one of them rare, or six."""
    lines = (mirror / request.param).read_text(encoding="latin-1").split("\n")
    references = [line.split()[0] for line in lines if line.strip()]
    return guessed(references, 0.2), references


def by_sklearn(predictions, references):
    """Return what scikit-learn says."""
    expected = {
        "accuracy": metrics.accuracy_score(references, predictions),
        "balanced accuracy": metrics.balanced_accuracy_score(references, predictions),
        "MCC": metrics.matthews_corrcoef(references, predictions),
    }
    for average in ("macro", "micro", "weighted"):
        for name, function in (
            ("precision", metrics.precision_score),
            ("recall", metrics.recall_score),
            ("F1", metrics.f1_score),
        ):
            expected[f"{name} {average}"] = function(
                references, predictions, average=average, zero_division=0
            )
    return expected


def test_scores_are_those_of_scikit_learn(labels):
    scores = classification.score(*labels)
    expected = by_sklearn(*labels)
    assert scores.keys() == expected.keys()
    for name, value in expected.items():
        assert scores[name].value == pytest.approx(value, abs=1e-6)
        low, high = scores[name].interval
        assert low < value < high


def test_a_draw_scores_what_scikit_learn_gives_to_its_examples(labels, picked):
    predictions, references = (np.array(each) for each in labels)
    rows = picked(len(references))
    scores = classification.score(*labels)
    for name, value in by_sklearn(predictions[rows], references[rows]).items():
        assert scores[name].drawn[0] == pytest.approx(value, abs=1e-6)


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_a_class_that_is_rare_may_be_missing_in_a_draw(picked):
    predictions = ["a", "b", "a", "c", "a", "b"]
    references = ["a", "a", "a", "b", "b", "a"]
    rows = picked(6)
    drawn = [[each[k] for k in rows] for each in (predictions, references)]
    scores = classification.score(predictions, references)
    for name, value in by_sklearn(*drawn).items():
        assert scores[name].drawn[0] == pytest.approx(value, abs=1e-6)


def test_each_class_has_its_scores(labels, picked):
    predictions, references = labels
    report = metrics.classification_report(references, predictions, output_dict=True)
    classes = classification.per_class(predictions, references)
    assert list(classes) == sorted(set(references))
    for label, scores in classes.items():
        assert scores.precision.value == pytest.approx(report[label]["precision"], abs=1e-6)
        assert scores.recall.value == pytest.approx(report[label]["recall"], abs=1e-6)
        assert scores.f1.value == pytest.approx(report[label]["f1-score"], abs=1e-6)
        assert scores.support == report[label]["support"]
    rows = picked(len(references))
    label = references[0]
    drawn = metrics.f1_score(
        np.array(references)[rows], np.array(predictions)[rows], average=None, labels=[label]
    )
    assert classes[label].f1.drawn[0] == pytest.approx(drawn[0])


def test_the_confusion_matrix_is_that_of_scikit_learn(labels):
    predictions, references = labels
    names, matrix = classification.confusion(predictions, references)
    assert np.array_equal(matrix, metrics.confusion_matrix(references, predictions, labels=names))
    assert matrix.sum() == len(references)


def test_labels_may_be_numbers_and_all_the_same():
    scores = classification.score([1, 1, 1], [1, 1, 1])
    assert scores["accuracy"].value == scores["F1 macro"].value == 1
    assert scores["MCC"].value == 0
    assert classification.per_class([0, 2], [0, 0])[2].precision.value == 0


def test_calibration_error_by_hand():
    # (12 / 15, 13 / 15] holds three examples, two of them right; (8 / 15, 9 / 15] one, right.
    error = classification.calibration_error([True, True, False, True], [0.86, 0.85, 0.81, 0.6])
    expected = 3 / 4 * abs(2 / 3 - (0.86 + 0.85 + 0.81) / 3) + 1 / 4 * abs(1 - 0.6)
    assert error.value == pytest.approx(expected)


def test_calibration_error_by_its_formula():
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0, 1, 500)
    correct = rng.uniform(size=500) < confidences**2
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidences > low) & (confidences <= low + 1 / 15)
        gap = correct[inside].mean() - confidences[inside].mean()
        expected += inside.mean() * abs(gap)
    error = classification.calibration_error(correct, confidences)
    assert error.value == pytest.approx(expected, abs=1e-9)
    low, high = error.interval
    assert 0 <= low < expected < high


def test_the_interval_of_a_calibration_error_is_never_below_zero_nor_empty():
    for num_right, confidence in ((50, 0.5), (17, 0.9)):
        correct = [True] * num_right + [False] * (100 - num_right)
        low, high = classification.calibration_error(correct, [confidence] * 100).interval
        assert 0 <= low < high


def test_the_signature_of_a_calibration_error_says_that_it_is_biased():
    rng = np.random.default_rng(0)
    confidences = rng.uniform(0, 1, 300)
    error = classification.calibration_error(rng.uniform(size=300) < confidences, confidences)
    assert 0 < error.value < error.drawn.mean()  # of a system that is perfectly calibrated
    assert "biased upwards, draws more so" in error.signature


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_confidences_at_the_ends_belong_to_the_outer_bins(confidence):
    error = classification.calibration_error([True, False], [confidence, confidence])
    assert error.value == pytest.approx(0.5)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(InputError, match="1 predictions and 2 references"):
        classification.score(["a"], ["a", "b"])
    with pytest.raises(InputError, match="no examples"):
        classification.per_class([], [])


def test_a_thousand_classes_take_no_thousand_times_the_memory():
    rng = np.random.default_rng(0)
    references = rng.integers(0, 1000, 3000).tolist()
    score = classification.score(guessed(references, 0.5), references)["F1 macro"]
    assert 0.4 < score.value < 0.6
