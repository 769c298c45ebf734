import random

import numpy as np
import pytest
import seqeval.metrics
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES

from kerazoo.errors import InputError
from kerazoo.metrics import tagging


@pytest.fixture
def right_tags(mirror):
    """The tags of tweets."""
    text = (mirror / "wnut17" / "emerging.test.annotated").read_text(encoding="utf-8")
    sentences = [
        [line.split("\t")[1] for line in block.split("\n") if line.strip()]
        for block in text.split("\n\t\n" if "\n\t\n" in text else "\n\n")
    ]
    return [sentence for sentence in sentences if sentence][:300]


def with_mistakes(sentences):
    """What a bad system would say: each tenth tag another one."""
    chance = random.Random(0)
    known = sorted({tag for sentence in sentences for tag in sentence})
    return [
        [chance.choice(known) if chance.random() < 0.1 else tag for tag in sentence]
        for sentence in sentences
    ]


@pytest.fixture
def tags(right_tags):
    return with_mistakes(right_tags), right_tags


def in_scheme(scheme, tags):
    """Return tags that are in IOB2 in another scheme."""
    written = ["O"] * len(tags)
    for kind, start, stop in get_entities(tags):
        inside = range(start, stop + 1)
        if scheme == "IOBES":
            prefixes = "S" if start == stop else "B" + "I" * (stop - start - 1) + "E"
        else:  # IOB1: B only where the entity before, of the same type, ends
            touches = start > 0 and tags[start - 1].endswith(f"-{kind}")
            prefixes = ("B" if touches else "I") + "I" * (stop - start)
        for k, prefix in zip(inside, prefixes, strict=True):
            written[k] = f"{prefix}-{kind}"
    return written


def by_seqeval(predictions, references, **options):
    """Return what seqeval says."""
    functions = seqeval.metrics
    pair = (references, predictions)
    return {
        "precision": functions.precision_score(*pair, zero_division=0, **options),
        "recall": functions.recall_score(*pair, zero_division=0, **options),
        "F1": functions.f1_score(*pair, zero_division=0, **options),
        "F1 macro": functions.f1_score(*pair, average="macro", zero_division=0, **options),
        "token accuracy": functions.accuracy_score(*pair),
    }


@pytest.mark.parametrize("strict", [False, True])
def test_scores_are_those_of_seqeval(tags, strict, picked):
    options = {"mode": "strict", "scheme": IOB2} if strict else {}
    scores = tagging.score(*tags, strict=strict)
    expected = by_seqeval(*tags, **options)
    assert scores.keys() == expected.keys()
    rows = picked(len(tags[0]))
    drawn = by_seqeval(*([each[k] for k in rows] for each in tags), **options)
    for name, value in expected.items():
        assert scores[name].value == pytest.approx(value, abs=1e-6)
        assert scores[name].drawn[0] == pytest.approx(drawn[name], abs=1e-6)
    mode = "mode:strict" if strict else "mode:default, as conlleval"
    assert mode in scores["F1"].signature


def check_types(predictions, references, scheme, strict):
    """Hold the scores of each type to what seqeval says."""
    options = {"mode": "strict", "scheme": tagging.SCHEMES[scheme]} if strict else {}
    report = seqeval.metrics.classification_report(
        references, predictions, output_dict=True, zero_division=0, **options
    )
    types = tagging.per_type(predictions, references, scheme, strict)
    assert len(types) == 6
    for name, scores in types.items():
        assert scores.precision.value == pytest.approx(report[name]["precision"], abs=1e-6)
        assert scores.recall.value == pytest.approx(report[name]["recall"], abs=1e-6)
        assert scores.f1.value == pytest.approx(report[name]["f1-score"], abs=1e-6)
        assert scores.support == report[name]["support"]


@pytest.mark.parametrize("strict", [False, True])
def test_each_type_has_its_scores(tags, strict):
    check_types(*tags, "IOB2", strict)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("scheme", "theirs"), [("IOB1", IOB1), ("IOBES", IOBES)])
