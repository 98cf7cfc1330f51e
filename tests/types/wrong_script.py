"""Mistakes, one per line, which mypy must report: strict mypy rejects an ignore comment that hides
no error."""

import keras

import keras_euler

keras_euler.EulerResNet(depth="x")  # type: ignore[arg-type]
keras_euler.EulerResNet(8, classes=3)  # type: ignore[call-arg]
keras_euler.EulerVDCNN(9, h={"stage1": 0.1})  # type: ignore[arg-type]
keras_euler.EulerResidual([keras.layers.Dense(1)], h="1/L")  # type: ignore[arg-type]
keras_euler.GradientRecorder("sgd", capacity="many")  # type: ignore[arg-type]
keras_euler.fold(keras.Model(), 3)  # type: ignore[call-arg]
keras_euler.list_presets()["euler_vdcnn_9_ag_news"].lode()  # type: ignore[attr-defined]
keras_euler.suggest_h(lambda h: keras_euler.EulerResNet(8, h), [1.0], [1]).H  # type: ignore[attr-defined]
keras_euler.datasets.synthetic.images(num_trains=3)  # type: ignore[call-arg]
keras_euler.training.fit(keras.Model(), (), (), "run", epochs=1).sumary  # type: ignore[attr-defined]
keras_euler.studies.grid(h=0.1)  # type: ignore[arg-type]
keras_euler.plots.growth_curves({})  # type: ignore[attr-defined]
keras_euler.plot  # type: ignore[attr-defined]
