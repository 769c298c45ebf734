"""Llama against Hugging Face's: the same random weights give the same numbers and the same text."""

import numpy as np
import pytest

from kerazoo.models.configs import LlamaConfig
from kerazoo.models.decoding import generate
from kerazoo.models.llama import Llama
from kerazoo.models.sampling import Sampling

pytestmark = pytest.mark.parity
V, T = 50, 24


def copy_weights(theirs, ours):
    """Copy the weights of Hugging Face's Llama, whose linear layers are (out, in)."""
    source = {name: value.numpy() for name, value in theirs.state_dict().items()}

    def copy(layer, name, linear=True):
        weight = source[f"{name}.weight"]
        layer.set_weights([weight.T if linear else weight])

    embeddings = [source["model.embed_tokens.weight"]]
    if not ours.config.tie_embeddings:
        embeddings.append(source["lm_head.weight"].T)
    ours.token_embedding.set_weights(embeddings)
    copy(ours.final_norm, "model.norm", linear=False)
    for n, block in enumerate(ours.blocks):
        name = f"model.layers.{n}"
        copy(block.attention_norm, f"{name}.input_layernorm", linear=False)
        copy(block.feed_forward_norm, f"{name}.post_attention_layernorm", linear=False)
        copy(block.attention.query, f"{name}.self_attn.q_proj")
        copy(block.attention.key, f"{name}.self_attn.k_proj")
        copy(block.attention.value, f"{name}.self_attn.v_proj")
        copy(block.attention.output_dense, f"{name}.self_attn.o_proj")
        copy(block.feed_forward.gate, f"{name}.mlp.gate_proj")
        copy(block.feed_forward.inner, f"{name}.mlp.up_proj")
        copy(block.feed_forward.output_dense, f"{name}.mlp.down_proj")


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"num_kv_heads": 2},
        {"num_kv_heads": 1, "rope_theta": 500_000.0, "norm_epsilon": 1e-3},
        {"num_kv_heads": 2, "tie_embeddings": True},
    ],
    ids=["Llama 1", "grouped heads", "one key head, Llama 3's theta", "tied"],
)
def pair(request):
    """Hugging Face's model and ours, with the same weights."""
    torch = pytest.importorskip("torch", reason="needs the parity extra")
    transformers = pytest.importorskip("transformers", reason="needs the parity extra")
    config = LlamaConfig(
        vocab_size=V, context_length=T, num_layers=3, num_heads=4, width=32, **request.param
    )
    torch.manual_seed(0)
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=V,
            hidden_size=config.width,
            intermediate_size=config.inner_width,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_kv_heads or config.num_heads,
            max_position_embeddings=T,
            rms_norm_eps=config.norm_epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=config.tie_embeddings,
            initializer_range=0.2,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    for weight in theirs.parameters():
        if weight.ndim == 1:  # the scales of the norms, which begin at one
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    ours = Llama(config)
    copy_weights(theirs, ours)
    return theirs, ours


@pytest.mark.parametrize("length", [1, 2, 7, T])
def test_logits_and_hidden_states_equal_those_of_hugging_face(pair, length):
    import torch

    theirs, ours = pair
    token_ids = np.random.default_rng(length).integers(0, V, (3, length)).astype("int32")
    with torch.no_grad():
        expected = theirs(torch.tensor(token_ids).long(), output_hidden_states=True)
    np.testing.assert_allclose(ours(token_ids), expected.logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(
        ours.hidden_states(token_ids)[0], expected.hidden_states[-1].numpy(), atol=1e-4
    )


@pytest.mark.parametrize("pair", [{"num_kv_heads": 2}], indirect=True, ids=["grouped heads"])
def test_greedy_generation_equals_that_of_hugging_face_token_for_token(pair):
    import torch

    theirs, ours = pair
    for seed, length in enumerate((1, 5, 12)):
        prompt = np.random.default_rng(seed).integers(0, V, length)
        expected = theirs.generate(
            torch.tensor(prompt)[None],
            attention_mask=torch.ones((1, length), dtype=torch.long),
            do_sample=False,
            max_new_tokens=T - length,
            pad_token_id=0,
        )[0]
        (found,) = generate(ours, [prompt], T - length, Sampling("greedy"))
        assert found.tolist() == expected.tolist()


def test_as_many_weights_as_hugging_face(pair):
    theirs, ours = pair
    assert ours.count_params() == sum(weight.numel() for weight in theirs.parameters())
