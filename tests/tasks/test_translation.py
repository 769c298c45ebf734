"""How what is written for another text is scored."""

import pytest

from kerazoo.data import tokenizers
from kerazoo.data.text import Text
from kerazoo.models.configs import TransformerConfig
from kerazoo.tasks import registry
from kerazoo.tasks.configs import SummarizationConfig
from kerazoo.training.config import TrainConfig


def test_summaries_are_split_into_sentences_for_lsum(tmp_path):
    (tmp_path / "letters.txt").write_text("ab")
    text = Text.of(tmp_path / "letters.txt")
    tokenizer = tokenizers.train("char", text, 0, SummarizationConfig.special_tokens)
    model = TransformerConfig(
        vocab_size=tokenizer.vocab_size, context_length=8, width=8, num_heads=2
    )
    task = registry.make(SummarizationConfig(), model, TrainConfig(steps=1), tokenizer)
    records = [{"source": "", "target": "He came. She saw."}]
    scores = task.report(records, ["She saw. He came."], "en").scores
    assert scores["ROUGE-L"].value == pytest.approx(0.5)
    assert scores["ROUGE-Lsum"].value == pytest.approx(1.0)
    assert "sentences:after .!?" in scores["ROUGE-Lsum"].signature
