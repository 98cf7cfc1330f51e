"""Synthetic data sets with the shapes and dtypes of the real ones: seeded, offline, and too hard
for a linear model."""

import numpy as np

from keras_euler._checks import check_integer
from keras_euler._types import Array, Splits

TILE = 16  # period of an image texture, in pixels
WAVES = (1, 3)  # minimum and maximum waves per tile; more waves are harder
CONTRAST = (0.2, 1.2)  # the noise nearly hides the weakest images
NOISE = 0.4  # standard deviation per pixel; that of a texture is its contrast
TINT = 0.5  # standard deviation of the colour of an image, for all classes
DISTRACTOR = 0.4  # side of the square that shows another class, relative to the image
CHUNK = 1000  # images rendered at once, to bound the memory

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
COMMON_WORDS = 200  # words that all classes share
KEYWORDS = 12  # words of each class, each an anagram of a word of every other class
WORD_LENGTH = (3, 8)  # minimum and maximum letters
TEXT_WORDS = (12, 24)  # minimum and maximum words of a text
OWN_KEYWORDS = (2, 4)  # minimum and maximum words that are keywords of the text's class
OTHER_KEYWORDS = 1  # words that are keywords of another class


def images(
    num_train: int = 2000,
    num_test: int = 500,
    num_classes: int = 10,
    image_size: int = 32,
    seed: int = 0,
) -> Splits:
    """Make images to classify, with the shapes and dtypes of `cifar10.load_data`.

    Each class is a smooth periodic random texture. An image shows the texture of its class,
    randomly shifted and mirrored, with random contrast and tint, behind a square of another class'
    texture and under noise. The mean colour therefore carries no information, and shifting or
    mirroring an image, as augmentation does, keeps its label correct.

    Test accuracy of `EulerResNet(depth, h=0.1)` measured with the default sizes (torch on CPU, SGD
    with momentum 0.9 and a constant learning rate of 0.1, batch 64, no augmentation; the seed sets
    the images and the weights):

    | depth | after 5 epochs | after 10 epochs | seeds |
    | ---: | --- | --- | --- |
    | 8 | 0.57, 0.89, 0.73 | 0.86, 0.90, 0.72 | 0, 1, 2 |
    | 20 | 0.54, 0.80 | 0.98, 1.00 | 0, 1 |

    At this learning rate single epochs jump by 0.2 or more. Linear models on the pixels reach 0.12
    to 0.15 (seeds 0, 1, 2).

    Args:
        num_train: Number of training images, >= 1. The classes are equally frequent.
        num_test: Number of test images, >= 1. They do not depend on `num_train`.
        num_classes: Number of classes, 2 to 256.
        image_size: Height and width in pixels, >= 8.
        seed: Integer >= 0, of both textures and images.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images uint8 `(n, image_size, image_size, 3)`,
        labels int64 `(n,)`.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An argument is not an integer.

    Example:

    >>> (x_train, y_train), (x_test, y_test) = images(num_train=20, num_test=10)
    >>> x_train.shape, str(x_train.dtype), y_train.shape, str(y_train.dtype)
    ((20, 32, 32, 3), 'uint8', (20,), 'int64')
    >>> np.bincount(y_test).tolist()
    [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    """
    check_integer("image_size", image_size, 8)
    textures_rng, train_rng, test_rng = _generators(seed, num_classes)
    textures = _textures(textures_rng, num_classes)
    splits = []
    for name, num, rng in (("num_train", num_train, train_rng), ("num_test", num_test, test_rng)):
        y = _labels(rng, check_integer(name, num, 1), num_classes)
        chunks = [
            _render(rng, textures, y[start : start + CHUNK], image_size)
            for start in range(0, num, CHUNK)
        ]
        splits.append((np.concatenate(chunks), y))
    train, test = splits
    return train, test


def texts(
    num_train: int = 2000, num_test: int = 500, num_classes: int = 4, seed: int = 0
) -> Splits:
    """Make texts to classify, with the shapes and dtypes of `ag_news.load_data`.

    A text is a sequence of random words in lower case. Two to four of them are keywords of its
    class, one is a keyword of another class, and the others are common to all. Each keyword is an
    anagram of a keyword of every other class, so that only the order of the letters tells the
    class, not their number.

    Test accuracy of `EulerVDCNN(depth, h=0.1, sequence_length=128, dense_units=128)` measured with
    the default sizes (torch on CPU, SGD with momentum 0.9 and a constant learning rate of 0.01,
    batch 64; the seed sets the texts and the weights):

    | depth | after 5 epochs | after 10 epochs | seeds |
    | ---: | --- | --- | --- |
    | 9 | 0.78, 0.79, 0.90 | 0.88, 0.93, 0.82 | 0, 1, 2 |
    | 17 | 0.85, 0.81 | 0.91, 0.92 | 0, 1 |

    The accuracy varies strongly from epoch to epoch. A linear model on the counts of the characters
    reaches 0.27 (seed 0); chance is 0.25.

    Args:
        num_train: Number of training texts, >= 1. The classes are equally frequent.
        num_test: Number of test texts, >= 1. They do not depend on `num_train`.
        num_classes: Number of classes, 2 to 256.
        seed: Integer >= 0, of both words and texts.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: texts `(n,)`, an array of strings (dtype object) of
        about 50 to 200 characters; labels int64 `(n,)`.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: An argument is not an integer.

    Example:

    >>> (x_train, y_train), (x_test, y_test) = texts(num_train=20, num_test=8)
    >>> x_train.shape, type(x_train[0]).__name__, np.bincount(y_test).tolist()
    ((20,), 'str', [2, 2, 2, 2])
    """
    words_rng, train_rng, test_rng = _generators(seed, num_classes)
    common = np.array(
        [
            "".join(words_rng.choice(LETTERS, words_rng.integers(*WORD_LENGTH, endpoint=True)))
            for _ in range(COMMON_WORDS)
        ]
    )
    keywords = _anagrams(words_rng, num_classes)
    splits = []
    for name, num, rng in (("num_train", num_train, train_rng), ("num_test", num_test, test_rng)):
        y = _labels(rng, check_integer(name, num, 1), num_classes)
        x = [_sentence(rng, common, keywords, label) for label in y]
        splits.append((np.array(x, object), y))
    train, test = splits
    return train, test


