"""Compare Euler's method at several step factors with the exact solution (figure 1 of the paper).

    python recipes/euler_method.py                 # seconds, with --quick too

The equation is x' = -2.3 x, x(0) = 1, with the solution exp(-2.3 t). As in a residual block, a step
is `x + h * F(x)`, with F(x) = -2.3 x. It decays without oscillating for h < 1/2.3 = 0.43, decays
for h < 2/2.3 = 0.87, and explodes for a larger h. The recipe prints the final error for each h and
writes a figure and a JSON file beside it.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import _cli
from _settings import POSITIVE, new_file, setting

RATE = 2.3
MAX_STEPS = 100_000


@dataclass(frozen=True)
class EulerOptions:
    """The options of this recipe."""

    h: tuple = setting((1.0, 0.7, 0.3, 0.1), "step factors", parse=POSITIVE, many="+")
    end: float = setting(5.0, "end time; the start is 0", parse=POSITIVE)
    out: Path = setting(
        Path("runs/euler_method.png"), "file of the figure", parse=new_file(".png"), metavar="FILE"
    )

    def __post_init__(self):
        if max(self.h) > self.end:
            raise ValueError(f"--h must be at most --end. Received: {max(self.h):g}.")
        if self.end / min(self.h) > MAX_STEPS:
            steps = (
                f"--end {self.end:g} with --h {min(self.h):g} takes {self.end / min(self.h):.3g}"
            )
            raise ValueError(f"There must be at most {MAX_STEPS:,} steps. Received: {steps}.")


def main(argv=None):
    """Integrate with every h, print the errors, draw the figure."""
    parser = _cli.command(__doc__)
    _, options = _cli.parse(parser, [EulerOptions], argv, quick={})
    file = options.out.with_suffix(".json")
    with _cli.errors_in_one_line(parser):
        _cli.refuse_to_replace(file, _cli.results_settings(options), options.out)
    lines = {h: euler(h, options.end) for h in options.h}
    errors = {h: abs(x[-1] - math.exp(-RATE * t[-1])) for h, (t, x) in lines.items()}
    print(f"{'h':>6} {'steps':>6} {'x at the end':>14} {'error':>10}")
    for h, (t, x) in lines.items():
        print(f"{h:6g} {len(t) - 1:6} {x[-1]:14.4g} {errors[h]:10.4g}")
    with _cli.errors_in_one_line(parser):
        draw(lines, options.end).savefig(options.out)
        _cli.write_results(
            file, options, {f"h = {h:g}": {"error": error} for h, error in errors.items()}
        )
    print(f"wrote {options.out} and {file}")


def euler(h, end):
    """Return the times and values of x_{n+1} = x_n + h * F(x_n)."""
    t, x = [0.0], [1.0]
    for n in range(1, int(end / h + 1e-9) + 1):
        t.append(n * h)
        x.append(x[-1] + h * (-RATE * x[-1]))
    return t, x


def draw(lines, end):
    """Draw the figure."""
    from keras_euler.plots import colours_of, finished, new_figure

    figure = new_figure(figsize=(6.5, 4))
    axes = figure.subplots()
    exact = [n * end / 500 for n in range(501)]
    axes.plot(
        exact, [math.exp(-RATE * t) for t in exact], color="black", linewidth=2, label="exact"
    )
    colours = colours_of([f"h = {h:g}" for h in lines])
    for (t, x), (label, colour) in zip(lines.values(), colours.items(), strict=True):
        axes.plot(t, x, ".-", color=colour, linewidth=1, label=label)
    axes.set(xlabel="t", ylabel="x", ylim=(-3, 3), title=f"Euler's method for x' = -{RATE:g} x")
    axes.legend(frameon=False)
    return finished(figure)


if __name__ == "__main__":
    main()
