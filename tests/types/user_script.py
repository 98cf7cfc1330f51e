"""What the README shows, as a user writes it. Strict mypy finds nothing to complain about."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_euler

(x, y), test = keras_euler.datasets.synthetic.images(num_train=64, num_test=16)
scaled = x / np.float32(255)
model = keras_euler.EulerResNet(depth=8, h="1/sqrt(L)", num_classes=10, norm="group", weights=None)
model.compile(
    keras_euler.GradientRecorder("sgd", capacity=10),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
decay = keras_euler.MultiStepDecay(milestones=(40, 60), factor=0.1)
logs = [
    keras_euler.GradientLogger("gradients.csv"),
    keras_euler.WeightLogger("weights.csv", layers=[2, "stage3_*"]),
]
result = keras_euler.training.fit(
    model, (scaled, y), test, "run", epochs=1, batch_size=32, callbacks=[decay, *logs]
)
best: float = result.summary["best_epoch"]
losses: list[float] = [row["train_loss"] for row in result.history]

resnet = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=10)
euler = keras_euler.fold(keras_euler.eulerize(resnet, h=0.1))
names: list[str] = [residual.name for residual in keras_euler.residual_connections(resnet)]
block = keras_euler.EulerResidual([keras.layers.Dense(64, "relu"), keras.layers.Dense(64)], h=0.1)
features = keras_euler.block_features(model)
advice: float = keras_euler.suggest_h(
    lambda h: keras_euler.EulerResNet(20, h), scaled, y, candidates=[0.1, 1.0]
).h

preset = keras_euler.list_presets()["euler_vdcnn_9_ag_news"]
classifier, measured = preset.load(), preset.metrics["test_accuracy"]
network = keras_euler.EulerVDCNN(depth=9, h=[0.1, 0.2, 0.3, 0.4], sequence_length=128)
texts = keras_euler.CharacterClassifier(
    network, class_names=keras_euler.datasets.ag_news.CLASS_NAMES
)
print(
    texts.classify(["Wall St. Bears Claw Back"]),
    keras_euler.list_models()["euler_resnet_20"](h=0.1),
)


def objective(point: dict[str, Any], folder: Path) -> float:
    """The number that the study maximizes."""
    return float(-point["h"])


table = keras_euler.studies.run(
    objective, keras_euler.studies.grid(seed=[7, 8], h=[0.1, 1.0]), "runs/study"
)
figure = keras_euler.plots.gradient_dynamics({"h = 0.1": [("weights.csv", "gradients.csv")]})
figure.savefig("figure.png")
print(table.groupby("h").value.median())
