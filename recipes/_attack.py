"""Projected gradient descent against an image classifier, by the Adversarial Robustness Toolbox
(ART) on torch."""

ITERATIONS = 10


def version():
    """Return the version of ART, as a dict; raise an ImportError that says how to install it."""
    try:
        import art
    except ImportError as error:
        raise ImportError(
            f"--pgd needs ART: pip install adversarial-robustness-toolbox ({error})"
        ) from error
    return {"adversarial-robustness-toolbox": art.__version__}


def predict_attacked(model, x, y, radius, batch_size, seed):
    """Predict the classes of attacked images.

    The attack (Madry et al. 2018) starts at a random point and takes 10 steps of `radius / 4` up
    the gradient of the loss. No value of an image changes by more than `radius`, and all stay in
    0..255. Attacked images are not rounded.

    Args:
        model: Keras model from images of pixels in 0..255 to logits, on torch.
        x: Images, uint8 `(n, 32, 32, 3)`; averaged to the pixels that the model takes before they
            are attacked.
        y: Their classes.
        radius: The largest change of a value.
        batch_size: Images per batch.
        seed: Seed of the starting points.

    Returns:
        Int array `(n,)`.
    """
    import keras
    import numpy as np
    import torch
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    from keras_euler.datasets.cifar10 import resize

    x = resize(x, model.inputs[0].shape[1]).astype("float32")
    keras.utils.set_random_seed(seed)
    classifier = PyTorchClassifier(
        torch.nn.Sequential(on_floats(model)).eval(),
        torch.nn.CrossEntropyLoss(
            reduction="sum"
        ),  # a mean over the batch would make float16 gradients zero
        x.shape[1:],
        model.output_shape[-1],
        clip_values=(0, 255),
        device_type="gpu" if model.variables[0].value.is_cuda else "cpu",
    )
    steps = dict(eps=radius, eps_step=radius / 4, max_iter=ITERATIONS, num_random_init=1)
    attack = ProjectedGradientDescent(
        classifier, np.inf, **steps, batch_size=batch_size, verbose=False
    )
    return classifier.predict(attack.generate(x, y), batch_size=batch_size).argmax(-1)


def on_floats(model):
    """Return the model with float inputs, through which gradients flow; its layers are shared."""
    import keras

    inputs = keras.Input(model.inputs[0].shape[1:], dtype="float32")
    graph = keras.Model(model.inputs[0], model.outputs[0])
    return keras.models.clone_model(graph, inputs, clone_function=lambda layer: layer)
