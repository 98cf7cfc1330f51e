"""Growth of gradients and noise in linear blocks, where it is known, and in the package's
networks."""

import keras
import numpy as np
import pytest

import keras_euler
from keras_euler import analysis
from keras_euler.analysis import (
    calibrate_batch_norm,
    gradient_bounds,
    gradient_growth,
    gradient_norms,
    noise_bounds,
    noise_growth,
    spectral_norm,
)

H, NUM_BLOCKS, D = 0.5, 4, 3


def linear_blocks(matrices, h=H, **arguments):
    """`x_{n+1} = x_n + h x_n A_n`."""
    network = keras.Sequential([keras.Input((D,))])
    for i, matrix in enumerate(matrices):
        dense = keras.layers.Dense(D, use_bias=False)
        network.add(keras_euler.EulerResidual(dense, h=h, name=f"block{i}", **arguments))
        dense.set_weights([matrix])
    return network


def gradients_by_hand(matrices, x, y, h=H):
    """Norms of the gradients of the mean squared error, from x_0 to x_D."""
    jacobians, end = [np.eye(D) + h * matrix for matrix in matrices], x
    for jacobian in jacobians:
        end = end @ jacobian
    gradient = 2 * (end - y) / y.size
    norms = [np.linalg.norm(gradient)]
    for jacobian in reversed(jacobians):
        gradient = gradient @ jacobian.T
        norms.append(np.linalg.norm(gradient))
    return norms[::-1]


@pytest.fixture
def batch(rng):
    return rng.normal(size=(5, D)).astype("float32"), rng.normal(size=(5, D)).astype("float32")


def test_gradients_with_respect_to_what_goes_from_block_to_block(batch, rng):
    matrices = [rng.normal(size=(D, D)).astype("float32") for _ in range(NUM_BLOCKS)]
    norms = gradient_norms(linear_blocks(matrices), *batch, loss="mean_squared_error")
    np.testing.assert_allclose(norms, gradients_by_hand(matrices, *batch), rtol=1e-5)


def test_bound_of_proposition_1_is_met_where_branch_and_shortcut_agree_and_broken_by_a_smaller_w(
    batch,
):
    matrices = [2 * np.eye(D, dtype="float32")] * NUM_BLOCKS
    growth = gradient_growth(linear_blocks(matrices), *batch, loss="mean_squared_error")
    assert growth.W == pytest.approx(2)  # noqa: SIM300
    np.testing.assert_allclose(growth.measured, growth.bound, rtol=1e-5)
    np.testing.assert_allclose(growth.measured, gradients_by_hand(matrices, *batch), rtol=1e-5)
    assert growth.measured[0] == pytest.approx(
        (1 + H * 2) ** NUM_BLOCKS * growth.measured[-1], rel=1e-5
    )
    assert growth.measured[0] > gradient_bounds(growth.measured[-1], H, 1.9, NUM_BLOCKS)[0]


def test_bound_of_proposition_2_holds_and_a_smaller_w_breaks_it(batch):
    matrices = [2 * np.eye(D, dtype="float32")] * NUM_BLOCKS
    growth = noise_growth(linear_blocks(matrices), batch[0], eps=0.25)
    np.testing.assert_allclose(
        growth.measured, [0.25 * 2**n for n in range(NUM_BLOCKS + 1)], rtol=1e-4
    )
    np.testing.assert_allclose(
        growth.branches, [2 * 0.25 * 2**n for n in range(NUM_BLOCKS)], rtol=1e-4
    )
    np.testing.assert_allclose(growth.bound, noise_bounds(0.25, H, growth.W, NUM_BLOCKS), rtol=1e-4)
    assert (growth.measured <= growth.bound * 1.0001).all()
    assert growth.measured[-1] > noise_bounds(0.25, H, growth.branches[1], NUM_BLOCKS)[-1]


def test_frobenius_form_has_the_norm_of_the_identity():
    (bound, _) = gradient_bounds(2.0, 0.5, 3.0, 1, dimension=16)
    assert bound == 2 * (4 + 0.5 * 3)
    assert gradient_bounds(1.0, [1, 2], 1.0, 2, shortcut_norms=[3, 4]).tolist() == [24, 6, 1]
    assert noise_bounds(1.0, [1, 2], 1.0, 2, shortcut_norms=[3, 4]).tolist() == [1, 4, 18]


def test_spectral_norm_of_a_jacobian(rng):
    matrix, x = rng.normal(size=(6, 4)).astype("float32"), rng.normal(size=(3, 6)).astype("float32")
    jacobians = [matrix * (row @ matrix > 0) for row in x]
    expected = max(np.linalg.norm(jacobian, 2) for jacobian in jacobians)
    found = spectral_norm(
        lambda x: keras.ops.relu(keras.ops.matmul(x, matrix)), x, num_iterations=200
    )
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.fixture
def network():
    return keras_euler.EulerResNet(14, h=1.0, input_shape=(8, 8, 3), widths=(4, 8, 8))


