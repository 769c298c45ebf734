import gzip

import pytest

from kerazoo.data import datasets
from kerazoo.data.datasets import DataConfig, load


def corpus_of(name, **fields):
    return load(DataConfig(name=name, **fields), "pairs")


@pytest.mark.parametrize(("name", "target"), [("reverse", lambda s: s[::-1]), ("copy", str)])
def test_the_strings_to_learn_are_right_and_never_in_two_splits(name, target):
    corpus = corpus_of(name)
    assert [len(records) for records in corpus.records.values()] == [20_000, 1_000, 1_000]
    found = [record for records in corpus.records.values() for record in records]
    assert len({record["source"] for record in found}) == 22_000
    assert all(record["target"] == target(record["source"]) for record in found)


@pytest.mark.parametrize(
    ("name", "number", "held_out", "languages"),
    [
        ("anki-spa-eng", 118_964, 2_000, ("en", "es")),
        ("anki-cmn-eng", 22_038, 1_000, ("en", "zh")),
    ],
)
def test_no_sentence_of_either_language_is_in_two_splits(mirror, name, number, held_out, languages):
    corpus = corpus_of(name)
    assert corpus.languages == corpus.records["test"].languages == languages
    seen = {"source": set(), "target": set()}
    pairs = 0
    for split, records in corpus.records.items():
        records = list(records)
        pairs += sum(len(record.get("references", "1")) for record in records)
        sides = {"source": {record["source"] for record in records}}
        if split == "train":
            sides["target"] = {record["target"] for record in records}
        else:
            assert len(records) == len(sides["source"]) >= held_out
            assert all(record["target"] == record["references"][0] for record in records)
            sides["target"] = {text for record in records for text in record["references"]}
        for side, sentences in sides.items():
            assert not sentences & seen[side]
            seen[side] |= sentences
    assert pairs == number


def test_swapped_pairs_go_the_other_way(mirror):
    corpus, swapped = corpus_of("anki-cmn-eng"), corpus_of("anki-cmn-eng", swap=True)
    assert swapped.languages == swapped.records["train"].languages == ("zh", "en")
    there, back = (
        sorted((r["source"], target) for r in one.records["test"] for target in r["references"])
        for one in (corpus, swapped)
    )
    assert there == sorted((target, source) for source, target in back)
    sources = [record["source"] for record in swapped.records["test"]]
    assert len(set(sources)) == len(sources)


def test_multi30k_puts_the_lines_of_two_files_together(tmp_path):
    paths = []
    for split in ("train", "val", "test"):
        for language in ("en", "de"):
            paths.append(tmp_path / f"{split}.{language}.gz")
            paths[-1].write_bytes(
                gzip.compress(f"{split} 1 {language}\n{split} 2\u2028\n".encode())
            )
    splits = datasets.find("multi30k").prepare(*paths)
    assert splits["validation"] == [
        {"source": "val 1 en", "target": "val 1 de"},
        {"source": "val 2\u2028", "target": "val 2\u2028"},
    ]


def test_a_dialogue_to_test_on_has_three_summaries(mirror):
    dev, test = (mirror / "dialogsum" / f"dialogsum.{name}.jsonl" for name in ("dev", "test"))
    splits = datasets.find("dialogsum").prepare(dev, dev, test)
    assert {split: len(records) for split, records in splits.items()} == dict.fromkeys(splits, 500)
    record = splits["test"][0]
    assert record["source"].startswith("#Person1#: Ms. Dawson, I need you to take a dictation")
    assert record["source"].count("\n") == 12
    assert len(record["references"]) == 3
    assert record["target"] == record["references"][0]
    assert "references" not in splits["train"][0]


def test_test_sets_of_wmt_are_read_as_by_sacrebleu(tmp_path, monkeypatch):
    lines = {"src.en": ["Fish &amp;  chips.", "Two <b>"], "src.es": [" Pescado. ", "«Dos»</i>"]}
    folder = tmp_path / "mirror" / "wmt13"
    folder.mkdir(parents=True)
    for side, texts in lines.items():
        segments = [f'<seg id="{n}">{text}</seg>' for n, text in enumerate(texts, start=1)]
        content = "\n".join(['<srcset setid="x">', '<doc docid="d">', *segments, "</doc>"])
        (folder / f"newstest2013-{side}.sgm").write_text(content, encoding="utf-8")
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAZOO_MIRROR", str(tmp_path / "mirror"))
    corpus = corpus_of("wmt13-en-es")
    assert list(corpus.content) == ["test"]
    assert corpus.train is None

    from sacrebleu.dataset import DATASETS

    reader = DATASETS["wmt13"]
    for side, field in (("src.en", "source"), ("src.es", "target")):
        out = tmp_path / f"{side}.txt"
        reader._convert_format(str(folder / f"newstest2013-{side}.sgm"), str(out))
        expected = out.read_text(encoding="utf-8").splitlines()
        assert [record[field] for record in corpus.records["test"]] == expected


@pytest.mark.parametrize(
    ("name", "test_set", "pair"),
    [
        ("wmt13-en-es", "wmt13", "en-es"),
        ("wmt14-en-de", "wmt14/full", "en-de"),
        ("wmt17-en-zh", "wmt17", "en-zh"),
    ],
)
def test_test_sets_of_wmt_come_from_where_sacrebleu_has_them(name, test_set, pair):
    from sacrebleu.dataset import DATASETS

    sources = datasets.find(name).sources
    assert {source.archive.url for source in sources} == set(DATASETS[test_set].data)
    assert [source.member for source in sources] == DATASETS[test_set].langpairs[pair]
