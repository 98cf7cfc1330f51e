"""Tests of `keras_euler.datasets.ag_news`."""

import sys

import numpy as np
import pytest

from keras_euler.datasets import ag_news

pytestmark = pytest.mark.once

GOOD = '"3","Title","Some text."\n'


@pytest.fixture
def csv_folder(tmp_path):
    """Return a function that makes a folder with the two files; the default is one valid row, and
    None leaves a file out."""

    def make(train=GOOD, test=GOOD, folder=tmp_path):
        folder.mkdir(exist_ok=True)
        for name, content in (("train.csv", train), ("test.csv", test)):
            if content is not None:
                (folder / name).write_bytes(
                    content if isinstance(content, bytes) else content.encode()
                )
        return folder

    return make


@pytest.fixture
def news(fake_tfds):
    """Replace TensorFlow Datasets by a fake with a few news, as bytes."""

    def split(labels, *texts):
        titles, descriptions = (
            np.array([text.encode() for text in column], object)
            for column in zip(*texts, strict=True)
        )
        return {"label": np.array(labels), "title": titles, "description": descriptions}

    fake_tfds.hold(
        train=split([3, 0], ("A Title", "Text."), ("Caf\u00c9", "")), test=split([2], ("T", "D"))
    )
    return fake_tfds


# --- the CSV pair


@pytest.mark.parametrize("inner", ["", "ag_news_csv"])
def test_the_pair_is_read_from_its_folder_or_from_one_that_holds_it(csv_folder, tmp_path, inner):
    train = '"3","Wall St. BEARS","Short-Sellers, seeing GREEN."\n"1","Caf\u00c9",""\n"4","4","d"\n'
    csv_folder(train, '"2","a","b"', tmp_path / inner)
    for data_dir in (tmp_path, str(tmp_path)):
        (x_train, y_train), (x_test, y_test) = ag_news.load_data(data_dir)
        assert x_train.tolist() == [
            "wall st. bears short-sellers, seeing green. ",
            "caf\u00e9  ",
            "4 d ",
        ]
        assert x_test.tolist() == ["a b "]
        assert y_train.tolist() == [2, 0, 3] and y_test.tolist() == [1]
        assert x_train.dtype == x_test.dtype == object and y_train.dtype == y_test.dtype == np.int64


def test_class_names_are_in_the_order_of_the_labels():
    assert ag_news.CLASS_NAMES == ("World", "Sports", "Business", "Sci/Tech")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('"1","a, b","c,d"', "a, b c,d "),
        ('"1","say ""hi""","""q"""', 'say "hi" "q" '),
        ('"1","a\nb","c\r\nd"', "a\nb c\r\nd "),
        ('"1","a\\b"," #36;10  "', "a\\b  #36;10   "),  # verbatim, as the original has it
        ('"1","a\u2028b","c\x85"', "a\u2028b c\x85 "),  # line breaks to str.splitlines, not to CSV
        ('"1","\U0001f600","\u2019"', "\U0001f600 \u2019 "),
        ("1,a,b", "a b "),
        ('"1","",""', "  "),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_field_is_taken_as_its_quotes_have_it(csv_folder, row, expected, end):
    assert ag_news.load_data(csv_folder(train=row + end))[0][0].tolist() == [expected]


# --- TensorFlow Datasets


def test_a_tfds_folder_gives_what_the_pair_gives(news, tfds_folder, tmp_path):
    version = tfds_folder(tmp_path, "ag_news_subset", "1.0.0")
    for data_dir in (tmp_path, version.parent, version):
        news.asked.clear()
        (x_train, y_train), (x_test, y_test) = ag_news.load_data(data_dir)
        assert version in news.asked and "download" not in news.asked
        assert x_train.tolist() == ["a title text. ", "caf\u00e9  "] and x_test.tolist() == ["t d "]
        assert y_train.tolist() == [3, 0] and y_test.tolist() == [2]
        assert x_train.dtype == x_test.dtype == object and y_train.dtype == y_test.dtype == np.int64


def test_without_a_folder_tfds_downloads(news):
    (x_train, _), _ = ag_news.load_data()
    assert news.asked[-2:] == ["ag_news_subset", "download"]
    assert x_train[0] == "a title text. "


def test_without_tfds_its_folder_names_the_extra(monkeypatch, tfds_folder, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[datasets\]"'):
        ag_news.load_data(tfds_folder(tmp_path, "ag_news_subset", "1.0.0"))


def test_a_failed_download_is_an_oserror_that_names_data_dir(news):
    def fail():
        raise RuntimeError("no network")

    news.builder.download_and_prepare = fail
    with pytest.raises(
        OSError, match=r"could not be downloaded \(no network\). Pass `data_dir`"
    ) as raised:
        ag_news.load_data()
    assert isinstance(raised.value.__cause__, RuntimeError)


# --- other inputs


def test_data_dir_must_be_a_path():
    with pytest.raises(
        TypeError, match=r"`data_dir` must be a string or a path. Received: data_dir=3"
    ):
        ag_news.load_data(3)
