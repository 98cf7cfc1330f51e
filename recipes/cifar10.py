"""Train an EulerResNet on CIFAR-10 as the paper does (sections 4.1 and 4.2, figures 3 to 6 and 8, one run of them).

    python recipes/cifar10.py --quick                                  # a minute on two CPU cores, nothing to download
    python recipes/cifar10.py --depth 110 --h 0.1                      # the paper's main run: 80 epochs
    python recipes/cifar10.py --depth 110 --h 1.0                      # the ordinary ResNet beside it
    python recipes/cifar10.py --depth 20 --epochs 5 --data-dir DATA    # data that lie here already

The defaults are the paper's: batch 128, SGD with momentum 0.9, learning rate 0.1, a tenth of it from epoch 40 and a hundredth
from epoch 60, crops and flips. The same command again resumes a killed run and ends with the same numbers.
The run folder gets config.json, history.csv, checkpoint.npz, model.keras (takes raw uint8 images), curves.png, result.json.
"""

import math
import sys

import _harness

DEFAULTS = {
    "dataset": "cifar10",
    "depth": 110,
    "epochs": 80,
    "batch_size": 128,
    "learning_rate": 0.1,
    "milestones": [40, 60],
}
QUICK = {"depth": 8, "epochs": 5, "batch_size": 64, "milestones": [4], "train_size": 2000, "test_size": 500}
MOST_NOISE = math.inf
# Of the training images, in units of 0..255: the authors' numbers.
PIXEL_MEAN = [255 * mean for mean in (0.4914, 0.4822, 0.4465)]
PIXEL_STDDEV = [255 * stddev for stddev in (0.2023, 0.1994, 0.2010)]


def add_arguments(parser):
    """The flags of images."""
    group = parser.add_argument_group("images")
    group.add_argument(
        "--image-size", type=int, default=32, choices=(8, 16, 32), help="average the pixels to N x N (default: 32)"
    )
    group.add_argument(
        "--widths", type=int, nargs=3, metavar="N", help="filters of the three stages (default: 16 32 64)"
    )
    group.add_argument("--no-augmentation", dest="augmentation", action="store_false", help="no random crops and flips")
    group.add_argument(
        "--noise", type=float, default=0.0, help="stddev of Gaussian noise on normalized pixels (default: 0)"
    )
    group.add_argument(
        "--noise-mode", choices=("training", "always", "static"), default="training",
        help="fresh noise in training, in testing too, or once for each training image (default: training)",
    )  # fmt: skip


def load_data(args):
    """The images as uint8, or as floats in the same units where they carry static noise."""
    from keras_euler import add_gaussian_noise, datasets

    if args.dataset == "synthetic":
        train, test = datasets.synthetic.images()
    else:
        train, test = datasets.cifar10.load_data(args.data_dir)
    train, test = ((averaged(images, args.image_size), labels) for images, labels in (train, test))
    if args.noise and args.noise_mode == "static":
        noisy = add_gaussian_noise(train[0], [args.noise * stddev for stddev in PIXEL_STDDEV], args.seed)
        train = (noisy, train[1])
    return train, test


def averaged(images, size):
    """uint8 images of `size` pixels a side: each is the mean of a square of pixels."""
    block = images.shape[1] // size
    if block == 1:
        return images
    means = images.reshape(len(images), size, block, size, block, 3).mean((2, 4), dtype="float32")
    return means.round().astype("uint8")


def build_model(args):
    """From raw pixels to logits: augmentation, normalization and noise run inside the compiled step."""
    import keras

    import keras_euler

    static = args.noise and args.noise_mode == "static"
    layers = [keras.Input((args.image_size, args.image_size, 3), dtype="float32" if static else "uint8", name="images")]
    if args.augmentation:
        layers.append(keras_euler.RandomPadCrop(4, seed=args.seed, data_format="channels_last", dtype="float32"))
        layers.append(
            keras.layers.RandomFlip("horizontal", seed=args.seed, data_format="channels_last", dtype="float32")
        )
    layers.append(keras.layers.Normalization(mean=PIXEL_MEAN, variance=[s**2 for s in PIXEL_STDDEV], dtype="float32"))
    if args.noise and not static:
        layers.append(keras_euler.AdditiveGaussianNoise(args.noise, args.noise_mode, seed=args.seed, dtype="float32"))
    layers.append(
        keras_euler.EulerResNet(
            input_shape=(args.image_size, args.image_size, 3),
            data_format="channels_last",
            **({"widths": args.widths} if args.widths else {}),
            **_harness.network_arguments(args),
        )
    )
    return keras.Sequential(layers)


if __name__ == "__main__":
    _harness.main(sys.modules[__name__])