def test_real_tags_score_as_in_seqeval_in_other_schemes(right_tags, scheme, theirs, strict):
    references = [in_scheme(scheme, tags) for tags in right_tags]
    assert list(map(get_entities, references)) == list(map(get_entities, right_tags))
    predictions = with_mistakes(references)
    options = {"mode": "strict", "scheme": theirs} if strict else {}
    scores = tagging.score(predictions, references, scheme, strict)
    for name, value in by_seqeval(predictions, references, **options).items():
        assert scores[name].value == pytest.approx(value, abs=1e-6)
    assert 0.2 < scores["F1"].value < 0.9
    check_types(predictions, references, scheme, strict)


def test_an_entity_without_a_beginning_counts_in_the_default_mode_alone():
    gold, predicted = [["B-person", "I-person", "O"]], [["I-person", "I-person", "O"]]
    assert tagging.score(predicted, gold)["F1"].value == 1
    assert tagging.score(predicted, gold, strict=True)["F1"].value == 0


@pytest.mark.parametrize(
    ("scheme", "theirs", "gold", "predicted"),
    [
        ("IOB1", IOB1, ["I-a", "B-a", "O", "I-b"], ["I-a", "I-a", "O", "I-b"]),
        ("IOB2", IOB2, ["B-a", "B-a", "O", "B-b"], ["B-a", "I-a", "O", "B-b"]),
        ("IOBES", IOBES, ["S-a", "S-a", "O", "B-b", "E-b"], ["B-a", "E-a", "O", "B-b", "I-b"]),
    ],
)
def test_every_scheme_scores_as_in_seqeval(scheme, theirs, gold, predicted):
    for strict, options in ((False, {}), (True, {"mode": "strict", "scheme": theirs})):
        scores = tagging.score([predicted], [gold], scheme, strict)
        for name, value in by_seqeval([predicted], [gold], **options).items():
            assert scores[name].value == pytest.approx(value, abs=1e-6)
        assert f"|scheme:{scheme}|" in scores["F1"].signature


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("predictions", "references"),
    [
        ([["O", "O"], []], [["O", "O"], []]),
        ([["O", "O"], []], [["B-a", "I-a"], []]),
        ([["B-a", "I-a"], []], [["O", "O"], []]),
        ([[], ["B-a"], ["O"]], [[], ["B-a"], ["B-b"]]),
    ],
)
def test_sentences_without_entities_and_without_tokens(predictions, references, strict):
    options = {"mode": "strict", "scheme": IOB2} if strict else {}
    scores = tagging.score(predictions, references, strict=strict)
    for name, value in by_seqeval(predictions, references, **options).items():
        expected = np.nan_to_num(value)  # seqeval's mean over no types is no number, and here 0
        assert scores[name].value == pytest.approx(expected, abs=1e-6)
    assert tagging.per_type([["O"]], [["O"]]) == {}


def test_types_may_be_in_any_alphabet():
    assert tagging.score([["B-人名", "I-人名"]], [["B-人名", "I-人名"]])["F1"].value == 1


@pytest.mark.parametrize(
    ("predictions", "scheme", "message"),
    [
        ([["O"]], "IOB2", "sentence 1 has 2 tokens and 1 predicted tags"),
        ([], "IOB2", "0 predictions and 1 references"),
        ([["O", "X-a"]], "IOB2", "'X-a' is no tag of IOB2, which has O, B-TYPE, I-TYPE"),
        ([["O", "E-a"]], "IOB1", "'E-a' is no tag of IOB1"),
        ([["O", "person"]], "IOBES", "'person' is no tag"),
        ([["O", "O"]], "BILOU", "no scheme 'BILOU'; there are IOB2, IOB1, IOBES"),
    ],
)
def test_what_cannot_be_scored_is_refused(predictions, scheme, message):
    with pytest.raises(InputError, match=message):
        tagging.score(predictions, [["O", "O"]], scheme)


def test_no_tokens_at_all_are_refused():
    with pytest.raises(InputError, match="no tokens"):
        tagging.score([[], []], [[], []])


def test_a_better_tagger_is_told(tags):
    predictions, references = tags
    better = [tag if k % 2 else gold for k, (tag, gold) in enumerate(zip(*tags, strict=True))]
    difference = tagging.score(better, references)["F1"].against(
        tagging.score(predictions, references)["F1"]
    )
    assert difference.value > 0
    assert difference.p_value < 0.01
    assert np.all(np.array(difference.interval) > 0)
