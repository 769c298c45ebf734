"""How summaries are scored."""

import pytest

from kerazoo.data import tokenizers
from kerazoo.data.records import Records, write
from kerazoo.data.text import Text
from kerazoo.errors import InputError
from kerazoo.models.configs import TransformerConfig
from kerazoo.tasks import registry
from kerazoo.tasks.configs import SummarizationConfig
from kerazoo.training.config import TrainConfig


@pytest.fixture
def task(tmp_path):
    (tmp_path / "letters.txt").write_text("ab")
    text = Text.of(tmp_path / "letters.txt")
    tokenizer = tokenizers.train("char", text, 0, SummarizationConfig.special_tokens)
    model = TransformerConfig(
        vocab_size=tokenizer.vocab_size, context_length=8, width=8, num_heads=2
    )
    return registry.make(SummarizationConfig(), model, TrainConfig(steps=1), tokenizer)


def test_summaries_are_split_into_sentences_for_lsum(task):
    records = [{"source": "", "target": "He came. She saw."}]
    scores = task.report(records, ["She saw. He came."], "en").scores
    assert scores["ROUGE-L"].value == pytest.approx(0.5)
    assert scores["ROUGE-Lsum"].value == pytest.approx(1.0)
    assert "sentences:after .!?" in scores["ROUGE-Lsum"].signature


def test_summaries_that_could_not_be_scored_are_refused_before_the_training(task, tmp_path):
    write(tmp_path, "train", [{"source": "ab", "target": "Кошка"}], "pairs")
    path = tmp_path / "train.jsonl"
    with pytest.raises(InputError, match="'Кошка', like 1 of 1, has none of the letters a-z"):
        task.encode(Records(path, "pairs"))
    assert task.encode(Records(path, "pairs", ("ru",))).num_examples == 1