def _generators(seed: int, num_classes: int) -> list[np.random.Generator]:
    """Return three independent generators: for the classes, the training split and the test
    split."""
    check_integer("seed", seed, 0)
    if check_integer("num_classes", num_classes, 2) > 256:
        raise ValueError(f"`num_classes` must be at most 256. Received: num_classes={num_classes}.")
    return [np.random.default_rng([seed, stream]) for stream in range(3)]


def _labels(rng: np.random.Generator, num: int, num_classes: int) -> Array:
    return rng.permutation(np.arange(num, dtype="int64") % num_classes)


def _textures(rng: np.random.Generator, num_classes: int) -> Array:
    """Make random periodic tiles `(num_classes, TILE, TILE, 3)` with mean 0 in each colour and
    standard deviation 1."""
    waves = np.fft.fftfreq(TILE, 1 / TILE)
    radius = np.hypot(waves[:, None], waves)
    kept = (radius >= WAVES[0]) & (radius <= WAVES[1])
    spectrum = np.fft.fft2(rng.standard_normal((num_classes, 3, TILE, TILE))) * kept
    tiles = np.moveaxis(np.fft.ifft2(spectrum).real, 1, -1)
    return (tiles / tiles.std(axis=(1, 2, 3), keepdims=True)).astype("float32")


def _render(rng: np.random.Generator, textures: Array, labels: Array, size: int) -> Array:
    num = len(labels)
    others = (labels + rng.integers(1, len(textures), num)) % len(textures)
    texture = np.where(
        _squares(rng, num, size),
        _tiled(rng, textures, others, size),
        _tiled(rng, textures, labels, size),
    )
    x = texture * rng.uniform(*CONTRAST, (num, 1, 1, 1)).astype("float32")
    x += TINT * rng.standard_normal((num, 1, 1, 3), "float32")
    x += NOISE * rng.standard_normal(x.shape, "float32")
    return np.clip(128 + 40 * x, 0, 255).astype("uint8")


def _tiled(rng: np.random.Generator, textures: Array, labels: Array, size: int) -> Array:
    """Tile whole images with the textures of labels, randomly shifted and mirrored: `(n, size,
    size, 3)`."""
    num, pixels = len(labels), np.arange(size)
    mirror = rng.choice((-1, 1), (num, 1))
    rows = (pixels + rng.integers(TILE, size=(num, 1))) % TILE
    columns = (mirror * pixels + rng.integers(TILE, size=(num, 1))) % TILE
    return textures[labels[:, None, None], rows[:, :, None], columns[:, None, :]]


def _squares(rng: np.random.Generator, num: int, size: int) -> Array:
    """Make masks `(n, size, size, 1)` that are true in a square at a random place."""
    side = int(DISTRACTOR * size)
    start = rng.integers(size - side + 1, size=(2, num, 1))
    inside = (np.arange(size) >= start) & (np.arange(size) < start + side)
    return (inside[0, :, :, None] & inside[1, :, None, :])[..., None]


def _anagrams(rng: np.random.Generator, num_classes: int) -> Array:
    """Make keywords `(num_classes, KEYWORDS)`: those of a column are anagrams of the same distinct
    letters."""
    columns = []
    for _ in range(KEYWORDS):
        # 5040 anagrams: room for 256 classes
        chosen = rng.choice(LETTERS, WORD_LENGTH[1] - 1, replace=False)
        words: dict[str, None] = {}
        while len(words) < num_classes:
            words["".join(rng.permutation(chosen))] = None
        columns.append(list(words))
    return np.array(columns).T


def _sentence(rng: np.random.Generator, common: Array, keywords: Array, label: int) -> str:
    other = (label + rng.integers(1, len(keywords))) % len(keywords)
    num_words, num_own = (
        rng.integers(*TEXT_WORDS, endpoint=True),
        rng.integers(*OWN_KEYWORDS, endpoint=True),
    )
    words = [
        *rng.choice(keywords[label], num_own),
        *rng.choice(keywords[other], OTHER_KEYWORDS),
        *rng.choice(common, num_words - num_own - OTHER_KEYWORDS),
    ]
    return " ".join(rng.permutation(words))
