"""Describe the progress of a study."""

from collections.abc import Callable

from keras_euler.studies.point_folder import Outcome
from keras_euler.studies.points import Point, describe


class Progress:
    """Describes how many points are done, running and failed, and about how long the rest takes."""

    def __init__(self, total: int, num_done: int, num_workers: Callable[[], int]) -> None:
        self.total, self.num_done, self.num_workers = total, num_done, num_workers
        self.num_failed, self.seconds = 0, list[float]()

    def line(self, point: Point, outcome: Outcome) -> str:
        """Return what came of a point, and the progress."""
        if outcome["state"] == "failed":
            self.num_failed += 1
            what = f"failed: {outcome['error']}"
        else:
            self.num_done += 1
            what = f"{outcome['value']:.4g}"
            if "seconds" in outcome:  # it was not done before
                self.seconds.append(outcome["seconds"])
                what += f", {outcome['seconds']:.0f} s"
        left, workers = self.total - self.num_done - self.num_failed, max(1, self.num_workers())
        counts = f"{self.num_done} of {self.total} done, {min(left, workers)} running"
        counts += f", {self.num_failed} failed" * (self.num_failed > 0)
        if left and self.seconds:
            seconds = sum(self.seconds) / len(self.seconds) * left / workers
            counts += f", about {seconds / 60:.0f} min left" if seconds >= 60 else ", < 1 min left"
        return f"{describe(point)}: {what} ({counts})"
