"""Projected gradient descent against an image classifier, by the Adversarial Robustness Toolbox
(ART) on torch."""


def predict_attacked(model, x, y, radius, batch_size, seed):
    """Predict the classes of attacked images.

    The attack (Madry et al. 2018) starts at a random point and takes 10 steps of `radius / 4` up
    the gradient of the loss. No value of an image changes by more than `radius`, and all stay in
    0..255. Attacked images are not rounded.

    Args:
        model: Keras model from images of pixels in 0..255 to logits, on torch.
        x: Images of the size that the model takes.
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

    keras.utils.set_random_seed(seed)
    # With float inputs, through which gradients flow.
    inputs = keras.Input(model.input_shape[1:], dtype="float32")
    graph = keras.Model(model.inputs[0], model.outputs[0])
    network = keras.models.clone_model(graph, inputs, clone_function=lambda layer: layer)
    classifier = PyTorchClassifier(
        torch.nn.Sequential(network).eval(),
        # A mean over the batch would make float16 gradients zero.
        torch.nn.CrossEntropyLoss(reduction="sum"),
        model.input_shape[1:],
        model.output_shape[-1],
        clip_values=(0, 255),
        device_type="gpu" if torch.cuda.is_available() else "cpu",
    )
    steps = dict(eps=radius, eps_step=radius / 4, max_iter=10, num_random_init=1)
    attack = ProjectedGradientDescent(
        classifier, np.inf, **steps, batch_size=batch_size, verbose=False
    )
    attacked = attack.generate(x.astype("float32"), y)
    return classifier.predict(attacked, batch_size=batch_size).argmax(-1)
