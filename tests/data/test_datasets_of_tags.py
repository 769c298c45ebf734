import pytest

from kerazoo.data.datasets import DataConfig, load
from kerazoo.data.sources import home
from kerazoo.errors import InputError

ENTITIES = {"train": 1_975, "validation": 836, "test": 1_079}


def test_wnut17_has_its_sentences_and_entities(mirror):
    corpus = load(DataConfig(name="wnut17"), "tags")
    found = {split: list(records) for split, records in corpus.records.items()}
    assert [len(records) for records in found.values()] == [3_394, 1_009, 1_287]
    for split, records in found.items():
        assert all(len(record["tokens"]) == len(record["tags"]) for record in records)
        begun = sum(tag.startswith("B-") for record in records for tag in record["tags"])
        assert begun == ENTITIES[split]


def test_conll_2003_is_read_from_files_put_in_place_and_turned_into_bio(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"no public address.*Put a copy at .*eng\.train"):
        load(DataConfig(name="conll-2003"), "tags")
    sentence = "U.N. NNP I-NP I-ORG\nEkeus NNP I-NP I-PER\nBaghdad NNP B-NP B-PER\n. . O O\n\n"
    folder = home() / "downloads" / "conll-2003"
    for name in ("train", "testa", "testb"):
        (folder / f"eng.{name}").write_text(f"-DOCSTART- -X- O O\n\n{sentence}")
    corpus = load(DataConfig(name="conll-2003"), "tags")
    assert list(corpus.records["test"]) == [
        {"tokens": ["U.N.", "Ekeus", "Baghdad", "."], "tags": ["B-ORG", "B-PER", "B-PER", "O"]}
    ]
    told = capsys.readouterr().err
    assert told.count("is used unverified: no sha256 is published; its own is ") == 3
    load(DataConfig(name="conll-2003"), "tags")
    assert capsys.readouterr().err == ""
