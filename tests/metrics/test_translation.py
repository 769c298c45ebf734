import numpy as np
import pytest
from sacrebleu import significance
from sacrebleu.metrics import BLEU, CHRF, TER

from kerazoo.data import datasets
from kerazoo.errors import InputError
from kerazoo.metrics import translation

THEIRS = {"BLEU": BLEU, "chrF": CHRF, "chrF++": lambda: CHRF(word_order=2), "TER": TER}


@pytest.mark.parametrize("name", THEIRS)
def test_scores_and_signatures_are_those_of_sacrebleu(name, spanish):
    predictions, _, references = spanish
    score = translation.score(predictions, references, "es")[name]
    theirs = THEIRS[name]()
    result = theirs.corpus_score(predictions, [references], n_bootstrap=1000)
    assert score.value == pytest.approx(result.score, abs=1e-6)
    assert score.signature == str(theirs.get_signature())
    # sacreBLEU sums in float32, which moves its draws a little.
    assert score.drawn.mean() == pytest.approx(result._mean, abs=1e-3)
    low, high = score.interval
    assert (high - low) / 2 == pytest.approx(result._ci, rel=0.03)


@pytest.mark.parametrize("name", THEIRS)
def test_p_values_are_those_of_sacrebleu(name, spanish, monkeypatch):
    predictions, baseline, references = spanish
    mine, other = (
        translation.score(each, references, metrics=[name])[name]
        for each in (predictions, baseline)
    )
    _, result = significance.PairedTest(
        [("baseline", baseline), ("system", predictions)],
        {name: THEIRS[name]()},
        [references],
        test_type="ar",
    )()
    (theirs,) = (results[1] for key, results in result.items() if key != "System")
    difference = mine.against(other)
    # sacreBLEU leaves out the shuffles that make the same difference again.
    assert difference.p_value == pytest.approx(theirs.p_value, abs=1e-2)
    assert difference.value == pytest.approx(mine.value - other.value)
    monkeypatch.setattr(translation, "_CHUNK", 10_000)  # as for many examples
    assert mine.against(other).p_value == difference.p_value


def test_several_references_count_as_in_sacrebleu(spanish):
    predictions, other, references = spanish
    scores = translation.score(predictions, list(zip(references, other, strict=True)))
    for name, theirs in THEIRS.items():
        expected = theirs().corpus_score(predictions, [references, other]).score
        assert scores[name].value == pytest.approx(expected, abs=1e-6)
    assert scores["BLEU"].signature.startswith("nrefs:2|")


def test_examples_may_have_different_numbers_of_references(spanish):
    predictions, other, references = spanish
    second = [text if k % 2 else None for k, text in enumerate(other)]
    several = [[a, b] if b else [a] for a, b in zip(references, second, strict=True)]
    scores = translation.score(predictions, several)
    for name, theirs in THEIRS.items():
        expected = theirs().corpus_score(predictions, [references, second]).score
        assert scores[name].value == pytest.approx(expected, abs=1e-6)
    assert scores["BLEU"].signature.startswith("nrefs:var|")


def test_chinese_is_cut_into_characters(chinese):
    predictions, references = chinese
    scores = translation.score(predictions, references, "zh-CN")
    for name, theirs in {
        "BLEU": BLEU(tokenize="zh"),
        "chrF": CHRF(),
        "chrF++": CHRF(word_order=2),
        "TER": TER(normalized=True, asian_support=True),
    }.items():
        expected = theirs.corpus_score(predictions, [references], n_bootstrap=1000).score
        assert scores[name].value == pytest.approx(expected, abs=1e-6)
        assert scores[name].signature == str(theirs.get_signature())
    # A third of the characters is missing; without asian:yes, whole sentences would be.
    assert 20 < scores["TER"].value < 45


def test_ter_takes_kana_for_words_and_cuts_chinese_characters_alone():
    # 私 はコーヒーを 飲 みます 。: one of five words is another.
    pair = ["私はコーヒーを飲みます。"], ["私はこーひーを飲みます。"]
    score = translation.score(*pair, "ja", ["TER"])["TER"]
    assert score.value == pytest.approx(100 / 5)
    theirs = TER(normalized=True, asian_support=True).corpus_score(pair[0], [pair[1]])
    assert score.value == pytest.approx(theirs.score)
    thai = translation.score(["ฉันดื่มกาแฟ"], ["ฉันดื่มชา"], "th", ["TER"])["TER"]
    assert thai.value == 100  # a single word


