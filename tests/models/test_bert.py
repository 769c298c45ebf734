"""BERT: the promises of every model, its own, and the same numbers as Hugging Face's."""

import itertools
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

import kerazoo
from kerazoo.models import families
from kerazoo.models.bert import BERT
from kerazoo.models.compiled import compiled
from kerazoo.models.configs import BERTConfig, GPTConfig
from kerazoo.models.heads import SpanHead, TextHead, TokenHead
from kerazoo.models.inspection import attention_weights

V, T, MASK = 11, 12, 10
SMALL = {"vocab_size": V, "context_length": T, "num_layers": 2, "num_heads": 4, "width": 16}
CONFIGS = {
    "post-norm": BERTConfig(**SMALL, dropout=0.0),
    "pre-norm": BERTConfig(**SMALL, dropout=0.0, norm_first=True, num_segments=3),
}
# Three texts of 12, 9 and 5 tokens, of two sentences each.
PADDING_MASK = np.arange(T) < np.array([[12], [9], [5]])
SEGMENT_IDS = ((np.arange(T) >= 4) & PADDING_MASK).astype("int32")


def make(name="post-norm", dtype="float32"):
    keras.utils.set_random_seed(0)
    model = families.build(CONFIGS[name], dtype)
    for weight in model.trainable_weights:  # far from the small and zero weights of the beginning
        weight.assign_add(0.2 * keras.random.normal(weight.shape, seed=1))
    return model


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
    """A model that no test changes."""
    return make(request.param)


def some_ids(batch_size=3, length=T, seed=0):
    return np.random.default_rng(seed).integers(0, MASK, (batch_size, length)).astype("int32")


def some_inputs():
    return {
        "token_ids": some_ids(),
        "segment_ids": SEGMENT_IDS,
        "padding_mask": PADDING_MASK,
        "mask_positions": np.array([[1, 11, 4], [8, 2, 0], [4, 3, 1]], "int32"),
    }


def softmax(logits):
    shares = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def compile_for_training(model, optimizer, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss={"mask_logits": loss, "sentence_logits": loss}, **options)


# === The promises of every model ===


def test_a_saved_model_gives_the_same_logits(model, tmp_path):
    model.save(tmp_path / "model.keras")
    found = kerazoo.load_model(tmp_path / "model.keras")(some_inputs())
    expected = model(some_inputs())
    assert set(found) == set(expected) == {"mask_logits", "sentence_logits"}
    for kind in expected:
        np.testing.assert_array_equal(found[kind], expected[kind])


def test_the_configuration_is_data_that_rebuilds_the_model(model):
    again = BERT.from_config(json.loads(json.dumps(model.get_config())))
    assert again.config == model.config
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def test_a_model_without_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match="vocab_size is 0"):
        families.build(BERTConfig())


def test_padding_changes_nothing(model):
    padded = model.hidden_states(some_ids(), SEGMENT_IDS, PADDING_MASK)
    # A shorter sum may be added in another order, hence not bit by bit.
    for n, length in enumerate(PADDING_MASK.sum(axis=1)):
        alone = model.hidden_states(some_ids()[n : n + 1, :length], SEGMENT_IDS[n : n + 1, :length])
        np.testing.assert_allclose(padded[n, :length], alone[0], atol=1e-5)
        np.testing.assert_allclose(
            model.sentence_logits(padded)[n], model.sentence_logits(alone)[0], atol=1e-5
        )


def test_xla_on_equals_xla_off(model):
    inputs = some_inputs()
    on, off = (compiled(lambda inputs: model(inputs), model, xla)(inputs) for xla in (True, False))
    for kind in on:
        np.testing.assert_allclose(on[kind], off[kind], atol=1e-5)


