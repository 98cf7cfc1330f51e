"""Argument checks. One message shape: what is wrong, what was received, what to pass."""

import math
import numbers


def check_number(name, value, minimum=None, maximum=None, hint=""):
    """Return `value` as a float, or raise. `minimum` and `maximum` are inclusive."""
    bounds = "".join(
        (
            f" >= {minimum}" if minimum is not None else "",
            " and" if minimum is not None and maximum is not None else "",
            f" <= {maximum}" if maximum is not None else "",
        )
    )
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if (
        not is_number
        or not math.isfinite(value)
        or (minimum is not None and value < minimum)
        or (maximum is not None and value > maximum)
    ):
        error = ValueError if is_number else TypeError
        raise error(_message(f"`{name}` must be a finite number{bounds}.", name, value, hint))
    return float(value)


def check_integer(name, value, minimum=None, hint=""):
    """Return `value` as an int, or raise. `minimum` is inclusive."""
    bound = f" >= {minimum}" if minimum is not None else ""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or (minimum is not None and value < minimum):
        error = ValueError if is_integer else TypeError
        raise error(_message(f"`{name}` must be an integer{bound}.", name, value, hint))
    return int(value)


def check_choice(name, value, choices, hint=""):
    """Return `value` if it is one of `choices`, or raise."""
    if isinstance(value, (str, bool, type(None))) and value in choices:
        return value
    listed = ", ".join(repr(choice) for choice in choices)
    raise ValueError(_message(f"`{name}` must be one of {listed}.", name, value, hint))


def check_step_factor(value, name="h"):
    """Return the step factor as a float: finite and >= 0."""
    return check_number(name, value, 0, hint="Use h=1.0 for the ordinary ResNet.")


def _message(what, name, value, hint):
    return f"{what} Received: {name}={value!r}." + (f" {hint}" if hint else "")
