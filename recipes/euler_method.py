"""Compare Euler's method at several step factors with the exact solution (figure 1 of the paper).

    python recipes/euler_method.py  # seconds

The equation is x' = -2.3 x, x(0) = 1, with the solution exp(-2.3 t). As in a residual block, a step
is `x + h * F(x)`, with F(x) = -2.3 x. It decays without oscillating for h < 1/2.3 = 0.43, decays
for h < 2/2.3 = 0.87, and explodes for a larger h. The recipe prints the final error for each h and
writes a figure.
"""

import math
from pathlib import Path

import _cli

RATE, END = 2.3, 5.0
STEP_FACTORS = (1.0, 0.7, 0.3, 0.1)


def main(argv=None):
    """Integrate with every h, print the errors, draw the figure."""
    parser = _cli.command(__doc__)
    file = Path("runs/euler_method.png")
    parser.add_argument("--out", type=Path, default=file, help="file (default: %(default)s)")
    file = parser.parse_args(argv).out
    with _cli.errors_in_one_line(parser):
        import numpy as np

        from keras_euler.plots import colours_of, finished, new_figure

        figure = new_figure(figsize=(6.5, 4))
        axes = figure.subplots()
        exact = np.linspace(0, END, 501)
        axes.plot(exact, np.exp(-RATE * exact), color="black", linewidth=2, label="exact")
        for label, colour in colours_of([f"h = {h:g}" for h in STEP_FACTORS]).items():
            t, x = euler(float(label[4:]), END)
            print(f"{label}: x = {x[-1]:.4g}, error {abs(x[-1] - math.exp(-RATE * t[-1])):.4g}")
            axes.plot(t, x, ".-", color=colour, linewidth=1, label=label)
        axes.set(xlabel="t", ylabel="x", ylim=(-3, 3), title=f"Euler's method for x' = -{RATE:g} x")
        axes.legend(frameon=False)
        file.parent.mkdir(parents=True, exist_ok=True)
        finished(figure).savefig(file)
        print(f"wrote {file}")


def euler(h, end):
    """Return the times and values of x_{n+1} = x_n + h * F(x_n)."""
    t, x = [0.0], [1.0]
    for n in range(1, int(end / h + 1e-9) + 1):
        t.append(n * h)
        x.append(x[-1] + h * (-RATE * x[-1]))
    return t, x


if __name__ == "__main__":
    main()
