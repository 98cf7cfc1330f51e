"""The decorator of every class that Keras saves."""

import keras

register = keras.saving.register_keras_serializable(package="keras_euler")
