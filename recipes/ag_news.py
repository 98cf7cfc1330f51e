"""Train an EulerVDCNN on AG-News as the paper does (sections 4.1 and 4.2, figures 3 to 6 and 8, one run of them).

    python recipes/ag_news.py --quick                                 # a minute on two CPU cores, nothing to download
    python recipes/ag_news.py --depth 29 --h 0.1                      # the paper's run: 15 epochs, texts of 1024 characters
    python recipes/ag_news.py --depth 29 --h 1.0                      # the ordinary network beside it
    python recipes/ag_news.py --depth 9 --sequence-length 256 --epochs 3 --data-dir DATA     # for a CPU

The defaults are the paper's: batch 64, SGD with momentum 0.9, a constant learning rate of 0.1 (its noise study takes 0.01). The
same command again resumes a killed run and ends with the same numbers.
The run folder gets config.json, history.csv, checkpoint.npz, model.keras (takes strings), curves.png, result.json.
"""

import sys

import _harness

DEFAULTS = {
    "dataset": "ag_news",
    "depth": 29,
    "epochs": 15,
    "batch_size": 64,
    "learning_rate": 0.1,
    "milestones": [],
}
QUICK = {
    "depth": 9,
    "epochs": 5,
    "learning_rate": 0.01,
    "milestones": [4],
    "sequence_length": 128,
    "dense_units": 128,
    "train_size": 2000,
    "test_size": 500,
}
MOST_NOISE = 1


def add_arguments(parser):
    """The flags of texts."""
    group = parser.add_argument_group("texts")

    def add(flag, text, **kwargs):
        group.add_argument(flag, help=f"{text} (default: %(default)s)", **kwargs)

    add("--sequence-length", "characters of a text, cut or padded", type=int, default=1024)
    add("--alphabet", "symbols with ids of their own", choices=("authors", "zhang"), default="authors")
    add(
        "--head-pooling", "the largest of each eighth, or the 8 largest, of a channel",
        choices=("max", "k_max"), default="max",
    )  # fmt: skip
    add("--dense-units", "units of the two hidden dense layers", type=int, default=1024)
    add("--dropout", "rate after each of them", type=float, default=0.0)
    add("--noise", "how many of the characters become random letters, 0 to 1", type=float, default=0.0)
    add(
        "--noise-mode", "once for each training text, as the authors do it; or fresh in training, or in testing too",
        choices=("static", "training", "always"), default="static",
    )  # fmt: skip


def load_data(args):
    """The texts as ids: uint8, which is a quarter to move."""
    from keras_euler import corrupt_characters, datasets

    splits = datasets.synthetic.texts() if args.dataset == "synthetic" else datasets.ag_news.load_data(args.data_dir)
    train, test = (
        (datasets.characters.encode_characters(texts, args.sequence_length, args.alphabet).astype("uint8"), labels)
        for texts, labels in splits
    )
    if args.noise_mode == "static":
        train = (corrupt_characters(train[0], args.noise, args.seed), train[1])
    return train, test


def build_model(args):
    """From ids, or strings, to logits; fresh noise runs inside the compiled step."""
    import keras

    import keras_euler
    from keras_euler import datasets

    layers = [keras.Input((args.sequence_length,), dtype="uint8", name="ids")]
    if args.noise_mode != "static":
        layers.append(keras_euler.RandomCharacters(args.noise, args.noise_mode, seed=args.seed))
    layers.append(
        keras_euler.EulerVDCNN(
            sequence_length=args.sequence_length,
            vocabulary_size=datasets.characters.vocabulary_size(args.alphabet),
            head_pooling=args.head_pooling,
            dense_units=args.dense_units,
            dropout=args.dropout,
            data_format="channels_last",
            **_harness.network_arguments(args),
        )
    )
    names = datasets.ag_news.CLASS_NAMES if args.dataset == "ag_news" else None
    return keras_euler.CharacterClassifier(keras.Sequential(layers), args.alphabet, names)


if __name__ == "__main__":
    _harness.main(sys.modules[__name__])