def test_words_that_stand_apart_already_are_taken_as_they_are(caplog):
    predictions = ["er kauft 3.5-liter-dosen &quot; bier &quot; , und @-@ er lacht ."] * 100
    references = [text.replace("bier", "wein") for text in predictions]
    _, language = datasets.find("multi30k-tokenised").languages
    score = translation.score(predictions, references, language)["BLEU"]
    theirs = {name: BLEU(tokenize=name, force=True) for name in ("none", "13a")}
    expected = {
        name: each.corpus_score(predictions, [references], n_bootstrap=1000).score
        for name, each in theirs.items()
    }
    assert score.value == pytest.approx(expected["none"], abs=1e-6)
    assert abs(expected["none"] - expected["13a"]) > 1
    assert score.signature == str(theirs["none"].get_signature())
    assert "tokenized" not in caplog.text
    _, raw = datasets.find("multi30k").languages
    assert "|tok:13a|" in translation.score(predictions, references, raw)["BLEU"].signature
    assert translation.tokenize("don't", language) == ["don't"]


@pytest.mark.parametrize("language", ["ja", "ko", "th"])
def test_languages_without_a_tokenizer_of_their_own_are_cut_into_characters(language):
    (score,) = translation.score(["漢字かな"], ["漢字かな"], language, ["BLEU"]).values()
    assert score.value == pytest.approx(100)
    assert "tok:char|" in score.signature or "mecab" in score.signature


@pytest.mark.parametrize(
    ("predictions", "references"),
    [
        ([""], ["hola mundo"]),
        (["", "hola"], ["hola mundo", "hola"]),
        (["", ""], ["hola mundo", "hola"]),
        (["hola mundo"], [""]),
        (["hola mundo", "hola"], ["", "hola"]),
        (["", "hola"], ["", ""]),
        ([" "], ["\n"]),
    ],
)
def test_what_is_empty_scores_as_in_sacrebleu(predictions, references):
    scores = translation.score(predictions, references)
    for name, theirs in THEIRS.items():
        expected = theirs().corpus_score(predictions, [references]).score
        assert scores[name].value == pytest.approx(expected, abs=1e-6)


def test_a_system_is_not_better_than_itself(spanish):
    # sacreBLEU gives p = 1 / 10,001 here: it does not count shuffles that change nothing.
    predictions, _, references = spanish
    score = translation.score(predictions, references, metrics=["BLEU"])["BLEU"]
    assert score.against(score).p_value == 1


def test_groups_are_drawn_as_one(spanish):
    predictions, _, references = spanish
    groups = np.arange(len(predictions)) // 10
    alone = translation.score(predictions, references, metrics=["BLEU"])["BLEU"]
    together = translation.score(predictions, references, metrics=["BLEU"], groups=groups)["BLEU"]
    assert together.value == pytest.approx(alone.value)
    assert together.num_examples == len(predictions) // 10


@pytest.mark.parametrize(
    ("predictions", "references", "options", "message"),
    [
        (["a"], ["a", "b"], {}, "1 predictions and 2 references"),
        ([], [], {}, "no examples"),
        (["a", None], ["a", "b"], {}, "prediction 2 is missing"),
        (["a", "b"], [["a"], []], {}, "example 2 has no reference"),
        (["a"], ["a"], {"metrics": ["blue"]}, "no metric 'blue'"),
        (["a"], ["a"], {"language": "Chinese"}, "'Chinese'; give its code"),
    ],
)
def test_what_cannot_be_scored_is_refused(predictions, references, options, message):
    with pytest.raises(InputError, match=message):
        translation.score(predictions, references, **options)


def test_exchanging_few_differing_examples_may_always_make_as_much(spanish):
    references = spanish[-1][:40]
    score = translation.score(references, references, "es", ["BLEU"])["BLEU"]
    for number in (1, 2):
        worse = ["nada de eso"] * number + references[number:]
        other = translation.score(worse, references, "es", ["BLEU"])["BLEU"]
        # Of two examples, exchanging both or none makes the same difference, that is in 2 of 4.
        assert score.against(other).p_value == pytest.approx(2 / 2**number, abs=0.02)
