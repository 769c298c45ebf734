"""Datasets of texts with a label each: to classify, or to put a number on."""

import csv
import html
import io
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .dataset import SPLITS, Dataset, Splits, in_tenths, lines_of, stratified_tenths
from .records import Record
from .sources import Member, Url

_SENT_CONV = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data"
_AG_NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv"

TREC = {
    "0": "description",
    "1": "entity",
    "2": "abbreviation",
    "3": "human",
    "4": "location",
    "5": "number",
}
POLARITY = {"0": "negative", "1": "positive"}
BINARY = {"0": "negative", "1": "negative", "3": "positive", "4": "positive"}
AG_NEWS = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
_ENTITY_IN_PARTS = re.compile(r"(?: |(?<![&\w]))(#3[4-9]|#\d{3,4}|quot|amp|lt|gt);")
"""An entity in whose ampersand's place stands a space, as in "TiVo #39;s"."""


def _label_first(path: Path, names: Mapping[str, str] | None = None) -> list[Record]:
    """Read lines of a label, a space and a text; leave out labels that have no name."""
    records = []
    for line in lines_of(path):
        label, _, text = line.partition(" ")
        if names is None or label in names:
            records.append({"text": text.strip(), "label": names[label] if names else label})
    return records


def _by_part(records: Iterable[Record], split_of: Callable[[str], str]) -> Splits:
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for record in records:
        splits[split_of(record["text"])].append(record)
    return {split: records for split, records in splits.items() if records}


def _split_trec(train: Path, test: Path) -> Splits:
    questions = _label_first(train, TREC)
    tenths = stratified_tenths(questions)
    splits = _by_part(questions, lambda text: "train" if tenths[text] else "validation")
    return {**splits, "test": _label_first(test, TREC)}


def _split_mr(path: Path, fold: int) -> Splits:
    sentences = _label_first(path, POLARITY)
    folds = stratified_tenths(sentences)
    rest = in_tenths(text for text, other in folds.items() if other != fold)

    def split_of(text: str) -> str:
        if folds[text] == fold:
            return "test"
        return "train" if rest[text] else "validation"

    return _by_part(sentences, split_of)


def _split_sst(names: Mapping[str, str] | None, *paths: Path) -> Splits:
    return {split: _label_first(path, names) for split, path in zip(SPLITS, paths, strict=True)}


def _split_sst_fine(*paths: Path) -> Splits:
    return _split_sst(None, *paths)


def _split_sst_2(*paths: Path) -> Splits:
    return _split_sst(BINARY, *paths)


def _split_sms(path: Path) -> Splits:
    rows = (line.split("\t") for line in lines_of(path))
    messages = [{"text": text, "label": label} for label, text in rows]
    tenths = stratified_tenths(messages)
    held_out = {8: "validation", 9: "test"}
    return _by_part(messages, lambda text: held_out.get(tenths[text], "train"))


def _split_ag_news(train: Path, test: Path) -> Splits:
    def read(path: Path) -> list[Record]:
        rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        # A title and a description; backslashes stand where the feed had line breaks.
        return [
            {"text": f"{title} {' '.join(about.split(chr(92)))}", "label": AG_NEWS[label]}
            for label, title, about in rows
        ]

    articles = read(train)
    twentieth = stratified_tenths(articles)
    halves = in_tenths(text for text, tenth in twentieth.items() if tenth == 0)
    held_out = {text for text, tenth in halves.items() if tenth < 5}
    splits = _by_part(articles, lambda text: "validation" if text in held_out else "train")
    splits["test"] = read(test)
    return {split: list(map(_with_characters, records)) for split, records in splits.items()}


def _with_characters(article: Record) -> Record:
    """Turn entities into characters, so that tags are tags, which cleaning takes out."""
    return {**article, "text": html.unescape(_ENTITY_IN_PARTS.sub(r"&\1;", article["text"]))}


def _split_chnsenticorp(*paths: Path) -> Splits:
    def read(path: Path) -> list[Record]:
        _, *rows = (line.split("\t", 1) for line in lines_of(path))  # the first names the columns
        return [{"text": text, "label": POLARITY[label]} for label, text in rows]

    return {split: read(path) for split, path in zip(SPLITS, paths, strict=True)}


_SST_SOURCES = tuple(
    Url(url=f"{_SENT_CONV}/stsa.fine.{name}", sha256=sha256, size=size)
    for name, sha256, size in (
        ("train", "9b52b5f686ed438d4d0274c385369251b3d579b578fddd340ba8a9bae2ca4bee", 902_818),
        ("dev", "b2f76c62b960f9fda5c6d751edb125abab4f878eb94a8754239b7f4af647f4c3", 117_239),
        ("test", "0e2ebb450c231f7b3d67fc932066e7bb26ae7bad8c88488f45ed44ef02eb3c73", 233_634),
    )
)
_SOCHER = "Socher et al. (2013), https://aclanthology.org/D13-1170/; sentences by Kim (2014)"

