"""What is taken from a pretrained model, what of it learns, how fast, and what LoRA leaves."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from kerazoo.errors import InputError
from kerazoo.models import families
from kerazoo.models.configs import (
    BERTConfig,
    GPTConfig,
    HMMConfig,
    LlamaConfig,
    NGramConfig,
    RNNConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from kerazoo.training import finetuning
from kerazoo.training.config import TrainConfig
from kerazoo.training.initialisation import initialise

SIZE = {"vocab_size": 7, "context_length": 6, "width": 8, "num_layers": 2}
CONFIGS = {
    "gpt": GPTConfig(**SIZE),
    "gpt-untied": GPTConfig(**SIZE, tie_embeddings=False, positions="rotary"),
    "llama": LlamaConfig(**SIZE),
    "bert": BERTConfig(**SIZE, norm_first=True),
    "rnn": RNNConfig(**SIZE, output_bias=True),
    "rnn-tied": RNNConfig(**SIZE, tie_embeddings=True, cell="gru"),
    "transformer": TransformerConfig(**SIZE, norm_first=True),
    "rnn-seq2seq": RNNSeq2SeqConfig(**SIZE, attention="additive"),
}
every_model = pytest.mark.parametrize("name", CONFIGS)


@keras.saving.register_keras_serializable(package="test")
class WithHead(keras.Model):
    """A classifier on top of a model's last state."""

    def __init__(self, backbone, units=3, **kwargs):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.head = keras.layers.Dense(units, name="head")
        self.head.build((None, backbone.config.width))
        self.built = True

    def call(self, token_ids):
        return self.head(self.backbone.hidden_states(token_ids)[0][:, -1])

    def get_config(self):
        backbone = keras.saving.serialize_keras_object(self.backbone)
        return {**super().get_config(), "backbone": backbone}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})


def settings(**fields):
    return TrainConfig(steps=1, **fields)


def build(name, seed=0, **fields):
    keras.utils.set_random_seed(seed)
    return families.build(replace(CONFIGS[name], **fields))


def outputs(model):
    token_ids = np.arange(12).reshape(2, 6) % 7
    if hasattr(model, "encode"):
        return np.array(model({"source_ids": token_ids, "token_ids": token_ids}))
    if hasattr(model, "mask_logits"):
        return np.array(model.mask_logits(model.hidden_states(token_ids)))
    return np.array(model(token_ids))


# === What learns, and how fast ===


@every_model
def test_every_weight_is_in_one_part(name):
    model = build(name)
    parts = finetuning.parts(model)
    numbers = [id(weight) for part in parts for weight in part]
    assert sorted(numbers) == sorted(map(id, model.weights))
    assert all(parts)


@every_model
def test_the_lowest_part_is_the_embeddings_and_those_above_are_the_blocks(name):
    first, *above = finetuning.parts(build(name))
    num_blocks = 4 if name in ("transformer", "rnn-seq2seq") else 2
    assert first[0].path.endswith("token_embedding/embeddings")
    assert len(above) == num_blocks + (name != "rnn-tied")  # which has nothing above its layers
    assert not any("embeddings" in weight.name for part in above[:num_blocks] for weight in part)


@pytest.mark.parametrize("name", ["gpt-untied", "llama", "rnn"])
def test_an_output_matrix_of_its_own_is_no_embedding(name):
    parts = finetuning.parts(build(name))
    assert any(weight.name == "reverse_embeddings" for weight in parts[-1])


@every_model
def test_frozen_parts_are_those_from_the_bottom(name):
    model = build(name)
    finetuning.prepare(model, settings(frozen=2))
    learning = set(map(id, model.trainable_variables))
    for number, part in enumerate(finetuning.parts(model)):
        assert {id(weight) in learning for weight in part} == {number >= 2}


def test_a_frozen_part_is_the_same_after_training():
    model = build("gpt")
    finetuning.prepare(model, settings(frozen=2))
    before = [weight.numpy() for weight in model.weights]
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    token_ids = np.random.default_rng(0).integers(0, 7, (4, 6))
    model.train_on_batch(token_ids, token_ids)
    for old, weight in zip(before, model.weights, strict=True):
        assert np.array_equal(old, weight.numpy()) != weight.trainable


def test_of_a_frozen_backbone_only_the_head_learns():
    model = WithHead(build("gpt"))
    finetuning.prepare(model, settings(frozen=-1))
    assert [weight.path for weight in model.trainable_variables] == ["head/kernel", "head/bias"]


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("gpt", {"frozen": 4}, "--train.frozen is 4 and the model has 4 parts.*give at most 3"),
        ("rnn-tied", {"frozen": 3}, "give at most 2"),
        ("gpt", {"frozen": -1}, "--train.frozen -1 lets only the head learn"),
        ("rnn", {"lora_rank": 2}, "--train.lora-rank 2 needs linear layers, of which RNN has none"),
    ],
)
def test_what_a_model_cannot_do_is_refused(name, fields, message):
    with pytest.raises(InputError, match=message):
        finetuning.prepare(build(name), settings(**fields))


