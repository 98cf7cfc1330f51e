"""Read AG-News, texts and labels, from TensorFlow Datasets or the original pair of CSV files."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_euler._types import Array, PathLike, Splits
from keras_euler.datasets import _files

CLASS_NAMES = ("World", "Sports", "Business", "Sci/Tech")

_TFDS_NAME = "ag_news_subset"
_FEATURES = ("title", "description", "label")
_CSV_NAMES = ("train.csv", "test.csv")
_HINT = (
    f"Pass a TensorFlow Datasets folder ({_TFDS_NAME}/VERSION with dataset_info.json) or a folder "
    f"with {' and '.join(_CSV_NAMES)}."
)
_CLASSES = ("1", "2", "3", "4")  # in the files


def load_data(data_dir: PathLike | None = None) -> Splits:
    """Read AG-News: news in the four classes `CLASS_NAMES`, originally 120,000 for training and
    7,600 for testing.

    A text is `title + " " + description + " "`, lower-cased, as in the paper.

    Args:
        data_dir: String or path. One of
            - a prepared TensorFlow Datasets folder of `ag_news_subset`: the root, the data set's or
              the version's folder (never downloads; needs the extra `keras_euler[datasets]`);
            - a folder with the original `train.csv` and `test.csv`, or with a folder `ag_news_csv`
              of them: quoted rows of class (1 to 4), title and description. Any number of rows is
              accepted; Kaggle's header and blank lines are skipped.

            None: TensorFlow Datasets downloads the set once.

    Returns:
        `(x_train, y_train), (x_test, y_test)`. Texts are arrays `(n,)` of strings (dtype object),
        labels int64 `(n,)`, 0 to 3.

    Raises:
        FileNotFoundError: `data_dir` is missing, has an unknown layout or lacks one of the two
            files.
        ValueError: A file is damaged; the message names the file and line.
        ImportError: TensorFlow Datasets is needed but not installed.
        OSError: Without `data_dir`, the download failed.
        TypeError: `data_dir` is neither a string nor a path.

    Example:

    >>> import pathlib, tempfile
    >>> row = '"3","Wall St. Bears","Short-sellers are seeing green."'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("train.csv", "test.csv"):
    ...         size = pathlib.Path(folder, name).write_text(row)
    ...     (texts, labels), _ = load_data(folder)
    >>> texts[0], CLASS_NAMES[labels[0]]
    ('wall st. bears short-sellers are seeing green. ', 'Business')
    """
    if data_dir is None:
        try:
            return _from_tfds(None)
        except ImportError:
            raise
        except Exception as error:  # it raises a plain Exception without a network
            raise _files.no_download("AG-News", error) from error
    path = _files.existing_path(data_dir, _HINT)
    prepared = _files.find_prepared(path, _TFDS_NAME)
    if prepared:
        return _from_tfds(prepared)
    for folder in (path, path / "ag_news_csv"):
        if any((folder / name).is_file() for name in _CSV_NAMES):
            train, test = (_read_csv(folder / name) for name in _CSV_NAMES)
            return train, test
    raise _files.unknown_layout(path, "AG-News", _HINT)


def _as_arrays(titles: Sequence[str], descriptions: Sequence[str], y: Array) -> tuple[Array, Array]:
    x = [f"{one} {other} ".lower() for one, other in zip(titles, descriptions, strict=True)]
    return np.array(x, object), y.astype("int64")


def _read_csv(path: Path) -> tuple[Array, Array]:
    found = []
    with path.open(encoding="utf-8-sig", newline="") as stream:  # some files begin with a mark
        rows = csv.reader(stream, strict=True, skipinitialspace=True)
        try:
            for label, title, description in filter(None, rows):
                if label != "Class Index":  # in the header of the copy on Kaggle
                    found.append((title, description, _CLASSES.index(label)))
            titles, descriptions, labels = zip(*found, strict=True)
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"{path}, line {rows.line_num}: expected UTF-8 and rows of class (1 to 4), title "
                f"and description, quoted. Received: {error}."
            ) from error
    return _as_arrays(titles, descriptions, np.array(labels))


def _from_tfds(folder: Path | None) -> Splits:
    splits = []
    for *columns, labels in _files.read_prepared(folder, _TFDS_NAME, _FEATURES):
        titles, descriptions = ([text.decode() for text in texts] for texts in columns)
        splits.append(_as_arrays(titles, descriptions, labels))
    train, test = splits
    return train, test
