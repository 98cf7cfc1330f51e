"""Euler's method with several step factors beside the exact solution (figure 1 of the paper).

    python recipes/euler_method.py                 # seconds, with --quick too

The equation is x' = -2.3 x, x(0) = 1, with the solution exp(-2.3 t). A step is `x + h * F(x)`, that of a residual block, with
F(x) = -2.3 x: it decays without oscillating for h < 1/2.3 = 0.43, decays for h < 2/2.3 = 0.87, and explodes beyond.
Writes euler_method.png and prints the error at the end of each line.
"""

import argparse
import math
from pathlib import Path

import _harness

RATE = 2.3


def main(argv=None):
    """Integrate with every h, print the errors, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--h", type=float, nargs="+", default=[1.0, 0.7, 0.3, 0.1], help="default: 1.0 0.7 0.3 0.1")
    parser.add_argument("--end", type=float, default=5.0, help="of the time, from 0 on (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("euler_method.png"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    args = parser.parse_args(argv)
    _harness.check_positive(parser, args, "end", "h")
    _harness.check_file(parser, args.out, ".png")
    for h in args.h:
        if h > args.end:
            parser.error(f"--h must be at most --end. Received: {h:g}.")
    lines = {h: euler(h, args.end) for h in args.h}
    print(f"{'h':>6} {'steps':>6} {'x at the end':>14} {'error':>10}")
    for h, (t, x) in lines.items():
        print(f"{h:6g} {len(t) - 1:6} {x[-1]:14.4g} {abs(x[-1] - math.exp(-RATE * t[-1])):10.4g}")
    with _harness.errors_in_one_line(parser, resumes=False):
        draw(lines, args.end).savefig(args.out)
    print(f"wrote {args.out}")


def euler(h, end):
    """Times and values of x_{n+1} = x_n + h * F(x_n)."""
    t, x = [0.0], [1.0]
    for n in range(1, int(end / h + 1e-9) + 1):
        t.append(n * h)
        x.append(x[-1] + h * (-RATE * x[-1]))
    return t, x


def draw(lines, end):
    """The figure."""
    from keras_euler.plots._figure import COLOURS, finished, new_figure

    figure = new_figure(figsize=(6.5, 4))
    axes = figure.subplots()
    exact = [n * end / 500 for n in range(501)]
    axes.plot(exact, [math.exp(-RATE * t) for t in exact], color="black", linewidth=2, label="exact")
    for (h, (t, x)), colour in zip(lines.items(), COLOURS * len(lines), strict=False):
        axes.plot(t, x, ".-", color=colour, linewidth=1, label=f"h = {h:g}")
    axes.set(xlabel="t", ylabel="x", ylim=(-3, 3), title=f"x' = -{RATE:g} x")
    axes.legend(frameon=False)
    return finished(figure)


if __name__ == "__main__":
    main()
