"""The recipes' table of rules of the literature: the arguments that it names give the step,
computed in NumPy."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.models.networks import ARRAY, resnet

L, N = 6, 3  # residual blocks of the network; layers of a transformer, of two branches each
README = (Path(__file__).parents[2] / "recipes" / "guide" / "choosing-h.md").read_text()
# Rule -> step from x, the branch f and trained numbers a.
STEPS = {
    "ReZero": lambda x, f, a: x + a * f,
    "SkipInit": lambda x, f, a: x + a * f,
    "Fixup": lambda x, f, a: x + a * f,
    "LayerScale": lambda x, f, a: x + a * f,
    "DeepNorm": lambda x, f, a: (2 * N) ** 0.25 * x + f,
    "Stable ResNet": lambda x, f, a: x + f / np.sqrt(L),
    "1/L": lambda x, f, a: x + f / L,
    "stochastic depth": lambda x, f, a: x + f,
}
# Initial values of what is trained.
FIRST = {"ReZero": 0, "SkipInit": 0, "Fixup": 1, "LayerScale": 1e-5}
ROWS = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| `([^`]+)`.* \|$", README, re.M))


def block_of(rule):
    """Return the second block of a network with the arguments of a rule."""
    arguments = eval(f"dict({ROWS[rule]})", {"N": N})
    return resnet(depth=14, widths=(4, 4, 8), **arguments).get_layer("stage1_block2")


@pytest.mark.parametrize("rule", STEPS)
def test_arguments_give_the_step_of_the_rule(rule, rng):
    block, x, a = block_of(rule), rng.normal(size=(4, 8, 8, 4)).astype("float32"), np.ones(4)
    if rule in FIRST:
        np.testing.assert_allclose(ARRAY(block.add.step_factor), FIRST[rule])
        a = rng.normal(size=block.add.step_factor.shape)
        block.add.step_factor.assign(a)
    if rule in ("SkipInit", "Fixup"):
        assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in block.branch)
    y = STEPS[rule](x, ARRAY(block.increment(x)), a)
    expected = y if rule == "SkipInit" else np.maximum(y, 0)
    np.testing.assert_allclose(ARRAY(block(x)), expected, rtol=1e-4, atol=1e-5)


def test_stochastic_depth_has_the_rates_and_the_mean_of_the_paper(rng):
    """Huang et al. (2016): block l of L survives with the probability 1 - l / L (1 - p_L), here p_L
    = 0.5 and l = 2."""
    block, x = block_of("stochastic depth"), np.abs(rng.normal(size=(1, 8, 8, 4))).astype("float32")
    survival = 1 - 2 / L * 0.5
    block.branch[:] = [keras.layers.Activation("linear")]
    y = ARRAY(block(np.repeat(x, 600, 0), training=True))
    kept = y.max((1, 2, 3)) > 1.5 * x.max()
    np.testing.assert_allclose(
        y, x * np.where(kept, 1 + 1 / survival, 1)[:, None, None, None], rtol=1e-5
    )
    assert abs(kept.mean() - survival) < 0.05


def test_every_rule_of_the_table_is_tested():
    assert set(ROWS) == set(STEPS)
