"""Read AG-News, texts and labels, from TensorFlow Datasets or the original pair of CSV files."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_euler._checks import install_command
from keras_euler._types import Array, ArrayLike, PathLike, Splits
from keras_euler.datasets import _tfds
from keras_euler.datasets._folders import existing_path, unknown_layout_error

CLASS_NAMES = ("World", "Sports", "Business", "Sci/Tech")

_TFDS_NAME = "ag_news_subset"
_FEATURES = ("title", "description", "label")
_CSV_NAMES = ("train.csv", "test.csv")
_COLUMNS = ("class 1 to 4", "title", "description")
_HEADER = ["class index", "title", "description"]  # of the copy on Kaggle


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
        FileNotFoundError: `data_dir` is missing or empty, or lacks one of the two files.
        ValueError: `data_dir` has an unknown layout, or a file is damaged; the message names the
            file and line.
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
        return _download()
    path = existing_path(data_dir, _supported_layouts())
    if not path.is_dir():
        raise ValueError(
            f"`data_dir` must be a folder. Received: data_dir={str(path)!r}. {_supported_layouts()}"
        )
    prepared = _tfds.find_folder(path, _TFDS_NAME)
    if prepared:
        return _from_tfds(prepared, _tfds.read_folder(prepared, _TFDS_NAME, _FEATURES))
    for folder in (path, path / "ag_news_csv"):
        if any((folder / name).is_file() for name in _CSV_NAMES):
            missing = [name for name in _CSV_NAMES if not (folder / name).is_file()]
            if missing:
                raise FileNotFoundError(
                    f"{folder} lacks {missing[0]}. Expected two files: {' and '.join(_CSV_NAMES)}."
                )
            train, test = (_read_csv(folder / name) for name in _CSV_NAMES)
            return train, test
    raise unknown_layout_error(path, "AG-News", _supported_layouts())


def _supported_layouts() -> str:
    return (
        f"Pass a TensorFlow Datasets folder ({_TFDS_NAME}/VERSION with dataset_info.json) or a "
        f"folder with "
        f"{' and '.join(_CSV_NAMES)}."
    )


def _text(title: str, description: str) -> str:
    return f"{title} {description} ".lower()


def _as_arrays(texts: list[str], labels: ArrayLike) -> tuple[Array, Array]:
    x = np.empty(len(texts), object)
    x[:] = texts
    return x, np.asarray(labels, "int64")


def _read_csv(path: Path) -> tuple[Array, Array]:
    texts, labels = [], []
    rows = csv.reader(_lines(path), strict=True, skipinitialspace=True)
    line = 1  # where the row begins: a quoted text may contain line breaks
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {line}: it is not a row of a csv ({error}). {_expected()}"
            ) from error
        if row is None:
            break
        start, line = line, rows.line_num + 1
        is_header = start == 1 and [name.strip().lower() for name in row] == _HEADER
        if is_header or row in ([], [""]):
            continue
        if len(row) != len(_COLUMNS):
            raise ValueError(f"{path}, line {start}: {_expected()} Received {len(row)} columns.")
        if row[0] not in ("1", "2", "3", "4"):
            raise ValueError(
                f"{path}, line {start}: the class must be 1, 2, 3 or 4. Received: {row[0]!r}."
            )
        texts.append(_text(*row[1:]))
        labels.append(int(row[0]) - 1)
    if not texts:
        raise ValueError(f"{path} is empty. {_expected()}")
    return _as_arrays(texts, labels)


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield line.decode(
                    "utf-8-sig" if number == 1 else "utf-8"
                )  # some programs write a byte order mark first
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: {error.reason} at byte {error.start}; expected UTF-8."
                ) from error


def _expected() -> str:
    return f"Expected rows of {len(_COLUMNS)} columns: {', '.join(_COLUMNS)}, quoted."


def _from_tfds(source: object, splits: Iterable[Sequence[Array]]) -> Splits:
    train, test = (
        _decoded(f"{source}, {name}", *split)
        for name, split in zip(_tfds.SPLITS, splits, strict=True)
    )
    return train, test


def _decoded(source: str, titles: Array, descriptions: Array, labels: Array) -> tuple[Array, Array]:
    texts = []
    for row, pair in enumerate(zip(titles, descriptions, strict=True)):
        try:
            texts.append(_text(*(part.decode("utf-8") for part in pair)))
        except UnicodeDecodeError as error:
            raise ValueError(f"{source}, row {row}: {error.reason}; expected UTF-8.") from error
    if labels.min() < 0 or labels.max() >= len(CLASS_NAMES):
        raise ValueError(
            f"{source}: labels must be in 0..3. Received: {labels.min()}..{labels.max()}."
        )
    return _as_arrays(texts, labels)


def _download() -> Splits:
    if not _tfds.is_installed():
        raise ImportError(
            "Downloading AG-News needs TensorFlow Datasets, which is not installed. "
            f"Install the extra: {install_command('datasets')}, or pass `data_dir`. "
            f"{_supported_layouts()}"
        )
    try:
        return _from_tfds("the download", _tfds.download(_TFDS_NAME, _FEATURES))
    except Exception as error:  # it raises a plain Exception without a network
        raise OSError(
            f"AG-News could not be downloaded ({error}). Pass `data_dir`, the folder with the "
            f"files, or take `datasets.synthetic`."
        ) from error
