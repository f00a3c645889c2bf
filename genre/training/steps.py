"""The losses and the correct answers of the steps of an epoch, kept on the device until they are read."""

import time

import torch
from torch import Tensor

from genre.training.distributed import ALONE, Group

SECONDS_BETWEEN_READINGS = 1.0  # a GPU is waited for at each reading, and the progress bar moves


class DivergedError(ArithmeticError):
    """A training whose numbers are no longer finite: what it is, and in which batch, at which learning rate."""

    def __init__(self, what: str, batch: int, rate: float) -> None:
        super().__init__(what)
        self.what, self.batch, self.rate = what, batch, rate


class StepRecord:
    """The sum of the losses and the number of correct clips of each step of an epoch.

    Attributes:
        steps: How many steps are recorded.
        clips: How many clips they had.
    """

    def __init__(self, most_steps: int, device: str, group: Group = ALONE) -> None:
        self.steps, self.clips, self.group = 0, 0, group
        self._values = torch.zeros(most_steps, 2, device=device)  # (step, sum of losses and number of correct clips)
        self._rates: list[float] = []
        self._read_at = time.monotonic()

    def add(self, loss: Tensor, correct: Tensor, clips: int, rate: float) -> None:
        """Records a step.

        Args:
            loss: `()`, the sum over the clips of this process.
            correct: `()`, how many of them are classified correctly.
            clips: The number of clips of all processes.
            rate: The learning rate.
        """
        row = self._values[self.steps]
        row[0].copy_(loss)
        row[1].copy_(correct)
        self.steps, self.clips = self.steps + 1, self.clips + clips
        self._rates.append(rate)

    def is_due(self) -> bool:
        """Returns whether the last reading is a second or more ago."""
        return time.monotonic() - self._read_at >= SECONDS_BETWEEN_READINGS

    def read(self) -> tuple[float, float]:
        """Waits for the device; returns the mean loss and the accuracy so far, on the clips of this process.

        Raises:
            DivergedError: A loss is not a finite number.
        """
        loss, correct = (self.group.size * self._sums() / self.clips).tolist()
        self._read_at = time.monotonic()
        return loss, correct

    def read_all(self) -> tuple[float, float]:
        """Returns the mean loss and the accuracy on the clips of all processes; each must call it.

        Raises:
            DivergedError: A loss is not a finite number.
        """
        sums = self._sums()
        if self.group.size > 1:
            sums = self.group.total(sums.to(self._values.device))
        loss, accuracy = (sums / self.clips).tolist()
        return loss, accuracy

    def _sums(self) -> Tensor:
        values = self._values[: self.steps].cpu().double()
        wrong = (~values[:, 0].isfinite()).nonzero().flatten().tolist()
        if wrong:
            raise DivergedError(f"the loss became {float(values[wrong[0], 0])}", wrong[0] + 1, self._rates[wrong[0]])
        return values.sum(0)
