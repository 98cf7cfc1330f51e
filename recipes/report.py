"""The paper's figures and a report of its claims, from what a study has measured so far.

    python recipes/report.py runs/depth-cifar10  # the folder of a study
    python recipes/report.py runs/* --data "CIFAR-10"  # several
    python recipes/report.py runs/noise-cifar10 --data-dir DATA  # with noise on real images

Studies need not be finished. Each folder gets report.md, trials.csv, and PNGs: the median and
standard deviation over seeds of the best test accuracy and of the last, with failed trainings as
crosses (figures 3 to 6, 8, 9, 12, 14 to 16); accuracy over epochs by learning rate (figure 13); for
a study of noise what noisy inputs look like (figure 17). gradient_dynamics.py draws figures 2, 10
and 11.
"""

from dataclasses import dataclass
from pathlib import Path

import _cli
import _paper
from _settings import existing, setting

RULES = """
A training has failed where it diverged, or where its best test accuracy stayed below 1.5 times
chance. A claim is judged where each point has at least three seeds. ± is the population standard
deviation over seeds."""


@dataclass(frozen=True)
class ReportOptions:
    """The options of this recipe."""

    data_dir: Path | None = setting(None, "real images and texts for figure 17", existing)
    data: str | None = setting(
        None, "what the data set is called here, such as 'CIFAR-10 (JPEG q75)'"
    )


def main(argv=None):
    """Read the folders, write figures and reports into them."""
    parser = _cli.command(__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of studies")
    own, options = _cli.parse(parser, [ReportOptions], argv)
    with _cli.errors_in_one_line(parser):
        import _claims
        import _measured
        from _trials import write_trials_of

        from keras_euler import studies, training

        for folder in own.folders:
            if not (folder / "study.json").exists():
                if len(own.folders) == 1:
                    raise ValueError(f"There is no study in {folder}: it has no study.json.")
                print(f"{folder}: no study")
                continue
            measured = _measured.from_folder(folder, options.data)
            figures = _measured.draw(measured, folder)
            study, family = measured.settings["study"], measured.settings["recipe"]
            if figures and study == "learning-rate":
                _measured.over_epochs(measured).savefig(folder / "over_epochs.png")
                figures.append("over_epochs.png")
            text = [f"# {measured.name}", RULES, _measured.section(measured, figures)]
            failed = studies.results(folder).query("state == 'failed'").dropna(axis=1)
            text += [f"Failed: {row}" for row in failed.to_dict("records")]
            if study == "noise" and options.data_dir:
                text += noisy_inputs(family, options.data_dir, folder)
            report = "\n\n".join(text) + "\n"
            training.write_atomically(folder / "report.md", lambda f, r=report: f.write_text(r))
            write_trials_of(folder)
            parts = _claims.judge(measured.settings, measured.cells())
            verdict = f": {_claims.summary(parts)}" if parts else ""
            print(f"{folder}: {len(measured.trials)} trials{verdict}; wrote report.md")


def noisy_inputs(family, data_dir, folder):
    """Return figure 17 as Markdown: the same inputs at every level of noise."""
    from _markdown import markdown

    from keras_euler import corrupt_characters, datasets, plots

    title = "## What noisy inputs look like (figure 17)"
    if family == "cifar10":
        images = datasets.cifar10.load_data(data_dir)[1][0][:4]
        figure = plots.noisy_images(images, _paper.IMAGE_NOISE, datasets.cifar10.STDDEV)
        figure.savefig(folder / "noisy_images.png")
        return [title, "![noisy images](noisy_images.png)"]
    text = datasets.ag_news.load_data(data_dir)[1][0][0]
    ids = datasets.text.encode_characters([text], len(text))
    rows = [
        (level, *datasets.text.decode_characters(corrupt_characters(ids, level, 0)))
        for level in _paper.TEXT_NOISE
    ]
    return [title, markdown("level | text", rows)]


if __name__ == "__main__":
    main()
