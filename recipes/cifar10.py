"""Train an EulerResNet on CIFAR-10 as the paper does: one run of figures 3 to 6 and 8 (sections 4.1
and 4.2).

    # h = 1 beside h = 0.1: a minute on two CPU cores, offline
    python recipes/cifar10.py --quick --compare
    python recipes/cifar10.py --depth 110 --h 0.1  # the paper's main run: 80 epochs
    python recipes/cifar10.py --depth 110 --h 1.0  # the ordinary ResNet, for comparison
    python recipes/cifar10.py --depth 20 --epochs 5 --data-dir DATA    # local data
    python recipes/cifar10.py --depth 20 --standard  # today's usual training, for accuracy

The defaults are the paper's: batch 128, SGD with momentum 0.9, learning rate 0.1, divided by 10
after epochs 40 and 60, crops and flips. A small h is for deep networks: in short runs of shallow
ones (depth 8 to 20) h = 1 may learn faster. --quick trains depth 56 on synthetic images of 16 x 16
pixels. Best test accuracies on a CPU, seeds 7 to 9 on one thread, and seed 7 on two threads with
torch and TensorFlow: with h = 1 0.10 to 0.12 on every backend. With h = 0.1 they are 0.80 to 0.94
on torch, 0.87 to 0.94 on TensorFlow, 0.71 to 0.85 on JAX. Repeating the command resumes a killed
run and ends with the same numbers. The run folder gets config.json, history.csv, checkpoint.npz,
model.keras (takes raw uint8 images), curves.png, result.json.
"""

import functools

from _run import Recipe, main
from _settings import ImageSettings

QUICK = {
    "depth": 56,
    "widths": (8, 16, 32),
    "image_size": 16,
    "augmentation": False,
    "epochs": 4,
    "batch_size": 32,
    "milestones": (3,),
    "train_size": 2000,
    "test_size": 500,
}
# What is usual today, beside the paper's: a cosine (Loshchilov and Hutter 2017) after a warm-up
# (Goyal et al. 2017), Nesterov's momentum and weight decay (Zagoruyko and Komodakis 2016), and
# smoothed labels (Szegedy et al. 2016). Keras' decay is decoupled: 0.005 with momentum 0.9 equals
# 5e-4 in PyTorch.
STANDARD = {
    "h": "1/sqrt(L)",
    "epochs": 40,
    "learning_rate": 0.2,
    "nesterov": True,
    "weight_decay": 0.005,
    "schedule": "cosine",
    "warmup": 2,
    "label_smoothing": 0.1,
}
NEXT = {
    "synthetic": "python recipes/cifar10.py --depth 56 --epochs 5 trains on CIFAR-10: downloaded, "
    "or from the folder --data-dir",
    "cifar10": "python recipes/evaluate.py {folder}/model.keras --dataset cifar10 gives the "
    "accuracy by class and under noise",
}


@functools.lru_cache(maxsize=1)
def read(dataset, data_dir, size=32):
    """Read the images, averaged to this size, once for all trials of a study."""
    from keras_euler.datasets import cifar10, synthetic

    splits = synthetic.images() if dataset == "synthetic" else cifar10.load_data(data_dir)
    return [(cifar10.resize(images, size), labels) for images, labels in splits]


def load_data(settings, data_dir=None):
    """Load the images as uint8, or with static noise as floats in the same units."""
    from keras_euler import add_gaussian_noise
    from keras_euler.datasets.cifar10 import STDDEV

    train, test = read(settings.dataset, data_dir, settings.image_size)
    if settings.noise and settings.noise_mode == "static":
        stddev = [settings.noise * stddev for stddev in STDDEV]
        train = (add_gaussian_noise(train[0], stddev, settings.seed), train[1])
    return train, test


def network(settings):
    """Return the name and the arguments of the network."""
    shape = (settings.image_size, settings.image_size, 3)
    shared = settings.network_arguments()
    return "EulerResNet", dict(input_shape=shape, data_format="channels_last", **shared)


def build_model(settings):
    """Build the model from raw pixels to logits, with augmentation, normalization and noise inside
    the compiled step."""
    import keras

    import keras_euler
    from keras_euler.datasets.cifar10 import MEAN, STDDEV

    seeded = dict(seed=settings.seed, dtype="float32")
    is_static = settings.noise and settings.noise_mode == "static"
    shape = (settings.image_size, settings.image_size, 3)
    layers = [keras.Input(shape, dtype="float32" if is_static else "uint8", name="images")]
    if settings.augmentation:
        layers.append(keras_euler.RandomPadCrop(4, data_format="channels_last", **seeded))
        layers.append(keras.layers.RandomFlip("horizontal", data_format="channels_last", **seeded))
    layers.append(
        keras.layers.Normalization(
            mean=MEAN, variance=[stddev**2 for stddev in STDDEV], dtype="float32"
        )
    )
    if settings.noise and not is_static:
        layers.append(
            keras_euler.AdditiveGaussianNoise(settings.noise, settings.noise_mode, **seeded)
        )
    layers.append(keras_euler.EulerResNet(**network(settings)[1]))
    class_names = (
        keras_euler.datasets.cifar10.CLASS_NAMES if settings.dataset == "cifar10" else None
    )
    return keras_euler.ImageClassifier(layers, class_names)


RECIPE = Recipe(ImageSettings, QUICK, STANDARD, load_data, network, build_model, NEXT)

if __name__ == "__main__":
    main(RECIPE, __doc__)
