"""A small recipe of every task, something to ask of each, and files of examples."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from kerazoo.data.datasets import DataConfig
from kerazoo.models.configs import (
    BERTConfig,
    GPTConfig,
    RNNConfig,
    RNNEncoderConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from kerazoo.recipe import Recipe
from kerazoo.tasks.configs import (
    ClassificationConfig,
    ContinuationConfig,
    DialogueConfig,
    MaskedLanguageModelingConfig,
    QuestionAnsweringConfig,
    RegressionConfig,
    SequenceToSequenceConfig,
    SummarizationConfig,
    TaggingConfig,
    TranslationConfig,
)
from kerazoo.training.config import TrainConfig

TRAINING = {
    "steps": 20,
    "validate_every": 10,
    "batch_size": 8,
    "learning_rate": 0.01,
    "xla": "off",
    "validation_tokens": 500,
}
SIZE = {"context_length": 16, "width": 16, "dropout": 0.1}
LONGER = {**SIZE, "context_length": 40}
TASKS = {
    "continuation": (TransformerConfig(**SIZE, num_layers=1), ContinuationConfig(), "text.txt"),
    "masked": (BERTConfig(**SIZE, num_layers=1), MaskedLanguageModelingConfig(), "text.txt"),
    "pairs": (TransformerConfig(**SIZE, num_layers=1), SequenceToSequenceConfig(), "pairs.txt"),
    "translation": (RNNSeq2SeqConfig(**SIZE), TranslationConfig(), "pairs.txt"),
    "summarization": (
        TransformerConfig(**LONGER, num_layers=1),
        SummarizationConfig(beams=2),
        "summaries.csv",
    ),
    "dialogue": (RNNSeq2SeqConfig(**LONGER, cell="gru"), DialogueConfig(), "dialogues.txt"),
    "classification": (RNNConfig(**LONGER), ClassificationConfig(token_dropout=0.1), "labels.csv"),
    "regression": (GPTConfig(**LONGER, num_layers=1), RegressionConfig(), "numbers.csv"),
    "tagging": (RNNEncoderConfig(**LONGER), TaggingConfig(), "tags.conll"),
    "questions": (
        BERTConfig(**LONGER, num_layers=1),
        QuestionAnsweringConfig(question_tokens=8, stride=8),
        "questions.json",
    ),
}
HEADS = ("classification", "regression", "tagging", "questions")
WRITERS = ("pairs", "translation", "summarization", "dialogue")
FILLER = "a few words more than the model can read at once, "
# Something to ask of each that needs to be asked.
PROMPTS = {
    "masked": "the c[MASK]t",
    "pairs": "abc",
    "translation": "abc",
    "summarization": "the cat sees a dog",
    "dialogue": "hello\thi\twho sees a dog?",
    "classification": "the cat",
    "regression": "the cat",
    "tagging": "the cat sees Ada Byron.",
    "questions": f"who?\t{FILLER}then Ada came.",
}
every_task = pytest.mark.parametrize("task", TASKS)
every_head = pytest.mark.parametrize("task", HEADS)


def recipe_of(task, data, init=None, **train_fields):
    model, config, file = TASKS[task]
    settings = TrainConfig(**{**TRAINING, **train_fields})
    return Recipe("A test.", model, DataConfig(text=data / file), settings, config, init)


def write_examples(folder: Path, small_text: Path) -> None:
    """Write a small file of each kind of examples."""
    rng = np.random.default_rng(0)
    sentences = small_text.read_text().splitlines()[:200]
    (folder / "text.txt").write_text(small_text.read_text())
    words = ["".join(rng.choice(list("abcd"), rng.integers(1, 6))) for _ in range(400)]
    (folder / "pairs.txt").write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))

    def table(name, header, rows):
        with open(folder / name, "w", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    table("labels.csv", ["text", "label"], [(text, text.split()[1]) for text in sentences])
    table("numbers.csv", ["text", "label"], [(text, 100 + text.count("a")) for text in sentences])
    table("summaries.csv", ["source", "target"], [(text, text[:7]) for text in sentences])
    turns = [f"hello\nhi\nwho {text[:-1]}?\n{text.split()[1]}\n" for text in sentences]
    (folder / "dialogues.txt").write_text("\n".join(turns))
    names = [["Ada", "Byron"], ["Alan", "Turing"]]
    lines = []
    for n, text in enumerate(sentences):
        first, last = names[n % 2]
        lines += [f"{word} O" for word in text.split()]
        lines += [f"{first} B-person", f"{last} I-person", ""]
    (folder / "words.conll").write_text("the cat\n\na dog\n\nit sees\n")
    (folder / "tags.conll").write_text("\n".join(lines))
    paragraphs = [passage_and_questions(n, " ".join(names[n % 2])) for n in range(30)]
    squad = {"version": "v2.0", "data": [{"title": "Names", "paragraphs": paragraphs}]}
    (folder / "questions.json").write_text(json.dumps(squad))


def passage_and_questions(n, name):
    passage = f"{FILLER if n % 2 else ''}{name} came{'. ' + FILLER if n % 3 else '.'}"
    asked = [
        {
            "id": f"{n}-who",
            "question": "who?",
            "answers": [{"text": name, "answer_start": passage.index(name)}],
        },
        {"id": f"{n}-why", "question": "why?", "answers": [], "is_impossible": True},
    ]
    return {"context": passage, "qas": asked}