DATASETS = (
    Dataset(
        name="trec",
        title="questions by what they ask for: description, entity, abbreviation, human, ...",
        task="classification",
        language="en",
        size="0.3 MB",
        licence="MIT (the repository)",
        citation="Li and Roth (2002), https://aclanthology.org/C02-1150/",
        split="standard test of 500; a tenth of the 5,452 others for validation, by label and "
        "hash; 10 test questions are among these others, too",
        prepare=_split_trec,
        sources=(
            Url(
                url=f"{_SENT_CONV}/TREC.train.all",
                sha256="c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e",
                size=292_402,
            ),
            Url(
                url=f"{_SENT_CONV}/TREC.test.all",
                sha256="92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566",
                size=19_479,
            ),
        ),
        cleaning=(),
        kind="labels",
    ),
    Dataset(
        name="mr",
        title="sentences of film reviews, negative or positive",
        task="classification",
        language="en",
        size="1.3 MB",
        licence="MIT (the repository)",
        citation="Pang and Lee (2005), https://aclanthology.org/P05-1015/",
        split="ten folds by label and hash: --data.fold is for testing, a tenth of the others for "
        "validation",
        prepare=_split_mr,
        sources=(
            Url(
                url=f"{_SENT_CONV}/rt-polarity.all",
                sha256="b8846c3bbd59241f901efdc58f7c515e4b280ab3561fd1858caa5aa48da95a8a",
                size=1_259_719,
            ),
        ),
        cleaning=(),
        kind="labels",
        has_folds=True,
    ),
    Dataset(
        name="sst-fine",
        title="sentences of film reviews, 0 (very negative) to 4 (very positive)",
        task="classification, regression",
        language="en",
        size="1.3 MB",
        licence="MIT (the repository)",
        citation=_SOCHER,
        split="standard: 8,544 / 1,101 / 2,210 sentences; 3 of them are in two splits",
        prepare=_split_sst_fine,
        sources=_SST_SOURCES,
        cleaning=(),
        kind="labels",
    ),
    Dataset(
        name="sst-2",
        title="sentences of film reviews, negative or positive; no phrases, none that are neutral",
        task="classification",
        language="en",
        size="1.0 MB",
        licence="MIT (the repository)",
        citation=_SOCHER,
        split="standard: 6,920 / 872 / 1,821 sentences",
        prepare=_split_sst_2,
        sources=_SST_SOURCES,
        cleaning=(),
        kind="labels",
        folder="sst-fine",
    ),
    Dataset(
        name="sms-spam",
        title="text messages: ham or spam",
        task="classification",
        language="en",
        size="0.5 MB",
        licence="CC BY 4.0",
        citation="Almeida et al. (2011), https://archive.ics.uci.edu/dataset/228",
        split="80 % / 10 % / 10 % of the distinct messages, by label and hash",
        prepare=_split_sms,
        sources=(
            Url(
                url="https://raw.githubusercontent.com/justmarkham/pycon-2016-tutorial/master/"
                "data/sms.tsv",
                sha256="7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
                size=477_907,
            ),
        ),
        cleaning=(),
        kind="labels",
    ),
    Dataset(
        name="ag-news",
        title="title and first lines of news articles: World, Sports, Business, Sci/Tech",
        task="classification",
        language="en",
        size="31 MB",
        licence="for research and other non-commercial use",
        citation="Zhang et al. (2015), https://arxiv.org/abs/1509.01626",
        split="standard test of 7,600; a twentieth of the 120,000 others for validation, by label "
        "and hash",
        prepare=_split_ag_news,
        sources=(
            Url(
                url=f"{_AG_NEWS}/train.csv",
                sha256="76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
                size=29_470_338,
            ),
            Url(
                url=f"{_AG_NEWS}/test.csv",
                sha256="521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
                size=1_857_427,
            ),
        ),
        cleaning=("html",),
        kind="labels",
    ),
    Dataset(
        name="chnsenticorp",
        title="Chinese reviews of hotels, books and computers, negative or positive",
        task="classification",
        language="zh",
        size="4 MB",
        licence="not stated",
        citation="Songbo Tan, ChnSentiCorp; the splits are those of Baidu's ERNIE, "
        "https://arxiv.org/abs/1904.09223",
        split="standard: 9,600 / 1,200 / 1,200",
        prepare=_split_chnsenticorp,
        sources=tuple(
            Member(
                filename=f"{name}.tsv",
                archive=Url("https://bj.bcebos.com/paddlehub-dataset/chnsenticorp.tar.gz"),
                member=f"chnsenticorp/{name}.tsv",
            )
            for name in ("train", "dev", "test")
        ),
        cleaning=(),
        kind="labels",
    ),
)