def test_training_with_xla_equals_training_without_it():
    found = []
    for xla in (True, False):
        keras.utils.set_random_seed(0)
        model = families.build(replace(CONFIGS["post-norm"], num_layers=1))
        compile_for_training(model, keras.optimizers.SGD(0.1), jit_compile=xla)
        targets = {"mask_logits": some_ids(3, 3), "sentence_logits": np.array([0, 1, 1])}
        losses = [model.train_on_batch(some_inputs(), targets) for _ in range(3)]
        found.append((losses, model.get_weights()))
    (on, weights_on), (off, weights_off) = found
    np.testing.assert_allclose(on, off, rtol=1e-5)
    for weight_on, weight_off in zip(weights_on, weights_off, strict=True):
        np.testing.assert_allclose(weight_on, weight_off, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("post-norm", "mixed_float16"),
        ("pre-norm", "mixed_float16"),
        ("post-norm", "float32"),
        ("pre-norm", "mixed_bfloat16"),
    ],
)
def test_training_is_finite_in_every_precision_with_a_row_of_padding(name, policy):
    model, inputs = make(name, policy), some_inputs()
    inputs["padding_mask"] = PADDING_MASK & [[True], [False], [True]]
    targets = {"mask_logits": some_ids(3, 3), "sentence_logits": np.array([0, 1, 1])}
    compile_for_training(model, "adam", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(inputs, targets)).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert model.hidden_states(some_ids()).dtype == keras.dtype_policies.get(policy).compute_dtype
    logits = model(inputs)
    assert all(values.dtype == "float32" for values in logits.values())
    assert all(np.isfinite(values).all() for values in logits.values())
    assert np.isfinite(model.masked_log_probs(some_ids(), MASK)).all()
    assert np.isfinite(model.fill(np.full((1, 3), MASK), MASK)[1]).all()
    scales_the_loss = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales_the_loss == (policy == "mixed_float16")


def test_masked_tokens_and_sentence_pairs_of_a_batch_can_be_learnt_by_heart():
    keras.utils.set_random_seed(0)
    model, inputs = families.build(CONFIGS["post-norm"]), some_inputs()
    positions, rows = inputs["mask_positions"], np.arange(3)[:, None]
    targets = {
        "mask_logits": inputs["token_ids"][rows, positions],
        "sentence_logits": np.array([0, 1, 1]),
    }
    inputs["token_ids"][rows, positions] = MASK
    compile_for_training(model, keras.optimizers.Adam(0.01), jit_compile=False)
    for _ in range(100):
        loss, *_ = model.train_on_batch(inputs, targets)
    assert loss < 0.1
    logits = model(inputs)
    for kind in targets:
        np.testing.assert_array_equal(np.argmax(logits[kind], axis=-1), targets[kind])


def test_no_two_matrices_of_a_shape_begin_with_the_same_random_numbers():
    keras.utils.set_random_seed(0)
    model = families.build(CONFIGS["post-norm"])
    matrices = [w for w in map(np.asarray, model.trainable_weights) if w.ndim > 1]
    for first, second in itertools.combinations(matrices, 2):
        if first.shape == second.shape:
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.6


def test_matrices_begin_as_published_and_biases_at_zero():
    for weight in families.build(BERTConfig(vocab_size=1000, num_layers=1)).trainable_weights:
        value = np.asarray(weight)
        if value.ndim > 1:
            assert 0 < np.abs(value).max() <= 2 * 0.02  # cut off at two standard deviations
        else:
            assert (value == (1 if weight.name == "gamma" else 0)).all()


# === What is its own ===


def test_logits_at_positions_are_those_of_the_full_call(model):
    inputs = some_inputs()
    positions = inputs["mask_positions"]
    some = model(inputs)
    every = model({kind: value for kind, value in inputs.items() if kind != "mask_positions"})
    assert some["mask_logits"].shape == (3, 3, V)
    assert every["mask_logits"].shape == (3, T, V)
    expected = np.asarray(every["mask_logits"])[np.arange(3)[:, None], positions]
    np.testing.assert_allclose(some["mask_logits"], expected, atol=1e-5)
    np.testing.assert_array_equal(some["sentence_logits"], every["sentence_logits"])


def test_changing_a_token_changes_the_logits_before_and_after_it(model):
    token_ids = some_ids()
    before = ops.convert_to_numpy(model({"token_ids": token_ids})["mask_logits"])
    for t in range(T):
        changed = token_ids.copy()
        changed[:, t] = (changed[:, t] + 1) % V
        after = ops.convert_to_numpy(model({"token_ids": changed})["mask_logits"])
        assert (np.abs(before - after).max(axis=-1) > 1e-4).all()


def test_order_and_segments_matter(model):
    token_ids = some_ids()
    states = model.hidden_states(token_ids)
    np.testing.assert_array_equal(model.hidden_states(token_ids, np.zeros_like(token_ids)), states)
    assert not np.allclose(model.hidden_states(token_ids, SEGMENT_IDS), states, atol=1e-3)
    backwards = model.hidden_states(token_ids[:, ::-1])[:, ::-1]
    assert not np.allclose(backwards, states, atol=1e-3)


