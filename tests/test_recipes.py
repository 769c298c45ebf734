"""The recipes whose data has to be fetched or put in place: what they are, and that they train."""

import pytest

from kerazoo.models.configs import BERTConfig, TransformerConfig
from kerazoo.recipes import RECIPES
from kerazoo.tasks.configs import TaggingConfig, TranslationConfig
from kerazoo.train import main

pytestmark = pytest.mark.usefixtures("without_xla")
SMALL = ["--model.num-layers", "1", "--model.width", "16", "--model.context-length", "16"]
SMALL += ["--train.batch-size", "8", "--task.beams", "1"]
SENTENCE = "U.N. NNP I-NP I-ORG\nEkeus NNP I-NP I-PER\nheads VBZ I-VP O\n. . O O\n\n"
CAPTIONS = {"en": "a man in a blue shirt .", "de": "ein mann in einem blauen hemd ."}


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Return a function that puts a file of a dataset into a mirror."""
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAZOO_MIRROR", str(tmp_path / "mirror"))

    def put(dataset, name, content):
        folder = tmp_path / "mirror" / dataset
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")

    return put


def test_the_tagger_of_conll_is_that_of_kerass_example():
    recipe = RECIPES["tagger-conll"]
    model, data = recipe.model, recipe.data
    assert isinstance(model, BERTConfig)
    assert (model.num_layers, model.num_heads, model.width) == (1, 4, 32)
    assert model.feed_forward_width == 64
    assert (data.name, data.tokenizer, data.vocab_size) == ("conll-2003", "whitespace", 20_000)
    assert (recipe.train.epochs, recipe.train.steps) == (10, None)
    assert recipe.task == TaggingConfig()


def test_the_translator_of_multi30k_is_that_of_wu_et_al():
    recipe = RECIPES["transformer-multi30k"]
    model, data = recipe.model, recipe.data
    assert isinstance(model, TransformerConfig)
    assert (model.num_layers, model.num_heads, model.width) == (4, 4, 128)
    assert (model.feed_forward_width, model.dropout) == (256, 0.3)
    assert (data.name, data.tokenizer, data.vocab_size) == ("multi30k-tokenised", "bpe", 10_000)
    assert recipe.task == TranslationConfig(beams=5)


def test_the_tagger_of_conll_learns_from_files_put_in_place(put, tmp_path, capsys):
    for split in ("train", "testa", "testb"):
        put("conll-2003", f"eng.{split}", f"-DOCSTART- -X- O O\n\n{SENTENCE * 40}")
    main(["tagger-conll", "--train.steps", "2", "--out", str(tmp_path / "run")])
    assert "right: [('U.N.', 'ORG'), ('Ekeus', 'PER')]" in capsys.readouterr().out


@pytest.mark.parametrize("swap", [False, True])
def test_the_translator_of_multi30k_learns_in_both_directions(swap, put, tmp_path, capsys):
    for language, caption in CAPTIONS.items():
        for split in ("train", "val", "test_2016_flickr"):
            lines = "".join(f"{caption} {n}\n" for n in range(130))
            put("multi30k-tokenised", f"{split}.lc.norm.tok.{language}", lines)
    options = [*SMALL, "--train.steps", "2", "--out", str(tmp_path / "run")]
    main(["transformer-multi30k", *options, *["--data.swap"] * swap])
    said = capsys.readouterr().out
    source, target = CAPTIONS["de" if swap else "en"], CAPTIONS["en" if swap else "de"]
    assert f"{source} 0\n  -> " in said
    assert f"right: {target} 0" in said
