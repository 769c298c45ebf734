"""Datasets of sentences with a tag for each token: entities, in BIO."""

from pathlib import Path

from . import own_files
from .dataset import SPLITS, Dataset, Splits
from .sources import ByHand, Url


def _split_conll(*paths: Path) -> Splits:
    return {split: own_files.read_tags(path) for split, path in zip(SPLITS, paths, strict=True)}


_WNUT17 = "https://raw.githubusercontent.com/leondz/emerging_entities_17/master"

DATASETS = (
    Dataset(
        name="wnut17",
        title="tweets and comments with rare entities: person, location, corporation, product, ...",
        task="tagging",
        language="en",
        size="0.8 MB",
        licence="CC BY 4.0",
        citation="Derczynski et al. (2017), https://aclanthology.org/W17-4418/",
        split="standard: 3,394 / 1,009 / 1,287 sentences",
        prepare=_split_conll,
        sources=(
            Url(
                url=f"{_WNUT17}/wnut17train.conll",
                sha256="731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
                size=493_781,
            ),
            Url(
                url=f"{_WNUT17}/emerging.dev.conll",
                sha256="e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
                size=114_749,
            ),
            Url(
                url=f"{_WNUT17}/emerging.test.annotated",
                sha256="2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
                size=192_425,
            ),
        ),
        cleaning=(),
        kind="tags",
    ),
    Dataset(
        name="conll-2003",
        title="news with persons, organisations, locations and others; to be placed by hand",
        task="tagging",
        language="en",
        size="4.8 MB",
        licence="Reuters Corpus: for research, by agreement with NIST",
        citation="Tjong Kim Sang and De Meulder (2003), https://aclanthology.org/W03-0419/",
        split="standard: eng.train / eng.testa / eng.testb",
        prepare=_split_conll,
        sources=tuple(
            ByHand(
                filename=f"eng.{name}",
                where="https://www.clips.uantwerpen.be/conll2003/ner/ with the Reuters Corpus",
            )
            for name in ("train", "testa", "testb")
        ),
        cleaning=(),
        kind="tags",
    ),
)
