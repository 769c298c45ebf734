import hashlib
import io
import re
import zipfile
from dataclasses import replace

import pytest

from kerazoo.data import datasets, datasets_of_text
from kerazoo.data.datasets import DataConfig, load
from kerazoo.data.sources import place
from kerazoo.errors import InputError


def test_every_dataset_says_what_a_user_must_know():
    for name, dataset in datasets.DATASETS.items():
        assert dataset.name == name
        for field in ("title", "task", "language", "size", "licence", "citation", "split"):
            assert getattr(dataset, field), f"{name} has no {field}"
        for source in dataset.sources:
            assert source.sha256 is None or len(source.sha256) == 64


def test_an_unknown_dataset_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'tinyshakespeare'"):
        load(DataConfig(name="tinyshakespear"))


def test_pydoc_needs_no_network_and_has_three_splits(monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    corpus = load(DataConfig(name="pydoc"))
    assert list(corpus.splits) == ["train", "validation", "test"]
    assert corpus.train.num_bytes > 250_000
    assert min(corpus.validation.num_bytes, corpus.test.num_bytes) > 20_000


def test_pydoc_has_no_paragraph_in_two_splits():
    paragraphs = [
        {" ".join(each.split()) for each in re.split(r"\n\s*\n", text.read().strip())}
        for text in load(DataConfig(name="pydoc")).splits.values()
    ]
    assert sum(map(len, paragraphs)) == len(set.union(*paragraphs))


def test_tinyshakespeare_is_split_as_by_everyone(mirror):
    corpus = load(DataConfig(name="tinyshakespeare"))
    whole = (mirror / "tinyshakespeare" / "input.txt").read_text()
    assert corpus.train.read() == whole[:1_003_854]
    assert corpus.validation.read() == whole[1_003_854:]
    assert corpus.test is None


def test_no_name_is_in_two_splits_or_twice_in_one(mirror):
    corpus = load(DataConfig(name="names"))
    names = [text.read().splitlines() for text in corpus.splits.values()]
    everything = [name for split in names for name in split]
    assert len(everything) == len(set(everything)) == 29_494
    assert [len(split) for split in names] == [23_595, 2_949, 2_950]
    assert set(everything) == set((mirror / "names" / "names.txt").read_text().split())


PTB_SPLITS = {"train": " a b \n c <unk> \n", "valid": " a N \n", "test": " b \n"}


def test_ptb_is_read_from_files_put_in_place_by_hand(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path))
    own = put_in_place("ptb", {f"ptb.{n}.txt": t for n, t in PTB_SPLITS.items()})
    monkeypatch.setitem(datasets.DATASETS, "ptb", own)
    texts = {name: text.read() for name, text in load(DataConfig(name="ptb")).splits.items()}
    assert texts == dict(zip(datasets.SPLITS, PTB_SPLITS.values(), strict=True))


def test_wikitext_is_read_from_its_archive(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("train", "valid", "test"):
            archive.writestr(f"wikitext-2/wiki.{name}.tokens", f" = {name.title()} = \n")
        archive.writestr("wikitext-2/../../outside.txt", "never written anywhere")
    own = put_in_place("wikitext-2", {"wikitext-2-v1.zip": content.getvalue()})
    monkeypatch.setitem(datasets.DATASETS, "wikitext-2", own)
    texts = {name: text.read() for name, text in load(DataConfig(name="wikitext-2")).splits.items()}
    assert texts == {
        "train": " = Train = \n",
        "validation": " = Valid = \n",
        "test": " = Test = \n",
    }
    assert not list(tmp_path.rglob("outside.txt"))


def test_a_wikitext_archive_without_a_split_is_refused(tmp_path):
    path = tmp_path / "wikitext-2-v1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("wikitext-2/wiki.train.tokens", "x")
    with pytest.raises(InputError, match="no valid, test split"):
        datasets.find("wikitext-2").prepare(path)


def put_in_place(name, files):
    """Put made-up files where a dataset's are kept; return the dataset with their checksums."""
    dataset = datasets.find(name)
    assert [source.filename for source in dataset.sources] == list(files)
    sources = []
    for source, content in zip(dataset.sources, files.values(), strict=True):
        content = content if isinstance(content, bytes) else content.encode()
        path = place(source, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sources.append(replace(source, sha256=hashlib.sha256(content).hexdigest()))
    return replace(dataset, sources=tuple(sources))


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "words"),
    [("ptb", (887_521, 70_390, 78_669)), ("wikitext-2", (2_051_910, 213_886, 241_211))],
)
def test_a_benchmark_has_as_many_words_as_is_published(name, words):
    try:
        corpus = load(DataConfig(name=name))
    except InputError as error:
        pytest.skip(f"needs the files of {name}: {error}")
    assert tuple(len(text.read().split()) for text in corpus.splits.values()) == words


@pytest.mark.network
def test_shakespeare_is_38_plays_without_markdown():
    corpus = load(DataConfig())
    texts = {name: text.read() for name, text in corpus.splits.items()}
    assert 4_900_000 < sum(map(len, texts.values())) < 5_100_000
    for text in texts.values():
        assert not set(text) & set("*_#\\<>")
    assert texts["validation"].startswith("Twelfth Night\n")
    assert "\nMACBETH:\nSo foul and fair a day I have not seen.\n" in texts["validation"]
    assert "[Enter CALIBAN with a burden of wood. A noise of thunder heard]" in texts["test"]
    assert "MACBETH:" not in texts["train"]


