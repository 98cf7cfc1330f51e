"""Conversion of floating numbers to a dtype that is wide enough to compute norms."""

import keras


def wide_dtype(dtypes):
    """Return `"float64"` if it is among the dtypes, else `"float32"`: norms are never computed in
    half precision."""
    return "float64" if any("float64" in str(dtype) for dtype in dtypes) else "float32"


def float64_array(tensor):
    """Return a float64 NumPy array of a tensor or variable of any floating dtype.

    Half precision is converted through float32: NumPy cannot read a bfloat16 scalar of TensorFlow.
    """
    wide = keras.ops.cast(keras.ops.stop_gradient(tensor), wide_dtype([tensor.dtype]))
    return keras.ops.convert_to_numpy(wide).astype("float64")
