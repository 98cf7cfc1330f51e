"""The advice on h, on blocks whose growth is known and on the paper's network."""

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
        identity = keras.layers.Dense(3, use_bias=False, kernel_initializer=keras.initializers.Identity(gain))
        network.add(keras_euler.EulerResidual(identity, h=h))
    return network


X, Y = np.ones((4, 3), "float32"), np.arange(4) % 3
CANDIDATES = (0.1, 0.5, 1.0)


def test_growth_of_every_candidate_and_the_largest_within_the_limit():
    suggestion = suggest_h(build, X, Y, CANDIDATES, limit=6)
    assert suggestion.h == 0.5 and suggestion.num_blocks == NUM_BLOCKS
    for h in CANDIDATES:
        assert suggestion.growths[h] == pytest.approx((1 + h) ** NUM_BLOCKS, rel=1e-4)
    assert "0.5       5.06 <- suggested" in str(suggestion) and "beyond 6" in str(suggestion)
    assert "1/sqrt(L) of 4 blocks: 0.5" in str(suggestion)


def test_where_nothing_explodes_it_says_that_nothing_is_decided():
    assert "decides nothing" in str(suggest_h(build, X, Y, CANDIDATES, limit=100))
    assert "decides nothing" not in str(suggest_h(build, X, Y, CANDIDATES, limit=6))


def test_deeper_network_gets_a_smaller_h():
    x, y = keras_euler.datasets.synthetic.images(16, 1)[0]
    advice = [
        suggest_h(
            lambda h, depth=depth: keras_euler.EulerResNet(depth, h, widths=(4, 8, 8)),
            x / np.float32(255),
            y,
            (0.1, 0.5, 1.0),
        )
        for depth in (8, 38)
    ]
    assert advice[0].h > advice[1].h >= 0.1


BAD = [
    (lambda: suggest_h(3, X, Y), TypeError, "`build` must be a function of h"),
    (lambda: suggest_h(lambda h: None, X, Y), TypeError, "`model` must be a Keras model"),
    (lambda: suggest_h(lambda h: build(0.5), X, Y), ValueError, "must pass h on to the network: all 10 candidates"),
    (lambda: suggest_h(build, X, Y, []), ValueError, "at least one"),
    (lambda: suggest_h(build, X, Y, [0.0]), ValueError, "must be numbers > 0"),
    (lambda: suggest_h(build, X, Y, [-1.0]), ValueError, r"`candidates\[0\]` must be a finite number >= 0"),
    (lambda: suggest_h(build, X, None), ValueError, "`y` must be the labels"),
    (lambda: suggest_h(build, X, Y, [5.0]), ValueError, "Even with h=5 the gradients grow .* Pass smaller candidates"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_gets_a_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()
