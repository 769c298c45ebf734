"""Datasets of questions on a text, whose answers are parts of it; all in SQuAD's format."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import own_files
from .annotated_files import read_json
from .dataset import SPLITS, Dataset, Splits, in_order_of_hash, in_tenths
from .records import Record
from .sources import Url


def _by_article(path: Path) -> dict[str, list[Record]]:
    """Return the questions on each article, by its title."""
    articles: dict[str, list[Record]] = {}
    for article in read_json(path)["data"]:
        questions = own_files.questions_of({"data": [article]}, path)
        articles.setdefault(article["title"], []).extend(map(_in_place, questions))
    return articles


def _in_place(question: Record) -> Record:
    """Put answers whose place is not right to the nearest right one.

    Those that are nowhere in the context come last and have the place None.
    """
    answers = [
        {"text": text, "start": _nearest(text, question["context"], answer["start"])}
        for answer in question["answers"]
        for text in [answer["text"]]
    ]
    answers.sort(key=lambda answer: answer["start"] is None)
    return {**question, "answers": answers}


def _to_learn_from(questions: Iterable[Record]) -> Iterator[Record]:
    """Leave out questions whose answers are nowhere in the context."""
    for question in questions:
        if not question["answers"] or question["answers"][0]["start"] is not None:
            yield question


def _nearest(text: str, context: str, start: int) -> int | None:
    if context.startswith(text, start):
        return start
    before, after = context.rfind(text, 0, start + len(text)), context.find(text, start)
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: abs(place - start), default=None)


def _split_squad(train: Path, dev: Path) -> Splits:
    articles = _by_article(train)
    held_out = set(in_order_of_hash(articles)[: len(articles) // 20])
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for title, questions in articles.items():
        splits["validation" if title in held_out else "train"] += _to_learn_from(questions)
    splits["test"] = [question for questions in _by_article(dev).values() for question in questions]
    return splits


def _split_xquad(path: Path) -> Splits:
    articles = _by_article(path)
    tenths = in_tenths(articles)
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for title, questions in articles.items():
        split = {8: "validation", 9: "test"}.get(tenths[title], "train")
        splits[split] += questions if split == "test" else _to_learn_from(questions)
    return splits


_SQUAD = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
_CMRC = "https://raw.githubusercontent.com/ymcui/cmrc2018/master/squad-style-data"
_XQUAD = "https://raw.githubusercontent.com/deepmind/xquad/master"
_SQUAD_SPLIT = (
    "a twentieth of the articles for training, by hash, is validation; the public development set "
    "is the test, as the real one is not public"
)

_squad = functools.partial(
    Dataset,
    task="question answering",
    licence="CC BY-SA 4.0",
    split=_SQUAD_SPLIT,
    prepare=_split_squad,
    cleaning=(),
    kind="questions",
)
_xquad = functools.partial(
    Dataset,
    task="question answering",
    size="0.7 MB",
    licence="CC BY-SA 4.0",
    citation="Artetxe et al. (2020), https://aclanthology.org/2020.acl-main.421/",
    split="made to evaluate only; here by article and hash, 40 / 4 / 4, so that the way from data "
    "to scores can be tried",
    prepare=_split_xquad,
    cleaning=(),
    kind="questions",
    folder="xquad",
)

DATASETS = (
    _squad(
        name="squad-1.1",
        title="questions on articles of Wikipedia, each with an answer in the text",
        language="en",
        size="35 MB",
        citation="Rajpurkar et al. (2016), https://aclanthology.org/D16-1264/",
        sources=(
            Url(
                url=f"{_SQUAD}/train-v1.1.json",
                sha256="3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955",
                size=30_288_272,
            ),
            Url(
                url=f"{_SQUAD}/dev-v1.1.json",
                sha256="95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9",
                size=4_854_279,
            ),
        ),
    ),
    _squad(
        name="squad-2.0",
        title="questions on articles of Wikipedia, a third of them without an answer in the text",
        language="en",
        size="46 MB",
        citation="Rajpurkar et al. (2018), https://aclanthology.org/P18-2124/",
        sources=(
            Url(
                url=f"{_SQUAD}/train-v2.0.json",
                sha256="68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002",
                size=42_123_633,
            ),
            Url(
                url=f"{_SQUAD}/dev-v2.0.json",
                sha256="80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8",
                size=4_370_528,
            ),
        ),
    ),
    _squad(
        name="cmrc2018",
        title="questions on articles of the Chinese Wikipedia, each with an answer in the text",
        language="zh",
        size="11 MB",
        citation="Cui et al. (2019), https://aclanthology.org/D19-1600/",
        sources=(Url(f"{_CMRC}/cmrc2018_train.json"), Url(f"{_CMRC}/cmrc2018_dev.json")),
    ),
    _xquad(
        name="xquad-en",
        title="1,190 questions of SQuAD's development set",
        language="en",
        sources=(
            Url(
                url=f"{_XQUAD}/xquad.en.json",
                sha256="e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29",
                size=609_383,
            ),
        ),
    ),
    _xquad(
        name="xquad-zh",
        title="1,190 questions of SQuAD's development set, in Chinese",
        language="zh",
        sources=(
            Url(
                url=f"{_XQUAD}/xquad.zh.json",
                sha256="691d0b3359bc6b8faa8de931dfdfe21d50a65861ae348e32a0d1a0190b0c8835",
                size=808_652,
            ),
        ),
    ),
)