def test_dropout_is_on_in_training_only():
    model = families.build(BERTConfig(**SMALL, dropout=0.5))
    inputs = some_inputs()
    first, second = (model(inputs)["mask_logits"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    first, second = (model(inputs, training=True)["mask_logits"] for _ in range(2))
    assert not np.allclose(first, second)


def test_masked_log_probs_are_those_of_one_pass_for_each_token():
    model, token_ids = make(), some_ids()
    found = compiled(
        lambda *inputs: model.masked_log_probs(inputs[0], MASK, *inputs[1:]), model, xla=True
    )(token_ids, SEGMENT_IDS, PADDING_MASK)
    found = ops.convert_to_numpy(found)
    assert found.shape == (3, T)
    assert found.dtype == np.float32
    for row, t in np.ndindex(3, T):
        masked = token_ids[row : row + 1].copy()
        masked[0, t] = MASK
        logits = model(
            {
                "token_ids": masked,
                "segment_ids": SEGMENT_IDS[row : row + 1],
                "padding_mask": PADDING_MASK[row : row + 1],
            }
        )["mask_logits"]
        expected = np.log(softmax(np.asarray(logits))[0, t, token_ids[row, t]])
        assert found[row, t] == pytest.approx(expected, abs=1e-5)


def test_masked_log_probs_can_be_had_at_some_positions(model):
    token_ids = some_ids()
    positions = np.array([[1, 5], [0, 11], [7, 7]], "int32")
    every = np.asarray(model.masked_log_probs(token_ids, MASK))
    some = model.masked_log_probs(token_ids, MASK, positions=positions)
    np.testing.assert_allclose(some, np.take_along_axis(every, positions, axis=1), atol=1e-5)


def test_probabilities_of_all_tokens_in_a_place_sum_to_one(model):
    token_ids = np.repeat(some_ids(1), V, axis=0)
    token_ids[:, 4] = np.arange(V)
    log_probs = model.masked_log_probs(token_ids, MASK, positions=np.full((V, 1), 4))
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-5)


def test_the_likeliest_tokens_for_each_mask_are_those_of_the_logits(model):
    token_ids = some_ids()
    masks = [(0, 3), (0, 7), (2, 1)]
    for mask in masks:
        token_ids[mask] = MASK
    ids, probabilities = model.fill(token_ids, MASK, 4, SEGMENT_IDS, PADDING_MASK)
    assert ids.shape == probabilities.shape == (3, 4)
    inputs = {"token_ids": token_ids, "segment_ids": SEGMENT_IDS, "padding_mask": PADDING_MASK}
    expected = softmax(np.asarray(model(inputs)["mask_logits"]))
    for n, mask in enumerate(masks):
        best = np.argsort(-expected[mask])[:4]
        assert ids[n].tolist() == best.tolist()
        np.testing.assert_allclose(probabilities[n], expected[mask][best], atol=1e-6)


def test_a_text_without_masks_has_nothing_to_fill(model):
    ids, probabilities = model.fill(some_ids(), MASK, 4)
    assert ids.shape == probabilities.shape == (0, 4)


def test_attention_weights_sum_to_one_and_give_padding_none(model):
    weights = attention_weights(model, some_ids(), SEGMENT_IDS, PADDING_MASK)
    assert weights.shape == (2, 3, 4, T, T)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    seen = np.broadcast_to(PADDING_MASK[None, :, None, None, :], weights.shape)
    assert (weights[~seen] == 0).all()
    assert (weights[seen] > 0).all()


def test_values_averaged_by_the_weights_are_what_the_model_attends_to(model):
    x = model.embed(some_ids(), SEGMENT_IDS)
    mask = PADDING_MASK[:, None, None, :]
    found = attention_weights(model, some_ids(), SEGMENT_IDS, PADDING_MASK)
    for block, weights in zip(model.blocks, found, strict=True):
        seen = block.attention_norm(x) if model.config.norm_first else x
        value = np.reshape(block.attention.value(seen), (3, T, 4, 4))
        mixed = np.einsum("bhts,bshk->bthk", weights, value).reshape(3, T, 16)
        np.testing.assert_allclose(
            block.attention.output_dense(mixed), block.attention(seen, mask), atol=1e-5
        )
        x = block(x, mask)
    states = model.hidden_states(some_ids(), SEGMENT_IDS, PADDING_MASK)
    if model.config.norm_first:
        x = model.final_norm(x)
    np.testing.assert_allclose(x, states, atol=1e-5)


def test_a_model_that_reads_from_left_to_right_has_no_segments_to_look_at():
    model = families.build(GPTConfig(**SMALL))
    with pytest.raises(ValueError, match="are for a BERT, not for GPT"):
        attention_weights(model, some_ids(), SEGMENT_IDS)


# === The same numbers as Hugging Face's ===


def randomised(torch, model):
    """Move all weights, so that those which begin at zero or one count as well."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn_like(weight)
    return model.eval()


def copy_weights(theirs, ours, names):
    """Copy weights of Hugging Face's, whose linear layers are (out, in).

    Args:
        theirs: the model.
        ours: the model.
        names: Hugging Face's names of our layers: those of the model, of the list of blocks, and
            within a block.
    """
    source = {name: value.numpy() for name, value in theirs.state_dict().items()}
    layers = dict(names["model"])
    for n in range(ours.config.num_layers):
        for name, theirs_name in names["block"].items():
            layers[f"blocks.{n}.{name}"] = f"{names['blocks']}.{n}.{theirs_name}"
    for name, theirs_name in layers.items():
        layer = ours
        for part in name.split("."):
            layer = layer[int(part)] if part.isdecimal() else getattr(layer, part)
        weight = source[f"{theirs_name}.weight"]
        values = [weight.T if isinstance(layer, keras.layers.Dense) else weight]
        if f"{theirs_name}.bias" in source:
            values.append(source[f"{theirs_name}.bias"])
        layer.set_weights(values)


def states_of_every_layer(model, *inputs):
    token_ids, segment_ids, padding_mask = inputs
    states = [model.embed(token_ids, segment_ids)]
    for block in model.blocks:
        mask = None if padding_mask is None else padding_mask[:, None, None, :]
        states.append(block(states[-1], attention_mask=mask))
    return states


EMBEDDINGS = {
    "token_embedding": "word_embeddings",
    "position_embedding": "position_embeddings",
    "segment_embedding": "token_type_embeddings",
    "embedding_norm": "LayerNorm",
}
BLOCK = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output_dense": "attention.output.dense",
    "feed_forward.output_dense": "output.dense",
}
BERT_NAMES = {
    "model": {
        **{ours: f"bert.embeddings.{theirs}" for ours, theirs in EMBEDDINGS.items()},
        "mask_dense": "cls.predictions.transform.dense",
        "mask_norm": "cls.predictions.transform.LayerNorm",
        "pooler": "bert.pooler.dense",
        "sentence_head": "cls.seq_relationship",
    },
    "blocks": "bert.encoder.layer",
    "block": {
        **BLOCK,
        "attention_norm": "attention.output.LayerNorm",
        "feed_forward.inner": "intermediate.dense",
        "feed_forward_norm": "output.LayerNorm",
    },
}
PRE_NORM_NAMES = {
    "model": {
        **{ours: f"embeddings.{theirs}" for ours, theirs in EMBEDDINGS.items()},
        "final_norm": "LayerNorm",
    },
    "blocks": "encoder.layer",
    "block": {
        **BLOCK,
        "attention_norm": "attention.LayerNorm",
        "feed_forward_norm": "intermediate.LayerNorm",
        "feed_forward.inner": "intermediate.dense",
    },
}
THEIR_SIZE = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": T,
    "initializer_range": 0.2,
}
OUR_SIZE = {"vocab_size": 50, "context_length": T, "num_layers": 3, "num_heads": 4, "width": 32}
TEXTS = {
    "one sentence": (some_ids(), None, None),
    "two sentences": (5 * some_ids(), SEGMENT_IDS, None),
    "two sentences, padded": (5 * some_ids(), SEGMENT_IDS, PADDING_MASK),
}


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch", reason="needs the parity extra: pip install -e .[parity]")
    return pytest.importorskip("transformers", reason="needs the parity extra")


@pytest.fixture(scope="module")
def pair(transformers):
    """Hugging Face's BERT with its heads and ours, with the same weights."""
    import torch

    theirs = randomised(
        torch, transformers.BertForPreTraining(transformers.BertConfig(**THEIR_SIZE))
    )
    ours = BERT(BERTConfig(**OUR_SIZE))
    copy_weights(theirs, ours, BERT_NAMES)
    ours.output_bias.assign(theirs.cls.predictions.bias.detach().numpy())
    return theirs, ours


def their_inputs(token_ids, segment_ids, padding_mask):
    """The same as Hugging Face's tokenizers return it: int64 tensors, a mask of zeros and ones."""
    import torch

    names = ("input_ids", "token_type_ids", "attention_mask")
    given = zip(names, (token_ids, segment_ids, padding_mask), strict=True)
    return {name: torch.tensor(value).long() for name, value in given if value is not None}


@pytest.mark.parity
@pytest.mark.parametrize("text", TEXTS)
def test_hidden_states_and_logits_equal_those_of_hugging_face(pair, text):
    import torch

    theirs, ours = pair
    with torch.no_grad():
        expected = theirs(**their_inputs(*TEXTS[text]), output_hidden_states=True)
    found = states_of_every_layer(ours, *TEXTS[text])
    for states, expected_states in zip(found, expected.hidden_states, strict=True):
        np.testing.assert_allclose(states, expected_states.numpy(), atol=1e-4)
    states = ours.hidden_states(*TEXTS[text])
    np.testing.assert_array_equal(states, found[-1])
    np.testing.assert_allclose(
        ours.mask_logits(states), expected.prediction_logits.numpy(), atol=1e-4
    )
    np.testing.assert_allclose(
        ours.sentence_logits(states), expected.seq_relationship_logits.numpy(), atol=1e-4
    )


@pytest.mark.parity
def test_an_attention_mask_of_hugging_face_can_be_given_as_it_is(pair):
    theirs, ours = pair
    inputs = their_inputs(*TEXTS["two sentences, padded"])
    names = {"token_ids": "input_ids", "segment_ids": "token_type_ids"}
    names["padding_mask"] = "attention_mask"
    found = ours({name: inputs[theirs_name].numpy() for name, theirs_name in names.items()})
    expected = theirs(**inputs).prediction_logits.detach().numpy()
    np.testing.assert_allclose(found["mask_logits"], expected, atol=1e-4)


@pytest.mark.parity
def test_as_many_weights_as_hugging_face(pair):
    theirs, ours = pair
    assert ours.count_params() == sum(weight.numel() for weight in theirs.parameters())


@pytest.mark.parity
@pytest.mark.parametrize("text", TEXTS)
def test_pre_norm_equals_roberta_pre_layer_norm_of_hugging_face(transformers, text):
    import torch

    config = transformers.RobertaPreLayerNormConfig(
        **THEIR_SIZE, type_vocab_size=2, layer_norm_eps=1e-12
    )
    theirs = transformers.RobertaPreLayerNormModel(config, add_pooling_layer=False)
    theirs = randomised(torch, theirs)
    ours = BERT(BERTConfig(**OUR_SIZE, norm_first=True))
    copy_weights(theirs, ours, PRE_NORM_NAMES)
    with torch.no_grad():
        positions = torch.arange(T)[None]  # which it would count from 2 on
        expected = theirs(**their_inputs(*TEXTS[text]), position_ids=positions)
    np.testing.assert_allclose(
        ours.hidden_states(*TEXTS[text]), expected.last_hidden_state.numpy(), atol=1e-4
    )


WITH_A_HEAD = {
    "text": ("BertForSequenceClassification", TextHead, {"pooling": "first"}, "classifier"),
    "tokens": ("BertForTokenClassification", TokenHead, {}, "classifier"),
    "span": ("BertForQuestionAnswering", SpanHead, {}, "qa_outputs"),
}


@pytest.mark.parity
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", WITH_A_HEAD)
def test_what_a_head_says_equals_what_that_of_hugging_face_says(transformers, kind, text):
    import torch

    their_class, our_class, options, name = WITH_A_HEAD[kind]
    outputs = 2 if kind == "span" else 5
    config = transformers.BertConfig(**THEIR_SIZE, num_labels=outputs)
    theirs = randomised(torch, getattr(transformers, their_class)(config))
    backbone = BERT(BERTConfig(**OUR_SIZE))
    names = {
        ours: layer
        for ours, layer in BERT_NAMES["model"].items()
        if "mask" not in ours and ours != "sentence_head" and (kind == "text" or ours != "pooler")
    }
    copy_weights(theirs, backbone, {**BERT_NAMES, "model": names})
    ours = our_class(backbone=backbone, num_outputs=outputs, **options)
    last = getattr(theirs, name)
    ours.output_dense.set_weights([last.weight.detach().numpy().T, last.bias.detach().numpy()])

    token_ids, segment_ids, padding_mask = TEXTS[text]
    inputs = {"token_ids": token_ids, "padding_mask": np.ones((3, T), bool)}
    if segment_ids is not None:
        inputs["segment_ids"] = segment_ids
    if padding_mask is not None:
        inputs["padding_mask"] = padding_mask
    with torch.no_grad():
        expected = theirs(**their_inputs(*TEXTS[text]))
    if kind == "span":
        expected = np.stack([expected.start_logits.numpy(), expected.end_logits.numpy()], axis=1)
    else:
        expected = expected.logits.numpy()
    np.testing.assert_allclose(ours(inputs), expected, atol=1e-4)
