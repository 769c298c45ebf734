from collections import Counter

import pytest

from kerazoo.data import datasets, records
from kerazoo.data.datasets import DataConfig, load


def corpus_of(name, **fields):
    return load(DataConfig(name=name, **fields), "labels")


def counts(corpus):
    return {split: len(records) for split, records in corpus.records.items()}


def texts(records):
    return {record["text"] for record in records}


def overlap(corpus):
    """Return how many distinct texts two splits share, summed over the pairs of splits."""
    train, validation, test = map(texts, corpus.records.values())
    return len(train & validation) + len(train & test) + len(validation & test)


def test_trec_holds_out_a_tenth_and_names_its_labels(mirror):
    corpus = corpus_of("trec")
    assert counts(corpus) == {"train": 4_901, "validation": 551, "test": 500}
    assert sum(counts(corpus).values()) == 5_452 + 500
    train, validation, test = map(texts, corpus.records.values())
    assert not train & validation
    assert len((train | validation) & test) == 10
    assert Counter(record["label"] for record in corpus.records["test"]) == {
        "description": 138,
        "number": 113,
        "entity": 94,
        "location": 81,
        "human": 65,
        "abbreviation": 9,
    }
    labels = {
        record["text"]: record["label"] for split in corpus.records.values() for record in split
    }
    assert labels["What is the full form of .com ?"] == "abbreviation"
    assert labels["When was Ozzy Osbourne born ?"] == "number"


def test_the_plain_text_of_labels_is_a_text_a_line(mirror):
    corpus = load(DataConfig(name="trec"))
    assert (corpus.kind, corpus.records, corpus.languages) == ("text", {}, ("en",))
    assert len(corpus.train.read().splitlines()) > 4_800


def test_the_folds_of_mr_are_ten_parts_of_it(mirror):
    tests = []
    for fold in range(10):
        corpus = corpus_of("mr", fold=fold)
        assert overlap(corpus) == 0
        assert sum(counts(corpus).values()) == 10_662
        labels = Counter(record["label"] for record in corpus.records["test"])
        assert set(labels) == {"negative", "positive"}
        assert abs(labels["negative"] - labels["positive"]) <= 1
        tests.append(texts(corpus.records["test"]))
    assert sum(map(len, tests)) == len(set().union(*tests)) == 10_662
    assert texts(corpus_of("mr").records["test"]) == tests[0]


def test_mr_is_decoded_without_control_characters(mirror):
    corpus = corpus_of("mr")
    everything = set().union(*map(texts, corpus.records.values()))
    assert not any("\x80" <= character <= "\x9f" for text in everything for character in text)
    assert any("clichés" in text for text in everything)
    assert any("\u2014" in text for text in everything)


def test_sst_has_its_standard_splits(mirror):
    corpus = corpus_of("sst-fine")
    assert counts(corpus) == {"train": 8_544, "validation": 1_101, "test": 2_210}
    assert overlap(corpus) == 3
    assert {record["label"] for record in corpus.records["train"]} == set("01234")
    first = corpus.records["train"].head(1)[0]
    assert (first["label"], first["text"][:19]) == ("4", "a stirring , funny ")


def test_sst_2_is_what_is_not_neutral(mirror):
    corpus = corpus_of("sst-2")
    assert counts(corpus) == {"train": 6_920, "validation": 872, "test": 1_821}
    assert {record["label"] for record in corpus.records["test"]} == {"negative", "positive"}


def test_equal_messages_are_in_one_split(mirror):
    corpus = corpus_of("sms-spam")
    assert overlap(corpus) == 0
    found = Counter(record["label"] for split in corpus.records.values() for record in split)
    assert found == {"ham": 4_827, "spam": 747}
    share = counts(corpus)["test"] / 5_574
    assert share == pytest.approx(0.1, abs=0.01)


def test_ag_news_is_read_from_its_table(tmp_path):
    rows = [
        f'"{1 + number % 4}","Title {number}","Two\\lines, ""quoted"""\n' for number in range(400)
    ]
    for name, content in {"train.csv": rows, "test.csv": rows[:3]}.items():
        (tmp_path / name).write_text("".join(content))
    splits = datasets.find("ag-news").prepare(tmp_path / "train.csv", tmp_path / "test.csv")
    assert {split: len(records) for split, records in splits.items()} == {
        "train": 380,
        "validation": 20,
        "test": 3,
    }
    assert splits["test"][0] == {"text": 'Title 0 Two lines, "quoted"', "label": "World"}


def test_ag_news_comes_without_tags_and_entities(tmp_path, monkeypatch):
    about = (
        'It #39;s  quot;good quot; for &lt;A HREF=""http://x.org/q?a=B target=/c""&gt;B&lt;/A&gt;'
    )
    row = f'"3","A  #36;5 deal","{about}, AT&amp;T and 3 &lt; 4; we #1;"\n'
    (tmp_path / "a.csv").write_text(row * 3)
    own = datasets.find("ag-news")
    splits = own.prepare(tmp_path / "a.csv", tmp_path / "a.csv")
    cleaned = records.cleaned(splits["test"], "labels", own.cleaning)
    text = 'A $5 deal It\'s "good" for B, AT&T and 3 < 4; we #1;'
    assert list(cleaned) == [{"text": text, "label": "Business"}] * 3


def test_chnsenticorp_is_read_from_its_tables(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text('label\ttext_a\n1\t好\n0\t"不好"\n')
    splits = datasets.find("chnsenticorp").prepare(path, path, path)
    assert splits["train"] == [
        {"text": "好", "label": "positive"},
        {"text": '"不好"', "label": "negative"},
    ]