def test_stage_directions_keep_brackets_and_speakers_a_colon():
    play = (
        "# A Play\n\n## ACT I\n\n_Enter PUCK, and\nothers_\n\n**PUCK**  \n"
        "__\\[Aside]_  \nWhat, ho!'\\--  \n\n_Exit_\n"
    )
    assert datasets_of_text.plain_play(play) == (
        "A Play\n\nACT I\n\n[Enter PUCK, and\nothers]\n\nPUCK:\n[Aside]\nWhat, ho!'--\n\n[Exit]\n"
    )


def test_the_last_tenth_of_your_own_file_is_for_validation(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("0123456789" * 10)
    corpus = load(DataConfig(text=path))
    assert corpus.train.read() == "0123456789" * 9
    assert corpus.validation.read() == "0123456789"


def test_your_own_validation_file_leaves_the_text_whole(tmp_path):
    (tmp_path / "a.txt").write_text("train")
    (tmp_path / "b.txt").write_text("held out")
    corpus = load(DataConfig(text=tmp_path / "a.txt", validation=tmp_path / "b.txt"))
    assert (corpus.train.read(), corpus.validation.read()) == ("train", "held out")


def test_a_folder_is_its_text_files_in_order_but_for_hidden_ones(tmp_path):
    folder = tmp_path / ".mine"
    files = {"b.txt": "b" * 50, "inner/a.txt": "i" * 50, "c.md": "no", ".d.txt": "no"}
    for name, content in (files | {".ipynb_checkpoints/b-checkpoint.txt": "no"}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    corpus = load(DataConfig(text=folder))
    assert corpus.train.read() + corpus.validation.read() == "b" * 50 + "\n" + "i" * 50


def test_cleaning_makes_a_copy_and_leaves_your_file_alone(tmp_path):
    path = tmp_path / "page.txt"
    path.write_text("<p>one &amp; two</p>\n" * 10)
    corpus = load(DataConfig(text=path, cleaning=("html",)))
    assert corpus.train.read() == "one & two\n" * 9
    assert path.read_text() == "<p>one &amp; two</p>\n" * 10


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"validation": "x"}, "goes with --data.text"),
        ({"text": "missing.txt"}, "no file or folder"),
        ({"cleaning": ("htlm",)}, "did you mean 'html'"),
    ],
)
def test_what_cannot_be_loaded_is_refused(config, message, tmp_path):
    config = {
        name: tmp_path / value if name != "cleaning" else value for name, value in config.items()
    }
    with pytest.raises(InputError, match=message):
        load(DataConfig(**config))


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        ({"fold": 10}, "labels", "--data.fold is 10; give a fold from 0 to 9"),
        ({"name": "trec", "fold": 1}, "labels", r"scored by cross-validation \(mr\), and 'trec'"),
        ({"text": "a.csv", "fold": 1}, "labels", "--data.fold is for datasets that have folds"),
        ({"name": "trec", "swap": True}, "labels", "--data.swap is for pairs, and the task reads"),
        ({"name": "reverse", "swap": True}, "text", "--data.swap is for pairs"),
        (
            {"columns": ("a", "b")},
            "labels",
            "--data.columns is for a table or .jsonl file of yours",
        ),
        ({"text": "a.txt", "columns": ("a",)}, "text", "--data.columns is for a table"),
        (
            {"name": "pydoc"},
            "labels",
            "'pydoc' has text, and the task reads labels; give one of trec",
        ),
        ({"name": "trec"}, "pairs", "'trec' has labels, and the task reads pairs; give one of rev"),
        ({"name": "wnut17", "cleaning": ("nfc",)}, "tags", "tags cannot be cleaned"),
        ({"name": "reverse", "cleaning": ("near_duplicates",)}, "pairs", "is for plain text"),
    ],
)
def test_what_does_not_fit_the_kind_of_examples_is_refused(config, kind, message):
    with pytest.raises(InputError, match=message):
        load(DataConfig(**config), kind)


def test_the_plain_text_of_any_dataset_can_be_had_and_cleaned(mirror):
    corpus = load(DataConfig(name="xquad-en", cleaning=("lowercase", "near_duplicates")))
    assert (corpus.kind, corpus.records) == ("text", {})
    text = corpus.test.read()
    assert text == text.lower()
    assert len(text.splitlines()) > 91


def test_cleaning_of_records_is_beside_the_others(mirror):
    plain = load(DataConfig(name="trec"), "labels")
    lower = load(DataConfig(name="trec", cleaning=("lowercase",)), "labels")
    assert plain.records["test"].head(1)[0]["text"] == "How far is it from Denver to Aspen ?"
    assert lower.records["test"].head(1)[0]["text"] == "how far is it from denver to aspen ?"
    assert lower.train.read() == plain.train.read().lower()


def test_a_folder_without_text_files_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no \.txt file"):
        load(DataConfig(text=tmp_path))


def test_a_text_too_short_to_split_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match="is empty"):
        load(DataConfig(text=tmp_path / "a.txt"))


def test_a_preparation_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path / "home"))

    def fails():
        yield "a line\n"
        raise OSError("the disk is full")

    broken = datasets.Dataset("broken", *["-"] * 7, prepare=lambda: {"train": fails()})
    monkeypatch.setitem(datasets.DATASETS, "broken", broken)
    with pytest.raises(OSError, match="the disk is full"):
        load(DataConfig(name="broken"))
    assert list((tmp_path / "home" / "prepared").iterdir()) == []
