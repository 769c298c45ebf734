"""Datasets of pairs: a text and what it is to be turned into, such as its translation."""

import functools
import json
import random
import re
import string
from collections.abc import Callable, Iterable
from pathlib import Path

from .archives import packed
from .dataset import SPLITS, Dataset, Splits, in_order_of_hash, lines_of
from .records import Record, with_references
from .sources import Member, Url


def _split_strings(target: Callable[[str], str]) -> Splits:
    """Return pairs of a random string of letters and what it is to be turned into."""
    chance = random.Random(0)
    sources = set()
    while len(sources) < 22_000:
        sources.add("".join(chance.choices(string.ascii_lowercase, k=chance.randint(3, 12))))
    shuffled = sorted(sources)
    chance.shuffle(shuffled)
    records = [{"source": source, "target": target(source)} for source in shuffled]
    return {
        "train": records[:20_000],
        "validation": records[20_000:21_000],
        "test": records[21_000:],
    }


# === Sentences that have several translations ===


def _split_anki(share: int, path: Path) -> Splits:
    """Hold out `share` hundredths of the groups for validation, and as many for testing.

    A group is what hangs together: all translations of a sentence, all sentences that one of them
    translates, and so on. So no sentence of either language is in two splits.
    """
    pairs = dict.fromkeys(tuple(line.split("\t")[:2]) for line in lines_of(path))
    groups = _groups(pairs)
    in_order = in_order_of_hash(groups.values())
    count = len(in_order) * share // 100
    split_of = dict.fromkeys(in_order, "train")
    split_of |= dict.fromkeys(in_order[:count], "validation")
    split_of |= dict.fromkeys(in_order[count : 2 * count], "test")
    by_split: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    for source, target in pairs:
        by_split[split_of[groups[source]]].append((source, target))
    return {
        "train": ({"source": source, "target": target} for source, target in by_split["train"]),
        "validation": with_references(by_split["validation"]),
        "test": with_references(by_split["test"]),
    }