@pytest.mark.parametrize("config", [HMMConfig(vocab_size=7), NGramConfig(vocab_size=7)])
@pytest.mark.parametrize("fields", [{"frozen": 1}, {"layer_decay": 0.9}, {"lora_rank": 1}])
def test_a_model_without_layers_refuses_what_is_for_layers(config, fields):
    model = families.build(config)
    finetuning.prepare(model, settings())
    with pytest.raises(InputError, match="needs a model with layers, which .* is not"):
        finetuning.prepare(model, settings(**fields))


@every_model
def test_the_learning_rate_falls_from_part_to_part(name):
    model = build(name)
    shares = finetuning.learning_rate_shares(model, settings(layer_decay=0.5))
    by_weight = dict(zip(map(id, model.trainable_variables), shares, strict=True))
    for height, part in enumerate(reversed(finetuning.parts(model))):
        assert {by_weight[id(weight)] for weight in part} == {0.5**height}


def test_the_head_has_the_whole_learning_rate():
    model = WithHead(build("gpt"))
    finetuning.prepare(model, settings(frozen=1))
    shares = finetuning.learning_rate_shares(model, settings(layer_decay=0.9))
    by_path = dict(zip((v.path for v in model.trainable_variables), shares, strict=True))
    assert by_path["head/kernel"] == 1
    assert sorted(set(shares)) == pytest.approx([0.81, 0.9, 1])


# === LoRA ===


def with_lora(model):
    """Return the model with LoRA matrices as training might leave them."""
    finetuning.prepare(model, settings(lora_rank=2))
    chance = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(chance.normal(size=weight.shape))
    return model


@pytest.mark.parametrize("name", ["gpt", "llama", "bert", "transformer", "rnn-seq2seq"])
def test_merging_keeps_the_outputs_and_no_trace_of_lora(name, tmp_path):
    model = build(name)
    before = outputs(model)
    with_lora(model)
    assert {v.name for v in model.trainable_variables} == {"lora_kernel_a", "lora_kernel_b"}
    merged = finetuning.merged(model)
    np.testing.assert_allclose(outputs(merged), outputs(model), rtol=1e-5, atol=1e-5)
    assert not np.allclose(before, outputs(merged), rtol=0.1, atol=1e-5)
    new = build(name)
    assert merged.count_params() == new.count_params()
    merged.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(outputs(loaded), outputs(merged), atol=1e-6)
    assert not finetuning.lora_weights(loaded)


def test_with_a_head_lora_and_the_head_learn():
    model = WithHead(build("gpt"))
    finetuning.prepare(model, settings(lora_rank=2))
    names = {weight.name for weight in model.trainable_variables if "head/" not in weight.path}
    assert names == {"lora_kernel_a", "lora_kernel_b"}
    assert sum("head/" in weight.path for weight in model.trainable_variables) == 2
    merged = finetuning.merged(model)
    np.testing.assert_allclose(outputs(merged), outputs(model), rtol=1e-5, atol=1e-6)


def test_half_precision_merges_in_whole_precision():
    keras.utils.set_random_seed(0)
    model = with_lora(families.build(CONFIGS["gpt"], "mixed_bfloat16"))
    merged = finetuning.merged(model)
    layer, kernel = (m.blocks[0].attention.query for m in (model, merged))
    expected = layer.weights[0] + layer.lora_kernel_a.value @ layer.lora_kernel_b.value
    np.testing.assert_allclose(kernel.weights[0], expected, rtol=1e-6)


# === Beginning from a pretrained model ===


@every_model
def test_the_same_model_gives_the_same_outputs(name):
    pretrained, model = build(name, 0), build(name, 1)
    assert not np.allclose(outputs(model), outputs(pretrained), atol=1e-6)
    initialise(model, pretrained, "runs/x")
    np.testing.assert_array_equal(outputs(model), outputs(pretrained))


@every_model
def test_tokens_added_at_the_end_leave_those_before_them_and_begin_as_their_mean(name):
    pretrained, model = build(name, 0), build(name, 1, vocab_size=9)
    new = [weight.numpy() for weight in model.weights]
    for weight in pretrained.weights:  # biases that begin at zero are to differ as well
        weight.assign(weight + 0.5)
    initialise(model, pretrained, "runs/x")
    np.testing.assert_allclose(outputs(model)[..., :7], outputs(pretrained), rtol=1e-5, atol=1e-6)
    for weight, before, source in zip(model.weights, new, pretrained.weights, strict=True):
        if weight.shape != source.shape:
            axis = tuple(weight.shape).index(9)
            for row in (7, 8):
                expected = np.take(before, row, axis) + source.numpy().mean(axis)
                np.testing.assert_allclose(np.take(weight.numpy(), row, axis), expected, rtol=1e-5)


