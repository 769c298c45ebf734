"""The hidden Markov model against enumeration of all its paths, and against hmmlearn."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from kerazoo.errors import InputError
from kerazoo.models.baum_welch import baum_welch, expected_counts
from kerazoo.models.compiled import compiled
from kerazoo.models.configs import HMMConfig
from kerazoo.models.hmm import (
    HMM,
    Parameters,
    backward,
    forward,
    most_likely_tokens,
    posteriors,
    viterbi,
)
from kerazoo.tasks.losses import CrossEntropy

S, V, T = 3, 4, 5


def random_model(seed=0, num_states=S, vocab_size=V):
    keras.utils.set_random_seed(seed)
    return HMM(HMMConfig(vocab_size=vocab_size, context_length=T, num_states=num_states))


def some_ids(batch_size=2, length=T, seed=0, vocab_size=V):
    return np.random.default_rng(seed).integers(0, vocab_size, (batch_size, length)).astype("int32")


def probabilities(model):
    return Parameters(*(np.exp(table, dtype="float64") for table in model.log_parameters()))


def numpy(*tensors):
    return [ops.convert_to_numpy(tensor) for tensor in tensors]


def mask_of(lengths, length):
    return np.arange(length) < np.array(lengths)[:, None]


def joint_probabilities(tables, tokens):
    """P(tokens, path) of every path, by multiplying along it: a dict."""
    joint = {}
    for path in itertools.product(range(len(tables.initial)), repeat=len(tokens)):
        probability = tables.initial[path[0]] * tables.emissions[path[0], tokens[0]]
        for t in range(1, len(tokens)):
            probability *= tables.transitions[path[t - 1], path[t]]
            probability *= tables.emissions[path[t], tokens[t]]
        joint[path] = probability
    return joint


# === Against all paths, one by one ===


@pytest.mark.parametrize("seed", range(3))
def test_forward_and_backward_sum_over_all_paths(seed):
    model, token_ids = random_model(seed), some_ids(seed=seed)
    beliefs, log_probs = forward(model, token_ids)
    evidence = backward(model, token_ids, beliefs)
    beliefs, log_probs, evidence = numpy(beliefs, log_probs, evidence)
    tables = probabilities(model)
    for row, tokens in enumerate(token_ids):
        for t in range(T):
            alpha = np.zeros(S)
            for path, probability in joint_probabilities(tables, tokens[: t + 1]).items():
                alpha[path[-1]] += probability
            found = np.exp(beliefs[row, t] + log_probs[row, : t + 1].sum())
            np.testing.assert_allclose(found, alpha, rtol=1e-5)

            # P(x_{t+1} ... x_T | z_t): the rest of the text is a text that begins from row z_t.
            beta = np.ones(S)
            if t + 1 < T:
                for state in range(S):
                    rest = tables._replace(initial=tables.transitions[state])
                    beta[state] = sum(joint_probabilities(rest, tokens[t + 1 :]).values())
            found = np.exp(evidence[row, t] + log_probs[row, t + 1 :].sum())
            np.testing.assert_allclose(found, beta, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_posteriors_are_shares_of_all_paths(seed):
    model, token_ids = random_model(seed), some_ids(seed=seed)
    (found,) = numpy(posteriors(model, token_ids))
    for row, tokens in enumerate(token_ids):
        expected = np.zeros((T, S))
        for path, probability in joint_probabilities(probabilities(model), tokens).items():
            expected[range(T), path] += probability
        np.testing.assert_allclose(found[row], expected / expected.sum(-1)[:, None], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_viterbi_finds_the_best_of_all_paths(seed):
    model, token_ids = random_model(seed), some_ids(seed=seed)
    paths, log_probs = numpy(*viterbi(model, token_ids))
    for row, tokens in enumerate(token_ids):
        joint = joint_probabilities(probabilities(model), tokens)
        best = max(joint, key=joint.get)
        assert tuple(paths[row]) == best
        assert log_probs[row] == pytest.approx(np.log(joint[best]), rel=1e-5)


def test_the_model_gives_texts_the_probability_of_all_their_paths():
    model, token_ids = random_model(), some_ids()
    found = np.sum(model.token_log_probs(token_ids), axis=1)
    for row, tokens in enumerate(token_ids):
        expected = sum(joint_probabilities(probabilities(model), tokens).values())
        assert found[row] == pytest.approx(np.log(expected), rel=1e-5)


def test_expected_counts_sum_over_all_paths():
    model, token_ids = random_model(), some_ids(batch_size=1)
    counts, log_likelihoods = expected_counts(model, token_ids)
    joint = joint_probabilities(probabilities(model), token_ids[0])
    expected = Parameters(np.zeros(S), np.zeros((S, S)), np.zeros((S, V)))
    for path, probability in joint.items():
        share = probability / sum(joint.values())
        expected.initial[path[0]] += share
        np.add.at(expected.transitions, (path[:-1], path[1:]), share)
        np.add.at(expected.emissions, (path, token_ids[0]), share)
    for found, table in zip(counts, expected, strict=True):
        np.testing.assert_allclose(found, table, atol=1e-5)
    assert float(log_likelihoods[0]) == pytest.approx(np.log(sum(joint.values())), rel=1e-5)


# === Properties ===


def test_padding_on_the_right_counts_for_nothing():
    model, lengths = random_model(), [5, 3, 1, 0]
    token_ids, mask = some_ids(batch_size=4), mask_of(lengths, T)
    beliefs, log_probs = numpy(*forward(model, token_ids, mask))
    shown, paths = numpy(posteriors(model, token_ids, mask), viterbi(model, token_ids, mask)[0])
    np.testing.assert_allclose(log_probs[~mask], 0, atol=1e-6)
    totals, best = None, numpy(viterbi(model, token_ids, mask)[1])[0]
    assert best[3] == 0  # the empty text is certain
    for row, length in enumerate(lengths[:-1]):
        alone = token_ids[row : row + 1, :length]
        expected = numpy(*forward(model, alone), posteriors(model, alone), *viterbi(model, alone))
        for found, one in zip((beliefs, log_probs, shown, paths), expected, strict=False):
            np.testing.assert_allclose(found[row, :length], one[0], atol=1e-5)
        assert (paths[row, length:] == paths[row, length - 1]).all()
        assert best[row] == pytest.approx(float(expected[-1][0]), rel=1e-5)
        counts = numpy(*expected_counts(model, alone)[0])
        totals = counts if totals is None else [a + b for a, b in zip(totals, counts, strict=True)]
    for found, expected in zip(expected_counts(model, token_ids, mask)[0], totals, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("xla", [True, False])
def test_everything_is_the_same_when_compiled(xla):
    model, token_ids = random_model(), some_ids()
    mask = mask_of([5, 3], T)
    for function in (forward, posteriors, viterbi, expected_counts):
        fast = compiled(lambda *inputs, function=function: function(model, *inputs), model, xla)
        for found, expected in zip(
            keras.tree.flatten(fast(token_ids, mask)),
            keras.tree.flatten(function(model, token_ids, mask)),
            strict=True,
        ):
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("xla", [True, False])
def test_steps_written_out_equal_a_loop(monkeypatch, xla):
    model, token_ids = random_model(), some_ids()

    def everything(ids):
        return model(ids), posteriors(model, ids), viterbi(model, ids)

    written_out = compiled(everything, model, xla)(token_ids)
    monkeypatch.setattr("kerazoo.models.hmm.MOST_UNROLLED", 0)
    loop = compiled(lambda ids: everything(ids), model, xla)(token_ids)
    for found, expected in zip(
        keras.tree.flatten(loop), keras.tree.flatten(written_out), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_gradients_with_xla_equal_those_without():
    trained = []
    for xla in (True, False):
        model, token_ids = random_model(), some_ids()
        model.compile("sgd", loss=CrossEntropy(), jit_compile=xla)
        model.train_on_batch(token_ids[:, :-1], token_ids[:, 1:])
        trained.append(model.get_weights())
    for on, off in zip(*trained, strict=True):
        np.testing.assert_allclose(on, off, atol=1e-6)


def test_a_long_text_neither_underflows_nor_loses_precision():
    model, token_ids = random_model(), some_ids(batch_size=1, length=5000)
    tables, tokens = probabilities(model), token_ids[0]
    expected, belief = 0.0, tables.initial
    for token in tokens:  # in float64 and with probabilities, brought back to one at each token
        joint = belief * tables.emissions[:, token]
        expected += np.log(joint.sum())
        belief = joint / joint.sum() @ tables.transitions
    fast = compiled(lambda ids: (*forward(model, ids), posteriors(model, ids)), model, xla=False)
    beliefs, log_probs, shown = numpy(*fast(token_ids))
    assert log_probs.sum(dtype="float64") == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(np.exp(beliefs[0, -1]), joint / joint.sum(), atol=1e-5)
    np.testing.assert_allclose(shown.sum(-1), 1, atol=1e-5)


def test_states_that_never_meet_are_told_apart_by_probabilities_of_zero():
    # Two rings of two states: tokens 0 1 0 1 ... or 2 3 2 3 ..., and nothing else.
    model = random_model(num_states=4)
    ring = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], "float32")
    model.set_parameters(Parameters(np.full(4, 0.25), ring, np.eye(4)))
    token_ids = np.array([[0, 1, 0, 1, 0], [3, 2, 3, 2, 3]], "int32")
    paths, log_probs = numpy(*viterbi(model, token_ids))
    np.testing.assert_array_equal(paths, token_ids)
    np.testing.assert_allclose(log_probs, np.log(0.25), rtol=1e-5)
    np.testing.assert_allclose(np.sum(model.token_log_probs(token_ids), 1), np.log(0.25), rtol=1e-5)
    # What cannot be is as good as impossible, and no NaN.
    impossible = np.array([[0, 2, 0, 2, 1]], "int32")
    shown, log_probs = numpy(posteriors(model, impossible), forward(model, impossible)[1])
    assert np.isfinite(shown).all()
    assert log_probs.sum() < -1000
    history = baum_welch(model, np.concatenate([token_ids, impossible]), 3)
    assert np.isfinite([history.min(), *map(np.sum, model.get_weights())]).all()


def test_expected_counts_are_the_gradient_of_the_log_likelihood():
    # In the logits of one row: the count of each entry less its share of the whole row's count.
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("takes gradients with TensorFlow")
    model, token_ids = random_model(), some_ids(batch_size=4)
    weights = [model.initial.value, model.transitions.value, model.emissions.value]
    with tf.GradientTape() as tape:
        log_likelihood = ops.sum(forward(model, token_ids)[1])
    gradients = tape.gradient(log_likelihood, weights)
    counts, _ = expected_counts(model, token_ids)
    for gradient, count, table in zip(gradients, counts, probabilities(model), strict=True):
        (count,) = numpy(count)
        expected = count - table * count.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(gradient, expected, atol=1e-5)


# === Learning ===


@pytest.mark.parametrize("seed", range(5))
def test_a_step_of_baum_welch_never_lowers_the_likelihood(seed):
    model, token_ids = random_model(seed), some_ids(30, 12, seed)
    mask = mask_of(np.random.default_rng(seed).integers(1, 13, 30), 12)
    history = baum_welch(model, token_ids, 20, mask)
    assert history.shape == (21,)
    assert (np.diff(history) > -1e-6 * abs(history[0])).all()
    assert history[-1] > history[0] + 1
    log_probs = ops.convert_to_numpy(forward(model, token_ids, mask)[1])
    assert history[-1] == pytest.approx(log_probs.sum(), rel=1e-5)


def test_baum_welch_does_not_depend_on_how_texts_are_batched():
    token_ids = some_ids(30, 12)
    histories = [baum_welch(random_model(), token_ids, 3, batch_size=b) for b in (30, 7, 256)]
    np.testing.assert_allclose(histories[1:], histories[:1] * 2, rtol=1e-5)


def test_baum_welch_finds_the_grammar_that_made_the_text():
    # State 0 says 0 or 1, state 1 says 2 or 3, and they take turns.
    rng = np.random.default_rng(0)
    kind = (rng.integers(0, 2, (200, 1)) + np.arange(8)) % 2
    token_ids = (2 * kind + rng.integers(0, 2, kind.shape)).astype("int32")
    # It climbs to the nearest top, not always the highest: the best of some random starts counts.
    models = [random_model(seed, num_states=2) for seed in range(10)]
    reached = [baum_welch(model, token_ids, 60)[-1] for model in models]
    model = models[int(np.argmax(reached))]
    best = -200 * 8 * np.log(2) - 200 * np.log(2)  # a bit for each token, and one for each text
    assert max(reached) / best == pytest.approx(1, abs=0.01)
    assert ops.convert_to_numpy(ops.exp(model.log_parameters().transitions)).diagonal().max() < 0.01
    token_ids, shares = numpy(*most_likely_tokens(model, 2))
    assert sorted(map(sorted, token_ids.tolist())) == [[0, 1], [2, 3]]
    np.testing.assert_allclose(shares, 0.5, atol=0.06)


def test_smoothing_leaves_no_token_impossible():
    token_ids = some_ids(10, 12) % 3  # token 3 never comes
    rough, smooth = random_model(), random_model()
    baum_welch(rough, token_ids, 3)
    baum_welch(smooth, token_ids, 3, smoothing=0.5)
    assert probabilities(rough).emissions[:, 3].max() < 1e-20
    assert probabilities(smooth).emissions[:, 3].min() > 1e-3


def test_the_precision_policy_does_not_touch_the_probabilities():
    token_ids = some_ids()
    expected = random_model()(token_ids)
    for policy in ("mixed_bfloat16", "mixed_float16"):
        keras.utils.set_random_seed(0)
        model = HMM(HMMConfig(vocab_size=V, context_length=T, num_states=S), dtype=policy)
        np.testing.assert_allclose(model(token_ids), expected, atol=1e-6)


# === Against hmmlearn ===


def theirs_of(tables, steps=1):
    hmm = pytest.importorskip("hmmlearn.hmm", reason="needs the parity extra")
    theirs = hmm.CategoricalHMM(
        len(tables.initial),
        n_features=tables.emissions.shape[1],
        init_params="",
        n_iter=steps,
        tol=-np.inf,
    )
    theirs.startprob_, theirs.transmat_, theirs.emissionprob_ = (
        table / table.sum(axis=-1, keepdims=True) for table in tables
    )
    return theirs


@pytest.mark.parity
@pytest.mark.parametrize("seed", range(3))
def test_scores_paths_and_posteriors_equal_those_of_hmmlearn(seed):
    model = random_model(seed, num_states=7, vocab_size=11)
    theirs = theirs_of(probabilities(model))
    token_ids = some_ids(4, 60, seed, vocab_size=11)
    _, log_probs = numpy(*forward(model, token_ids))
    shown, paths, best = numpy(posteriors(model, token_ids), *viterbi(model, token_ids))
    for row, tokens in enumerate(token_ids[..., None]):
        assert log_probs[row].sum() == pytest.approx(theirs.score(tokens), rel=1e-5)
        np.testing.assert_allclose(shown[row], theirs.predict_proba(tokens), atol=1e-5)
        score, path = theirs.decode(tokens, algorithm="viterbi")
        np.testing.assert_array_equal(paths[row], path)
        assert best[row] == pytest.approx(score, rel=1e-5)
        expected, path = theirs.decode(tokens, algorithm="map")  # the likeliest state of each token
        np.testing.assert_array_equal(shown[row].argmax(axis=-1), path)
        assert shown[row].max(axis=-1).sum() == pytest.approx(expected, rel=1e-5)


def separate_chains():
    """Two states that never meet, and a text of which each explains one half better."""
    model = random_model(num_states=2, vocab_size=2)
    emissions = np.array([[0.9, 0.1], [0.1, 0.9]])
    model.set_parameters(Parameters(np.full(2, 0.5), np.eye(2), emissions))
    return model, np.repeat([[0, 1]], 100, axis=1).astype("int32")


@pytest.mark.parity
def test_states_that_never_meet_are_weighed_as_by_hmmlearn():
    # In the middle of the text, state 1 is e^220 times less likely than state 0.
    model, token_ids = separate_chains()
    theirs, tokens = theirs_of(probabilities(model)), token_ids[0][:, None]
    assert float(np.sum(forward(model, token_ids)[1])) == pytest.approx(theirs.score(tokens), 1e-5)
    assert np.sum(model.token_log_probs(token_ids)) == pytest.approx(theirs.score(tokens), 1e-5)
    np.testing.assert_allclose(
        posteriors(model, token_ids)[0], theirs.predict_proba(tokens), atol=1e-4
    )
    score, _ = theirs.decode(tokens, algorithm="viterbi")  # of two paths, both as likely
    path, best = numpy(*viterbi(model, token_ids))
    assert len(set(path[0])) == 1
    assert best[0] == pytest.approx(score, rel=1e-5)
    theirs = theirs_of(probabilities(model), 1).fit(tokens)
    baum_welch(model, token_ids, 1)
    for found, table in zip(
        probabilities(model),
        (theirs.startprob_, theirs.transmat_, theirs.emissionprob_),
        strict=True,
    ):
        np.testing.assert_allclose(found, table, atol=1e-4)


def test_zero_transitions_are_the_same_when_compiled():
    model, token_ids = separate_chains()
    fast = compiled(lambda ids: expected_counts(model, ids), model, xla=False)
    for found, expected in zip(
        keras.tree.flatten(fast(token_ids)),
        keras.tree.flatten(expected_counts(model, token_ids)),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((0, 12), {}, r"the shape \(0, 12\)"),
        ((12,), {}, r"the shape \(12,\)"),
        ((2, 12), {"batch_size": 0}, "batch_size 0"),
        ((2, 12), {"smoothing": -0.5}, "smoothing -0.5"),
    ],
)
def test_baum_welch_refuses_what_it_cannot_count(shape, options, message):
    with pytest.raises(InputError, match=message):
        baum_welch(random_model(), np.zeros(shape, "int32"), 1, **options)


@pytest.mark.parity
@pytest.mark.parametrize("steps", [1, 5])
def test_baum_welch_equals_that_of_hmmlearn(steps):
    model = random_model(num_states=7, vocab_size=11)
    theirs = theirs_of(probabilities(model), steps)
    lengths = [40, 3, 1, 25, 40]
    token_ids, mask = some_ids(5, 40, vocab_size=11), mask_of(lengths, 40)
    theirs.fit(token_ids[mask][:, None], lengths)
    history = baum_welch(model, token_ids, steps, mask, batch_size=2)
    np.testing.assert_allclose(history[:-1], theirs.monitor_.history, rtol=1e-5)
    expected = (theirs.startprob_, theirs.transmat_, theirs.emissionprob_)
    for found, table in zip(probabilities(model), expected, strict=True):
        np.testing.assert_allclose(found, table, atol=1e-5)