def _groups(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return for each source the first source of its group."""
    parents: dict[tuple[int, str], tuple[int, str]] = {}

    def root(node: tuple[int, str]) -> tuple[int, str]:
        while (parent := parents.setdefault(node, node)) != node:
            parents[node] = parents[parent]
            node = parent
        return node

    sources = [source for source, _ in pairs]
    for source, target in pairs:
        first, second = sorted((root((0, source)), root((1, target))))
        parents[second] = first  # a source is before any target: the root is always a source
    return {source: root((0, source))[1] for source in sources}


# === Sentences and their translations in two files ===


def _split_parallel(*paths: Path) -> Splits:
    """Read the files of source and target of each split in turn, line by line."""
    texts = [packed(path).decode().removesuffix("\n").split("\n") for path in paths]
    return {
        split: [
            {"source": source, "target": target}
            for source, target in zip(texts[2 * number], texts[2 * number + 1], strict=True)
        ]
        for number, split in enumerate(SPLITS)
    }


# === Test sets of the conferences on machine translation ===


def _split_newstest(*paths: Path) -> Splits:
    """Read the files of source and reference, which are for testing only."""
    sides = [[_segment(line) for line in lines_of(path) if _is_segment(line)] for path in paths]
    pairs = zip(*sides, strict=True)
    return {"test": [{"source": source, "target": target} for source, target in pairs]}


def _is_segment(line: str) -> bool:
    return line.startswith("<seg ")


def _segment(line: str) -> str:
    """Return the sentence of a line of WMT's SGML, which is none to its letter: see sacreBLEU.

    >>> _segment('<seg id="1">Fish &  Chips </seg>')
    'Fish & Chips'
    """
    return " ".join(re.sub(r"<seg.*?>(.*)</seg>.*?", r"\1", line).split())


def _newstest(
    year: int, language: str, number: str, archive: str, md5: str, *members: str
) -> Dataset:
    source = Url(f"https://{archive}", md5=md5)
    sources = (Member(member.rpartition("/")[2], source, member) for member in members)
    return Dataset(
        name=f"wmt{year}-{language}",
        title=f"{number} sentences of news: the test set newstest20{year} of WMT",
        task="translation",
        language=language,
        size="1 MB",
        licence="for research; see https://www.statmt.org",
        citation="the shared tasks of WMT, https://www.statmt.org; addresses as in sacreBLEU 2.6",
        split="for testing only",
        prepare=_split_newstest,
        sources=tuple(sources),
        cleaning=(),
        kind="pairs",
        folder=f"wmt{year}",
    )


# === Dialogues and their summaries ===


def _split_dialogsum(*paths: Path) -> Splits:
    return {
        split: [_summary(json.loads(line)) for line in lines_of(path)]
        for split, path in zip(SPLITS, paths, strict=True)
    }


def _summary(row: dict[str, str]) -> Record:
    if "summary" in row:
        return {"source": row["dialogue"], "target": row["summary"]}
    references = [row[f"summary{number}"] for number in (1, 2, 3)]
    return {"source": row["dialogue"], "target": references[0], "references": references}


_MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1"
_DIALOGSUM = "https://raw.githubusercontent.com/cylnlp/dialogsum/main/DialogSum_Data"
_GROUPED = (
    "groups of sentences that translate one another stay together; a validation or test "
    "sentence has all its translations as references"
)

DATASETS = (
    *(
        Dataset(
            name=name,
            title=f"random strings of 3 to 12 letters, and {what}; made here, no download",
            task="sequence to sequence",
            language="-",
            size="0.4 MB",
            licence="public domain",
            citation="Graves et al. (2014), Neural Turing Machines, section 4.1: the copy task",
            split="by string: 20,000 / 1,000 / 1,000",
            prepare=functools.partial(_split_strings, target),
            cleaning=(),
            kind="pairs",
        )
        for name, what, target in (
            ("reverse", "the same backwards", lambda source: source[::-1]),
            ("copy", "the same again", lambda source: source),
        )
    ),
    Dataset(
        name="anki-spa-eng",
        title="118,964 short sentences in English and Spanish, from Tatoeba",
        task="translation",
        language="en-es",
        size="8 MB",
        licence="CC BY 2.0 FR",
        citation="Tatoeba, https://tatoeba.org; by Charles Kelly, https://www.manythings.org/anki",
        split=f"94 % / 3 % / 3 % by hash; {_GROUPED}",
        prepare=functools.partial(_split_anki, 3),
        sources=(
            Member(
                filename="spa.txt",
                archive=Url(
                    "https://storage.googleapis.com/download.tensorflow.org/data/spa-eng.zip"
                ),
                member="spa-eng/spa.txt",
                sha256="6ec60e212f812ee3430f7568ea6f33b6fb080e32193c5952e8da0ee8ba45574c",
                size=8_042_772,
            ),
        ),
        kind="pairs",
    ),
    Dataset(
        name="anki-cmn-eng",
        title="22,038 short sentences in English and Chinese (simplified and traditional mixed), "
        "from Tatoeba",
        task="translation",
        language="en-zh",
        size="1.3 MB",
        licence="CC BY 2.0 FR",
        citation="Tatoeba, https://tatoeba.org; by Charles Kelly, https://www.manythings.org/anki",
        split=f"90 % / 5 % / 5 % by hash; {_GROUPED}",
        prepare=functools.partial(_split_anki, 5),
        sources=(
            Member(
                filename="cmn.txt",
                archive=Url("https://www.manythings.org/anki/cmn-eng.zip"),
                member="cmn.txt",
                sha256="e1439be4f55aeb39f30c478aa6372dec93764475395eefbb9bce49e768a3bba2",
                size=3_146_134,
            ),
        ),
        kind="pairs",
    ),
    _newstest(
        13,
        "en-es",
        "3,000",
        "statmt.org/wmt13/test.tgz",
        "48eca5d02f637af44e85186847141f67",
        "test/newstest2013-src.en.sgm",
        "test/newstest2013-src.es.sgm",
    ),
    _newstest(
        14,
        "en-de",
        "3,003",
        "statmt.org/wmt14/test-full.tgz",
        "a8cd784e006feb32ac6f3d9ec7eb389a",
        "test-full/newstest2014-deen-src.en.sgm",
        "test-full/newstest2014-deen-ref.de.sgm",
    ),
    _newstest(
        17,
        "en-zh",
        "2,001",
        "data.statmt.org/wmt17/translation-task/test.tgz",
        "86a1724c276004aa25455ae2a04cef26",
        "test/newstest2017-enzh-src.en.sgm",
        "test/newstest2017-enzh-ref.zh.sgm",
    ),
    *(
        Dataset(
            name=name,
            title=f"captions of pictures in English and German{what}",
            task="translation",
            language="en-de",
            size="4 MB",
            licence="not stated; captions of Flickr30k, for non-commercial research",
            citation="Elliott et al. (2016), https://aclanthology.org/W16-3210/",
            split="standard: 29,000 / 1,014 / 1,000 (test_2016_flickr)",
            prepare=_split_parallel,
            sources=tuple(
                Url(f"{_MULTI30K}/{address.format(split, language)}")
                for split in ("train", "val", "test_2016_flickr")
                for language in ("en", "de")
            ),
            cleaning=(),
            kind="pairs",
            tokenised=name == "multi30k-tokenised",
        )
        for name, what, address in (
            ("multi30k", "", "raw/{}.{}.gz"),
            ("multi30k-tokenised", ", lower case, words set apart", "tok/{}.lc.norm.tok.{}"),
        )
    ),
    Dataset(
        name="dialogsum",
        title="13,460 everyday dialogues and their summaries; the test has three for each",
        task="summarization",
        language="en",
        size="13 MB",
        licence="CC BY-NC-SA 4.0",
        citation="Chen et al. (2021), https://aclanthology.org/2021.findings-acl.449/",
        split="standard: 12,460 / 500 / 500",
        prepare=_split_dialogsum,
        sources=(
            Url(f"{_DIALOGSUM}/dialogsum.train.jsonl"),
            Url(
                url=f"{_DIALOGSUM}/dialogsum.dev.jsonl",
                sha256="436721e0a3571eef7072964f80e042fb151d8c6178db1a688ce8f803bbf0a13f",
                size=471_830,
            ),
            Url(
                url=f"{_DIALOGSUM}/dialogsum.test.jsonl",
                sha256="6de36eca7e7b9b10975fd5ea3f47391df172d8b3c15d03d84d763cbaab015fda",
                size=639_707,
            ),
        ),
        cleaning=(),
        kind="pairs",
    ),
)