@pytest.mark.parametrize("settings", [{"lora_rank": 2}, {"frozen": 1}])
@pytest.mark.parametrize("new_tokens", [True, False])
def test_what_writes_learns_its_new_tokens(new_tokens, settings):
    model, with_head = build("gpt-untied", 0), WithHead(build("gpt-untied", 0))
    for each in (model, with_head):
        finetuning.prepare(each, TrainConfig(steps=1, **settings), new_tokens)
    learning = {variable.name for variable in model.trainable_variables}
    assert ("embeddings" in learning) == new_tokens
    below_head = {variable.name for variable in with_head.backbone.trainable_variables}
    assert "embeddings" not in below_head
    has_lora = "lora_rank" in settings
    assert ("lora_kernel_a" in learning, "lora_kernel_a" in below_head) == (has_lora, has_lora)


def test_a_hidden_markov_model_begins_from_another():
    pretrained, model = (families.build(HMMConfig(vocab_size=size)) for size in (7, 9))
    initialise(model, pretrained, "runs/x")
    np.testing.assert_array_equal(model.emissions.numpy()[:, :7], pretrained.emissions.numpy())


@pytest.mark.parametrize("name", ["gpt", "bert"])
def test_a_shorter_context_takes_the_first_positions(name):
    pretrained, model = build(name, 0), build(name, 1, context_length=4)
    initialise(model, pretrained, "runs/x")
    np.testing.assert_array_equal(
        model.position_embedding.embeddings.numpy(),
        pretrained.position_embedding.embeddings.numpy()[:4],
    )


@pytest.mark.parametrize("name", ["gpt", "bert"])
def test_a_longer_context_is_refused_where_positions_are_learnt(name):
    with pytest.raises(InputError, match="has learnt 6 positions, and this recipe wants 8; give"):
        initialise(build(name, 1, context_length=8), build(name, 0), "runs/x")


@pytest.mark.parametrize("name", ["gpt-untied", "llama", "rnn", "transformer"])
def test_a_longer_context_is_taken_where_positions_are_not_learnt(name):
    pretrained, model = build(name, 0), build(name, 1, context_length=8)
    initialise(model, pretrained, "runs/x")
    np.testing.assert_array_equal(outputs(model), outputs(pretrained))


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("gpt", {"width": 16}, "the run runs/x has --model.width 8, this recipe 16; give --model."),
        ("gpt", {"num_layers": 3}, "has --model.num-layers 2, this recipe 3"),
        ("gpt", {"num_heads": 2}, "has --model.num-heads 4, this recipe 2"),
        ("gpt", {"use_bias": False}, "use-bias True, this recipe False; give --model.use-bias,"),
        ("gpt-untied", {"tie_embeddings": True}, "give --model.no-tie-embeddings,"),
        ("gpt", {"vocab_size": 6}, "has 7 tokens, this recipe only 6; use the tokenizer of"),
        ("rnn", {"cell": "gru"}, "has --model.cell lstm, this recipe gru"),
    ],
)
def test_a_model_of_another_shape_is_refused(name, fields, message):
    model = build(name, 1, **fields)
    before = model.get_weights()
    with pytest.raises(InputError, match=message):
        initialise(model, build(name, 0), "runs/x")
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(InputError, match="the run runs/x is of a GPT, this recipe of a BERT"):
        initialise(build("bert", 0), build("gpt", 0), "runs/x")
    counts = families.build(NGramConfig(vocab_size=7))
    for pair in ((counts, build("gpt", 0)), (build("gpt", 0), counts)):
        with pytest.raises(InputError, match=r"a model that counts \(NGram\) has no weights"):
            initialise(*pair, "runs/x")


def test_dropout_and_precision_may_differ():
    pretrained = build("gpt", 0)
    model = families.build(replace(CONFIGS["gpt"], dropout=0.5), "mixed_bfloat16")
    initialise(model, pretrained, "runs/x")
    for one, other in zip(model.get_weights(), pretrained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_head_is_put_on_a_pretrained_model():
    pretrained, model = build("gpt", 0), WithHead(build("gpt", 1))
    head = model.head.get_weights()
    initialise(model, pretrained, "runs/x")
    np.testing.assert_array_equal(outputs(model.backbone), outputs(pretrained))
    np.testing.assert_array_equal(model.head.kernel, head[0])


def test_a_head_is_taken_off_a_pretrained_model():
    pretrained, model = WithHead(build("gpt", 0)), build("gpt", 1)
    initialise(model, pretrained, "runs/x")
    np.testing.assert_array_equal(outputs(model), outputs(pretrained.backbone))


def test_the_same_head_is_taken_over_and_another_one_is_not():
    pretrained = WithHead(build("gpt", 0))
    same, other = WithHead(build("gpt", 1)), WithHead(build("gpt", 2), units=4)
    initialise(same, pretrained, "runs/x")
    np.testing.assert_array_equal(outputs(same), outputs(pretrained))
    head = other.head.get_weights()
    initialise(other, pretrained, "runs/x")
    np.testing.assert_array_equal(other.head.kernel, head[0])
    np.testing.assert_array_equal(outputs(other.backbone), outputs(pretrained.backbone))
    of_other_labels = WithHead(build("gpt", 3))
    head = of_other_labels.head.get_weights()
    initialise(of_other_labels, pretrained, "runs/x", same_labels=False)
    np.testing.assert_array_equal(of_other_labels.head.kernel, head[0])
