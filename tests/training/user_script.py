"""Train a custom network on custom data; repeating the command resumes a killed run."""

import sys

import keras
import numpy as np

from keras_euler import training

keras.utils.set_random_seed(0)
dropout = keras.layers.Dropout(0.5)
model = keras.Sequential(
    [keras.Input((4,)), keras.layers.Dense(64, "relu"), dropout, keras.layers.Dense(3)]
)
model.compile(
    "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)

rng = np.random.default_rng(0)
x = rng.normal(size=(500, 4)).astype("float32")
y = x[:, :3].argmax(axis=1)

train, test = (x[:400], y[:400]), (x[400:], y[400:])
how = dict(epochs=6, batch_size=20, verbose=2, checkpoint_steps=3)
result = training.fit(model, train, test, sys.argv[1], **how)
print(result.summary["best_test_accuracy"], result.summary["last_train_loss"])
