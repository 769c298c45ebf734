"""Datasets of dialogues: what was said so far, and the response to it."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from .archives import members, packed
from .dataset import SPLITS, Dataset, Splits, in_tenths
from .records import TURNS_REMEMBERED, Record
from .sources import Member, Url, Wheel

# === The bAbI dialogues ===


_SILENCE = "<SILENCE>"
"""What stands where the user says nothing; in a few lines of task 6 it is missing."""


def _split_babi(*paths: Path) -> Splits:
    return {split: _replies(path) for split, path in zip(SPLITS, paths, strict=True)}


def _replies(path: Path) -> Iterator[Record]:
    """Yield what the system says; facts that it has looked up are part of the history."""
    history: list[str] = []
    number = 0
    for line in packed(path).decode().split("\n"):
        count, _, said = line.partition(" ")
        if count == "1":
            history, number = [], number + 1
        user, tab, system = said.partition("\t")
        if not tab:
            history += [said] if said else []
            continue
        history.append(user.strip() or _SILENCE)
        yield {"dialogue": str(number), "history": [*history], "response": system.strip()}
        history.append(system.strip())


_BABI_TITLES = (
    "issuing calls to book a restaurant",
    "updating calls to book a restaurant",
    "proposing restaurants from looked-up facts",
    "telling phone numbers and addresses from looked-up facts",
    "whole dialogues, tasks 1 to 4 in one",
    "dialogues of people with a restaurant system (DSTC2)",
)
_BABI_NAMES = (
    "API-calls",
    "API-refine",
    "options",
    "phone-address",
    "full-dialogs",
    "dstc2",
)
_BABI_ARCHIVE = Url("http://parl.ai/downloads/dialog_babi/dialog_babi.tar.gz")
_BABI_FILES = {
    (1, "trn"): ("8eef6011ab86e886eb218e5859ee1015fdcdd8088aba53bd83b2c055671b9575", 330_480),
    (1, "dev"): ("ab73b5f54248dfc8aa6fdee8cc3909e09afab9591686f7a6e306d274c6bbf10a", 329_372),
    (1, "tst"): ("21a3ed26c483ec205d268fa3919f9c48cde48c34e26f79b2f96bd6f4edb60583", 326_969),
    (1, "tst-OOV"): ("71a294d91bef207b26f9c29981a501d20b4392262f6873bb4f9c18ffee522c60", 331_515),
    (2, "trn"): ("2bd2d0ee376077878754ad4bf0892ca192658f4f0359ef92b18163ba20eeb568", 568_631),
    (2, "dev"): ("7825f7c3f48bab3f48f398ef0e40a9689fa40c3979a199df615bc7aad5db11c4", 569_664),
    (2, "tst"): ("2d79edb4bcfa120e9e293ddba52b790f109c1648be8c491442a26e6a9a286b40", 565_950),
    (2, "tst-OOV"): ("9fd9ab3b3522ebba0ce0e76416ba9ba57634edd67f88005af8198063c854fc15", 570_561),
    (3, "trn"): ("3e53cf51a2346b7090f9cd5c3a83397b4b63d0c9e1780a6789b6a24781abdead", 2_112_457),
    (3, "dev"): ("f2b28ff18f3aa0664924862d185bee0ba29b76981f1cc36c5fb80598cc642985", 2_208_321),
    (3, "tst"): ("bf3cf65eb059a422fd3839fe2706f62171a0b196ed5216d555843ed0c78a2c40", 2_200_100),
    (3, "tst-OOV"): ("8b9c68288f4240874e63da8720b136fee2a7e2dc4d38c97174acecfdb36e0adb", 2_182_323),
    (4, "trn"): ("5c9471e4e0992412de71e2427d03152f1198238ada99d1a463550486bd14f551", 724_970),
    (4, "dev"): ("956969c043b7476944f5dee93e4fb0f6899917c62522bc336948a3d40ad127e4", 725_512),
    (4, "tst"): ("19fa3c011d4bc90e6e6d299644f7203a5a613f448a7d127eb866fe58512adbb3", 720_901),
    (4, "tst-OOV"): ("504db67af3dad160b9c4af3d8c4e25ac8136408a161a0f4005f648402d194e59", 734_624),
    (5, "trn"): ("4200d60e301a94ba5a3f0675179d0f5f51ea1ac52d8cc855cd62a2e7e2a6b2d9", 2_649_339),
    (5, "dev"): ("1b5c95aee4b3120872af02840537508f9c585daea95e893c1ee7bc85c320d0e3", 2_676_528),
    (5, "tst"): ("584d16f1931de4793a983fbf0bfbfc3adb5f2feff974005eaddf7459debce8af", 2_672_171),
    (5, "tst-OOV"): ("e009111ff20308c0abdb3356d2449f140939ded022623578b2e1e4263b1a8350", 2_712_297),
    (6, "trn"): ("bd7c5728825edba23e308cba5b9b24412ea363cd54c3d2fd6a99854447585852", 4_022_063),
    (6, "dev"): ("24e8827b8889ef9bc9f1a0c625cef2ca6e3b7097f765ce71d186e2bdef27074b", 1_342_524),
    (6, "tst"): ("794890f7190c77af0ed0d5855f6c9ed015671a9790ec44ec3f29ff5455da24ff", 2_213_590),
}


def _babi_source(task: int, split: str) -> Member:
    sha256, size = _BABI_FILES[task, split]
    return Member(
        filename=f"dialog-babi-task{task}{split}.txt",
        archive=_BABI_ARCHIVE,
        member=f"dialog-bAbI-tasks/dialog-babi-task{task}-{_BABI_NAMES[task - 1]}-{split}.txt",
        sha256=sha256,
        size=size,
    )


def _babi(task: int, test: str) -> Dataset:
    sources = tuple(_babi_source(task, split) for split in ("trn", "dev", test))
    dialogues = "1,618 / 500 / 1,117" if task == 6 else "1,000 / 1,000 / 1,000"
    is_oov = test == "tst-OOV"
    return Dataset(
        name=f"dialog-babi-{task}{'-oov' if is_oov else ''}",
        title=f"restaurant dialogues, task {task}: {_BABI_TITLES[task - 1]}"
        f"{'; the test has places and foods not seen before' if is_oov else ''}",
        task="dialogue",
        language="en",
        size=f"{sum(source.size for source in sources) / 1e6:.0f} MB",
        licence="CC BY 3.0",
        citation="Bordes et al. (2017), https://arxiv.org/abs/1605.07683",
        split=f"standard: {dialogues} dialogues",
        prepare=_split_babi,
        sources=sources,
        cleaning=(),
        kind="dialogues",
        folder="dialog-babi",
    )


# === People who chat ===


def _split_chitchat(wheel: Path) -> Splits:
    ((_, content),) = members(wheel, r"chitchat_dataset/dataset\.json")
    conversations = json.loads(content)
    tenths = in_tenths(conversations)
    splits: dict[str, list[Record]] = {split: [] for split in SPLITS}
    for number, (name, conversation) in enumerate(conversations.items(), start=1):
        split = {8: "validation", 9: "test"}.get(tenths[name], "train")
        turns = _turns(conversation["messages"])
        splits[split] += (
            {
                "dialogue": str(number),
                "history": turns[max(0, end - TURNS_REMEMBERED) : end],
                "response": turns[end],
            }
            for end in range(1, len(turns))
        )
    return splits


def _turns(messages: list[list[dict[str, str]]]) -> list[str]:
    """Join what one sender writes in a row into a turn; who it is, is left out."""
    said = itertools.groupby(
        itertools.chain.from_iterable(messages), key=lambda message: message["sender"]
    )
    turns = (" ".join(message["text"].strip() for message in group) for _, group in said)
    return [turn for turn in map(str.strip, turns) if turn]


DATASETS = (
    *(_babi(task, "tst") for task in range(1, 7)),
    *(_babi(task, "tst-OOV") for task in range(1, 6)),
    Dataset(
        name="chitchat",
        title="4,017 conversations of students with at least one reply; some of it is rude",
        task="dialogue, language modelling",
        language="en",
        size="12 MB",
        licence="MIT",
        citation="Will Myers et al., The BYU chit-chat dataset, chitchat-dataset 0.9.0, "
        "https://pypi.org/project/chitchat-dataset/",
        split="by conversation and hash: eight of ten / one of ten / one of ten",
        prepare=_split_chitchat,
        sources=(
            Wheel(
                project="chitchat-dataset",
                version="0.9.0",
                sha256="7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e",
                size=8_105_664,
            ),
        ),
        cleaning=("control", "nfc", "redact"),
        kind="dialogues",
    ),
)