@pytest.fixture
def images(rng):
    return rng.normal(size=(4, 8, 8, 3)).astype("float32"), np.arange(4)


def test_bounds_hold_in_a_calibrated_network_stage_by_stage(network, images):
    calibrate_batch_norm(network, images[0])
    gradients, noise = (
        gradient_growth(network, *images, num_iterations=30),
        noise_growth(network, images[0], eps=0.5),
    )
    for growth in (gradients, noise):
        assert (growth.measured <= 1.01 * growth.bound).all()
        assert [norm == 1 for norm in growth.shortcut_norms] == [
            True,
            True,
            False,
            True,
            False,
            True,
        ]
        assert [np.isnan(step) for step in growth.steps] == [False, False, True, False, True, False]
        assert growth.names[2] == "stage2_block1" and "stage2_block1" in str(growth)


def test_measuring_changes_no_state(network, images):
    before = network.get_weights()
    gradient_norms(network, *images, training=True)
    noise_growth(network, images[0], eps=0.5, num_iterations=1)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


class Subclassed(keras.Model):
    def call(self, x):
        return x


def two_towers():
    x = keras.Input((D,))
    blocks = [keras_euler.EulerResidual(keras.layers.Dense(D)) for _ in range(2)]
    return keras.Model(x, blocks[0](x) + blocks[1](x))


X = np.ones((2, D), "float32")
BAD = [
    (lambda: gradient_norms(3, X, X), TypeError, "`model` must be a Keras model. Received: int"),
    (lambda: gradient_norms(Subclassed(), X, X), ValueError, "must be functional or Sequential"),
    (
        lambda: gradient_norms(linear_blocks([np.eye(D)]), X, None),
        ValueError,
        "`y` must be the labels",
    ),
    (
        lambda: gradient_norms(linear_blocks([np.eye(D)]), X, X[:1]),
        ValueError,
        "same number of rows. Received: the shapes .2, 3. and .1, 3.",
    ),
    (lambda: gradient_norms(two_towers(), X, X, "mse"), ValueError, "The blocks must be a chain"),
    (lambda: noise_growth(linear_blocks([np.eye(D)]), X, 0), ValueError, "`eps` must be > 0"),
    (
        lambda: noise_growth(linear_blocks([np.eye(D)]), X.astype(int), 1),
        TypeError,
        "floating numbers",
    ),
    (
        lambda: noise_growth(keras.Sequential([keras.Input((D,)), keras.layers.Dense(D)]), X, 1),
        ValueError,
        "no EulerResidual layer",
    ),
    (lambda: gradient_bounds(1, -1, 1, 1), ValueError, "`h` must be a finite number >= 0"),
    (
        lambda: noise_bounds(1, [1], 1, 2),
        ValueError,
        "one number for each of the 2 blocks. Received: 1",
    ),
    (
        lambda: spectral_norm(lambda x: x, X, 0),
        ValueError,
        "`num_iterations` must be an integer >= 1",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_gets_a_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_noise_that_leaves_the_dead_side_of_a_relu_stays_within_the_bound():
    """ReLU's derivative is 0 at the point, but its difference to the noisy point is not."""
    network = linear_blocks([np.eye(D, dtype="float32")])
    network.add(keras.layers.ReLU())
    network.add(keras_euler.EulerResidual(keras.layers.Dense(D), h=H))
    growth = noise_growth(network, np.full((8, D), -0.1, "float32"), eps=5.0)
    assert growth.measured[-1] > 1 and (growth.measured <= growth.bound * 1.001).all()


@pytest.mark.parametrize("kind", [list, dict])
def test_gradients_of_a_model_within_a_model_with_several_inputs(kind, rng):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    add, dense = keras_euler.EulerAdd(0.5), keras.layers.Dense(4)
    names = ("a", "b")
    inner = keras.Model(
        [a, b] if kind is list else dict(zip(names, (a, b), strict=True)), add([a, dense(b)])
    )
    x, first, last = keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(3)
    given = (x, first(x))
    nested = inner(list(given) if kind is list else dict(zip(names, given, strict=True)))
    flat = keras.Model(x, last(add([x, dense(first(x))])))
    data = rng.normal(size=(5, 4)).astype("float32"), np.arange(5) % 3
    np.testing.assert_array_equal(
        analysis.gradient_norms(keras.Model(x, last(nested)), *data),
        analysis.gradient_norms(flat, *data),
    )


@pytest.mark.once
def test_probabilities_are_known_by_their_values(rng):
    x = keras.Input((4,))
    y = keras.layers.Softmax()(keras_euler.EulerAdd(0.5)([x, keras.layers.Dense(4)(x)]))
    model, scaled = keras.Model(x, y), keras.Model(x, keras.layers.Rescaling(1.0)(y))
    data = rng.normal(size=(5, 4)).astype("float32"), np.arange(5) % 4
    np.testing.assert_allclose(
        analysis.gradient_norms(scaled, *data), analysis.gradient_norms(model, *data), rtol=1e-6
    )
