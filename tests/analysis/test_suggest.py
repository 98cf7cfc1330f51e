"""The suggested h, for blocks of known growth and for the paper's network."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import suggest_h

NUM_BLOCKS = 4


def build(h, gain=1.0):
    """Blocks x + h * gain * x: gradients grow by (1 + h * gain)^4."""
    network = keras.Sequential([keras.Input((3,))])
    for _ in range(NUM_BLOCKS):
        identity = keras.layers.Dense(
            3, use_bias=False, kernel_initializer=keras.initializers.Identity(gain)
        )
        network.add(keras_euler.EulerResidual(identity, h=h))
    return network


X, Y = np.linspace(0.5, 1.5, 12, dtype="float32").reshape(4, 3), np.arange(4) % 3
CANDIDATES = (0.1, 0.5, 1.0)


def test_the_advice_is_the_rule_where_its_gradients_do_not_explode():
    suggestion = suggest_h(build, X, Y, (0.1, 0.6, 1.0), limit=7)
    assert suggestion.h == suggestion.rule == 0.5 and suggestion.num_blocks == NUM_BLOCKS
    assert suggestion.largest == 0.6
    assert list(suggestion.growths) == [0.1, 0.5, 0.6, 1.0]
    for h, growth in suggestion.growths.items():
        assert growth == pytest.approx((1 + h) ** NUM_BLOCKS, rel=1e-4)
    *_, last, most, reason = str(suggestion).splitlines()
    assert last.endswith("0.6       6.55") and most.endswith("1         16 explodes")
    assert "0.5       5.06 <- 1/sqrt(L) <- suggested" in str(suggestion)
    assert reason == (
        "Suggested: h = 0.5, 1/sqrt(L) = 0.5 for L = 4 blocks. The largest h measured whose "
        "gradients do not explode is 0.6."
    )


def test_the_advice_is_a_smaller_h_where_gradients_explode_at_the_rule():
    suggestion = suggest_h(build, X, Y, (0.05, 0.1, 0.3, 1.0), limit=2)
    assert suggestion.h == suggestion.largest == 0.1 and suggestion.rule == 0.5
    text = str(suggestion)
    assert "0.5       5.06 explodes <- 1/sqrt(L)\n" in text
    assert "0.1       1.46 <- suggested\n" in text
    assert text.endswith(
        "Suggested: h = 0.1, whose gradients do not explode. They do at 1/sqrt(L) = 0.5 for L = 4 "
        "blocks."
    )


def test_the_advice_is_the_smallest_h_where_gradients_explode_at_every_one():
    suggestion = suggest_h(build, X, Y, CANDIDATES, limit=1)
    assert suggestion.h == 0.1 and suggestion.largest is None
    assert str(suggestion).endswith(
        "Suggested: h = 0.1, the smallest measured: gradients explode at every h here. Pass "
        "smaller candidates."
    )


@pytest.mark.parametrize(
    "loss", ["sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy()]
)
def test_labels_of_a_sparse_loss_must_be_classes(loss):
    with pytest.raises(
        ValueError, match="must be whole numbers in 0..2. Received: 3 at position 2"
    ):
        suggest_h(build, X, Y + 1, loss=loss)
    ignoring = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)
    assert np.isfinite(
        list(suggest_h(build, X, Y + 1, CANDIDATES, loss=ignoring).growths.values())
    ).all()


BAD = [
    (lambda: suggest_h(3, X, Y), TypeError, "`build` must be a function of h"),
    (lambda: suggest_h(lambda h: None, X, Y), TypeError, "`model` must be a Keras model"),
    (
        lambda: suggest_h(lambda h: build(0.5), X, Y),
        ValueError,
        r"must pass h on to the network: .* all its blocks have \[0.5\]",
    ),
    (
        lambda: suggest_h(lambda h: build(min(h, 0.3)), X, Y),
        ValueError,
        r"must pass h on .* all its blocks have \[0.3\]",
    ),
    (
        lambda: suggest_h(
            lambda h: keras.Sequential([keras.Input((3,)), *build(h).layers[: 3 if h < 1 else 4]]),
            X,
            Y,
        ),
        ValueError,
        r"same number of blocks for every h. Received: \d with h",
    ),
    (
        lambda: suggest_h(build(0.5), X, Y),
        TypeError,
        "`build` must be a function of h .* Received: Sequential",
    ),
    (
        lambda: suggest_h(build, X, Y + 0.5),
        ValueError,
        "must be whole numbers in 0..2. Received: 0.5 at position 0",
    ),
    (
        lambda: suggest_h(build, X, np.array(list("abca"))),
        TypeError,
        "`y` must be an array of numbers",
    ),
    (lambda: suggest_h(build, X, Y, []), ValueError, "at least one"),
    (lambda: suggest_h(build, X, Y, [0.0]), ValueError, "must be numbers > 0"),
    (
        lambda: suggest_h(build, X, Y, [-1.0]),
        ValueError,
        r"must be numbers > 0, at least one. Received: \[-1.0\]",
    ),
    (lambda: suggest_h(build, X, None), ValueError, "`y` must be the labels"),
    (
        lambda: suggest_h(build, X, Y, 0.1),
        TypeError,
        "must be a list of numbers > 0. Received: candidates=0.1",
    ),
    (lambda: suggest_h(build, X, Y, "1/sqrt(L)"), TypeError, "must be a list of numbers > 0"),
    (
        lambda: suggest_h(build, X, Y, [None]),
        TypeError,
        r"`candidates\[0\]` must be a finite number",
    ),
    (lambda: suggest_h(build, X * np.nan, Y), ValueError, "`x` must be finite numbers"),
    (
        lambda: suggest_h(build, X * 0, Y),
        ValueError,
        "constant inputs suggest no h. Received: 0 everywhere.",
    ),
    (lambda: suggest_h(build, X[:0], Y[:0]), ValueError, "`x` must have at least one row"),
    (lambda: suggest_h(build, X, Y[:2]), ValueError, "same number of rows"),
    (
        lambda: suggest_h(build, X, Y + 1),
        ValueError,
        "must be whole numbers in 0..2. Received: 3 at position 2",
    ),
    (
        lambda: suggest_h(build, X, np.eye(4)),
        ValueError,
        r"one class in 0..2 per row.*shape \(4, 4\)",
    ),
    (lambda: suggest_h(build, np.array(["a"] * 4), Y), TypeError, "must be an array of numbers"),
]


@pytest.mark.once
@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_gets_a_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()
