"""The paper's studies as data: which figure, along which axis, with which values and fixed settings.

Names of axes and settings are those of the flags of cifar10.py and ag_news.py. A study of your own is one more entry.
"""

from dataclasses import dataclass, field

PAPER_H = (1.0, 0.1)
# Depths of the authors' plot script; figures use 44, 110 and 218 too.
IMAGE_DEPTHS = (20, 38, 44, 56, 110, 134, 152, 182, 242, 302, 326, 434, 542, 650)
TEXT_DEPTHS = (9, 17, 29, 49)
# The paper's figures name no values of these axes: they are our choice.
LEARNING_RATES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0)
ADAM_RATES = (0.001, 0.01, 0.1, 0.3, 0.5)
IMAGE_NOISE = (0.0, 0.1, 0.3, 0.5, 1.0)
TEXT_NOISE = (0.0, 0.1, 0.2, 0.3, 0.5)
IMAGE_H = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0, 5.0, 10.0, 20.0)
TEXT_H = IMAGE_H[:9]
INITIALIZERS = ("torch", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "orthogonal")


@dataclass(frozen=True)
class Study:
    """One figure of the paper on one data set: every panel x line x axis value x seed is a training.

    Attributes:
        figures: Numbers of the paper's figures.
        axis: Pair of a setting and its values: the horizontal axis.
        line: The same: a colour each.
        panel: The same, or None: a plot each.
        fixed: Settings that differ from the recipe's defaults.
        our_choice: Whether the paper does not name the values of the axis.
    """

    figures: str
    axis: tuple
    line: tuple = ("h", PAPER_H)
    panel: tuple | None = None
    fixed: dict = field(default_factory=dict)
    our_choice: bool = False


STUDIES = {
    ("depth", "cifar10"): Study("3", ("depth", IMAGE_DEPTHS)),
    ("depth", "ag_news"): Study("3", ("depth", TEXT_DEPTHS)),
    ("learning-rate", "cifar10"): Study(
        "4, 12 and 13", ("learning_rate", LEARNING_RATES), panel=("depth", (44, 110, 218)), our_choice=True
    ),
    ("learning-rate", "ag_news"): Study(
        "14", ("learning_rate", LEARNING_RATES), panel=("depth", (29, 49)), our_choice=True
    ),
    ("no-norm", "cifar10"): Study("5", ("depth", IMAGE_DEPTHS), fixed={"norm": "none"}),
    ("no-norm", "ag_news"): Study("5", ("depth", TEXT_DEPTHS), fixed={"norm": "none"}),
    ("adam", "cifar10"): Study(
        "6 and 15",
        ("learning_rate", ADAM_RATES),
        panel=("depth", (44, 110, 218)),
        fixed={"optimizer": "adam"},
        our_choice=True,
    ),
    ("noise", "cifar10"): Study("8", ("noise", IMAGE_NOISE), fixed={"depth": 218}, our_choice=True),
    ("noise", "ag_news"): Study(
        "8", ("noise", TEXT_NOISE), fixed={"depth": 49, "learning_rate": 0.01}, our_choice=True
    ),
    ("h", "cifar10"): Study("9", ("h", IMAGE_H), line=("depth", (20, 110, 218)), our_choice=True),
    ("h", "ag_news"): Study("9", ("h", TEXT_H), line=("depth", (17, 49)), our_choice=True),
    ("initialization", "cifar10"): Study(
        "16", ("depth", (20, 44, 110, 218)), panel=("initializer", INITIALIZERS), our_choice=True
    ),
}
