"""Read the logs of norms."""

import csv

from keras_euler._types import PathLike


def read_log(path: PathLike) -> dict[str, list[float]]:
    """Read a file of `GradientLogger` or `WeightLogger`.

    Args:
        path: The CSV file.

    Returns:
        Dict of column -> list of numbers; the first column is the iteration or epoch.

    Raises:
        ValueError: The file is empty or damaged.
        OSError: The file cannot be read.

    Example:

    >>> file = pathlib.Path(tempfile.mkdtemp(), "gradients.csv")
    >>> count = file.write_text("iteration,dense,total\\n1,3,5\\n2,4,6\\n")
    >>> keras_euler.callbacks.read_log(file)["dense"]
    [3.0, 4.0]
    """
    with open(path, newline="") as file:
        names, *rows = list(csv.reader(file)) or [[]]
    try:
        columns = {name: [float(row[i]) for row in rows] for i, name in enumerate(names)}
    except (IndexError, ValueError) as error:
        raise ValueError(
            f"{path} is not a log of norms, or its last line is incomplete: {error}."
        ) from error
    if not rows:
        raise ValueError(f"{path} has no rows.")
    return columns
