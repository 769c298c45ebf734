import keras
import numpy as np
import pytest

from kerazoo.models.configs import TransformerConfig
from kerazoo.models.transformer import Transformer, sinusoidal_positions

V, S, T, D = 50, 9, 12, 32
RNG = np.random.default_rng(0)
INPUTS = {
    "source_ids": RNG.integers(0, V, (3, S)).astype("int32"),
    "source_mask": np.arange(S) < np.array([[9], [6], [1]]),
    "token_ids": RNG.integers(0, V, (3, T)).astype("int32"),
}


def test_a_source_without_a_token_is_read_as_one_of_a_single_token():
    # Whatever the padding, of which another batch has more.
    model = Transformer(TransformerConfig(vocab_size=V, width=D))
    inputs = {name: value[:1] for name, value in INPUTS.items()}
    empty, single = (model({**inputs, "source_mask": (np.arange(S) < n)[None]}) for n in (0, 1))
    np.testing.assert_array_equal(empty, single)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs the parity extra: pip install -e .[parity]")


def test_positions_are_the_formula_of_the_paper():
    # Section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i + 1) = cos(the same).
    found = np.asarray(sinusoidal_positions(np.arange(100, 140), D))
    for position, vector in zip(range(100, 140), found, strict=True):
        for i in range(D // 2):
            angle = position / 10000 ** (2 * i / D)
            assert vector[2 * i] == pytest.approx(np.sin(angle), abs=1e-5)
            assert vector[2 * i + 1] == pytest.approx(np.cos(angle), abs=1e-5)


def test_the_embedding_is_as_wide_as_the_positions_at_the_beginning():
    # Section 3.4: times the square root of the width, and with it as large as sines and cosines.
    model = Transformer(TransformerConfig(vocab_size=1000, width=64))
    positions = sinusoidal_positions(np.arange(40), 64)
    token_ids = np.random.default_rng(0).integers(0, 1000, (8, 40))
    assert np.std(model.embed(token_ids) - positions) == pytest.approx(1, abs=0.05)
    # On the way out it is not multiplied, so that logits begin with a variance of about 1, too.
    inputs = {"source_ids": token_ids, "token_ids": token_ids}
    assert 0.5 < np.std(model(inputs)) < 1.5


def test_parts_that_begin_with_zeros_add_nothing():
    config = TransformerConfig(
        vocab_size=V, width=D, norm_first=True, positions="rotary", zero_init_residual=True
    )
    model = Transformer(config)
    embedded = model.token_embedding(INPUTS["token_ids"])
    norm = keras.layers.LayerNormalization(epsilon=model.decoder_norm.epsilon)
    logits = model.token_embedding(norm(embedded * D**0.5), reverse=True)
    np.testing.assert_allclose(model(INPUTS), logits, atol=1e-5)

    # But they learn, the decoder from the first step, the encoder once the decoder looks at it.
    kernels = [v for v in model.trainable_variables if v.path.endswith("output/kernel")]
    assert len(kernels) == 2 * (2 + 3)
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(True))
    for _ in range(2):
        model.train_on_batch(INPUTS, np.ones((3, T), "int32"))
    assert all(np.abs(kernel).max() > 0 for kernel in kernels)


def copy_torch_weights(theirs, ours):
    """Copy weights of torch.nn.Transformer, whose matrices are (out, in), the transpose of ours."""

    def set_dense(layer, weight, bias):
        layer.set_weights([weight.detach().numpy().T, bias.detach().numpy()])

    def set_norm(layer, norm):
        layer.set_weights([norm.weight.detach().numpy(), norm.bias.detach().numpy()])

    def set_attention(layer, source):
        parts = zip(source.in_proj_weight.chunk(3), source.in_proj_bias.chunk(3), strict=True)
        for dense, (weight, bias) in zip((layer.query, layer.key, layer.value), parts, strict=True):
            set_dense(dense, weight, bias)
        set_dense(layer.output_dense, source.out_proj.weight, source.out_proj.bias)

    def set_shared(block, layer, feed_forward_norm):
        set_attention(block.attention, layer.self_attn)
        set_norm(block.attention_norm, layer.norm1)
        set_dense(block.feed_forward.inner, layer.linear1.weight, layer.linear1.bias)
        set_dense(block.feed_forward.output_dense, layer.linear2.weight, layer.linear2.bias)
        set_norm(block.feed_forward_norm, feed_forward_norm)

    for block, layer in zip(ours.encoder_blocks, theirs.encoder.layers, strict=True):
        set_shared(block, layer, layer.norm2)
    for block, layer in zip(ours.decoder_blocks, theirs.decoder.layers, strict=True):
        set_shared(block, layer, layer.norm3)
        set_attention(block.cross_attention, layer.multihead_attn)
        set_norm(block.cross_attention_norm, layer.norm2)
    if ours.config.norm_first:
        set_norm(ours.encoder_norm, theirs.encoder.norm)
        set_norm(ours.decoder_norm, theirs.decoder.norm)


@pytest.mark.parity
@pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
def test_transformer_equals_that_of_torch(norm_first, torch):
    torch.manual_seed(0)
    options = {
        "d_model": D,
        "nhead": 4,
        "dim_feedforward": 64,
        "batch_first": True,
        "norm_first": norm_first,
    }
    if norm_first:
        theirs = torch.nn.Transformer(num_encoder_layers=2, num_decoder_layers=2, **options)
    else:  # torch adds a normalisation after the last block, the paper does not
        encoder_layer = torch.nn.TransformerEncoderLayer(**options)
        decoder_layer = torch.nn.TransformerDecoderLayer(**options)
        theirs = torch.nn.Transformer(
            custom_encoder=torch.nn.TransformerEncoder(encoder_layer, 2),
            custom_decoder=torch.nn.TransformerDecoder(decoder_layer, 2),
            **options,
        )
    for parameter in theirs.parameters():  # far from zero biases and equal layers
        parameter.data += 0.1 * torch.randn(parameter.shape)
    theirs.eval()

    ours = Transformer(
        TransformerConfig(
            vocab_size=V,
            context_length=T,
            num_layers=2,
            width=D,
            feed_forward_width=64,
            norm_first=norm_first,
        )
    )
    copy_torch_weights(theirs, ours)
    embedding = ours.token_embedding.get_weights()[0]

    def embedded(token_ids):
        positions = np.asarray(sinusoidal_positions(np.arange(token_ids.shape[1]), D))
        return torch.tensor(embedding[token_ids] * D**0.5 + positions)

    padding = torch.tensor(~INPUTS["source_mask"])
    with torch.no_grad():
        states = theirs(
            embedded(INPUTS["source_ids"]),
            embedded(INPUTS["token_ids"]),
            tgt_mask=torch.nn.Transformer.generate_square_subsequent_mask(T),
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
    expected = states.numpy() @ embedding.T
    np.testing.assert_allclose(ours(INPUTS), expected, atol=1e-4)
