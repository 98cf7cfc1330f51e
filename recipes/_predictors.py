"""Classifiers for evaluate.py: load a model, and predict clean and noisy images or texts."""

import zipfile
from pathlib import Path


def load(name):
    """Load the model; return it with the names of its classes, or None."""
    import keras_euler

    preset = keras_euler.list_presets().get(name)
    if preset:
        return preset.load(), preset.class_names
    if not Path(name).is_file():
        raise FileNotFoundError(
            f"MODEL must be a .keras file or one of {', '.join(keras_euler.list_presets())}. "
            f"Received: {name}"
        )
    model = load_model(name)
    return model, getattr(model, "class_names", None)


def load_model(file):
    """Load a .keras file, or raise a ValueError that says what is wrong with it."""
    import keras

    if not zipfile.is_zipfile(file):
        raise ValueError(
            f"{file} is no .keras file, or is truncated. Train again, or copy the file again."
        )
    try:
        return keras.models.load_model(
            file, compile=False
        )  # Keras' safe mode rejects code in the file
    except Exception as error:  # Keras raises errors of many types for damaged files
        reason = " ".join(str(error).split())[:300]
        if "keras_hub" in reason or "Could not locate class" in reason:
            reason = (
                f"it has layers of another package; pass no KerasHub model, but a preset or "
                f"a run's model.keras ({reason})"
            )
        raise ValueError(f"{file} cannot be read as a .keras file: {reason}") from error


def on_pixels(model):
    """Return an image classifier that takes pixels in 0..255: the model, or with a Normalization
    before it if it scales none."""
    import keras

    from keras_euler.datasets.cifar10 import MEAN, STDDEV

    scaling = (keras.layers.Normalization, keras.layers.Rescaling)
    inputs = model.inputs[0]
    if tuple(inputs.shape[1:]) not in [(size, size, 3) for size in (8, 16, 32)]:
        raise ValueError(
            f"MODEL must take images (n, 32, 32, 3), or of 16 or 8 pixels. Received: "
            f"{tuple(inputs.shape)}."
        )
    if not keras.backend.is_float_dtype(inputs.dtype) or any(
        isinstance(layer, scaling) for layer in model.layers
    ):
        return model
    print("note: MODEL has no layer that scales pixels, so they are normalized like in cifar10.py")
    variance = [stddev**2 for stddev in STDDEV]
    scale = keras.layers.Normalization(mean=MEAN, variance=variance, dtype="float32")
    return keras.Sequential([keras.Input(inputs.shape[1:]), scale, model])


def images_predictor(model, options):
    """Return a function from images and a level of noise to the predicted classes."""
    from keras_euler.datasets.cifar10 import resize

    models = {
        0.0: model,
        **{level: with_noise(model, level, options.seed) for level in options.noise},
    }

    def predict(x, level):
        x = resize(x, model.inputs[0].shape[1])
        return models[level].predict(x, batch_size=options.batch_size, verbose=0).argmax(-1)

    return predict


def with_noise(model, level, seed):
    """Return the model with noise on normalized pixels: after its Normalization, or at its inputs
    if it has none."""
    import keras

    import keras_euler

    noise = keras_euler.AdditiveGaussianNoise(level, "always", seed=seed, dtype="float32")
    normalizations = []

    def call(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        if normalizations or not isinstance(layer, keras.layers.Normalization):
            return y
        normalizations.append(layer)
        return noise(y)

    graph = keras.Model(
        model.inputs, model.outputs
    )  # the calls of a Sequential model cannot be walked
    noisy = keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)
    if normalizations:
        return noisy
    inputs = model.inputs[0]
    is_nested = any(
        isinstance(layer, keras.layers.Normalization) for layer in model._flatten_layers()
    )
    if is_nested or not keras.backend.is_float_dtype(inputs.dtype):
        raise ValueError(
            "MODEL must have a Normalization layer in its graph so that noise can be added. Pass "
            "--noise without levels."
        )
    return keras.Sequential([keras.Input(inputs.shape[1:], dtype=inputs.dtype), noise, model])


def texts_predictor(model, options):
    """Return a function from texts and a fraction of characters to replace to the predicted
    classes."""
    import keras_euler

    if not isinstance(model, keras_euler.CharacterClassifier):
        raise ValueError(
            f"MODEL must be a CharacterClassifier of ag_news.py. Received: {type(model).__name__}."
        )

    def predict(x, level):
        ids = keras_euler.corrupt_characters(model.prepare_inputs(x), level, options.seed)
        return model.predict(ids, batch_size=options.batch_size, verbose=0).argmax(-1)

    return predict
