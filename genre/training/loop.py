"""The training loop: epochs of training clips, the best epoch by validation, and a checkpoint after each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from genre.network.hardware import Hardware, explained
from genre.network.inference import evaluate
from genre.network.musicnn.network import Musicnn
from genre.network.unet import conv_weights
from genre.training import checkpoint
from genre.training.averaging import MovingAverage
from genre.training.batches import Batch, TrainingClips, epoch_seed
from genre.training.checkpoint import Stateful, TrainingState
from genre.training.steps import DivergedError, StepRecord

if TYPE_CHECKING:
    from genre.training.params import Train

ADAM_EPSILON_OF_KERAS = 1e-7

# Called at the start of an epoch, and about once a second while it goes on: the number of the epoch, how many of its
# clips are done, and the loss and the accuracy on them so far, which at the start are missing.
OnSteps = Callable[[int, int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Trainer:
    """What takes part in every step of a training.

    Attributes:
        network: The network.
        parallel: The same network, to compute with in training; with several processes it exchanges gradients.
        average: The moving average of the weights, if one is kept.
    """

    network: nn.Module
    parallel: nn.Module
    average: MovingAverage | None
    clips: TrainingClips
    hardware: Hardware
    params: "Train"
    optimizer: Optimizer
    scheduler: LRScheduler

    def epoch(self, number: int, on_steps: OnSteps = lambda *_: None) -> tuple[float, float]:
        """Trains one epoch; returns mean cross entropy and accuracy on the augmented clips, with dropout on.

        The losses stay on the device, and are read about once a second, so that a GPU need not wait for the CPU.

        Raises:
            DivergedError: The loss is no longer a finite number.
        """
        params, group = self.params, self.clips.group
        steps = self.clips.steps(params.batch_size)
        record = StepRecord(steps, self.hardware.device, group)
        self.parallel.train()
        on_steps(number, 0, {})
        for batch in self.clips.batches(number, params.batch_size):
            rate = self.learning_rate
            loss, correct = self.step(batch)
            if self.average:
                self.average.update((number - 1) * steps + record.steps + 1)
            record.add(loss * batch.size / group.size, correct, batch.size, rate)
            if record.is_due():
                loss_so_far, accuracy = record.read()
                on_steps(number, record.clips, {"loss": loss_so_far, "accuracy": accuracy})
        return record.read_all()

    def step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Takes a step; returns the cross entropy and how many clips are classified correctly, both on the device.

        The mean of the processes' cross entropies is that of the whole batch. The L2 penalty, which is added to it for
        the step, is not in it: so it can be compared with the cross entropy of the validation clips.
        """
        with self.hardware.autocast():
            logits = self.parallel(batch.clips)
        logits = logits[: len(batch.labels)].float()
        cross_entropy = loss = self._losses(logits, batch).sum() * (self.clips.group.size / batch.size)
        if self.params.l2_penalty:
            loss = loss + self.params.l2_penalty * sum(w.square().sum() for w in conv_weights(self.network))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.scheduler.step()
        return cross_entropy.detach(), (logits.detach().argmax(1) == batch.labels).sum()

    def _losses(self, logits: Tensor, batch: Batch) -> Tensor:
        """Computes the cross entropy of each clip, of a mixed one for both of its genres: `(batch,)`."""
        losses = partial(
            nn.functional.cross_entropy, logits, label_smoothing=self.params.label_smoothing, reduction="none"
        )
        if batch.shares is None or batch.others is None:
            return losses(batch.labels)
        return torch.lerp(losses(batch.others), losses(batch.labels), batch.shares)

    @property
    def kept(self) -> nn.Module:
        """The network that is evaluated and kept: the average of the weights, if there is one."""
        return self.average.network if self.average else self.network

    @property
    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint must hold."""
        parts: dict[str, Stateful] = {
            "network": self.network, "optimizer": self.optimizer, "scheduler": self.scheduler,
        }  # fmt: skip
        return parts | ({"average": self.average.network} if self.average else {})

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])


def fit(
    network: nn.Module,
    clips: TrainingClips,
    valid: tuple[Tensor, Tensor] | None,
    params: "Train",
    *,
    hardware: Hardware,
    checkpoint_path: Path | None = None,
    key: str = "",
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
    on_steps: OnSteps = lambda *_: None,
) -> TrainingState:
    """Trains `network` in place and returns the history and the weights to keep.

    With several processes each calls it, with the same arguments but for `clips.group`, and gets the same result.

    Args:
        network: Computes logits `(batch, genre)` from `(batch, mel, frame)`.
        clips: The training clips.
        valid: Clips `(clip, mel, frame)` and labels `(clip,)` that choose the best epoch (highest accuracy, then
            lowest loss); None keeps the last epoch.
        params: The section `train`.
        hardware: Where the network computes.
        checkpoint_path: Where the state is written after each epoch. A checkpoint that is there and has the same
            `key` is gone on from, which gives bit for bit what an unbroken training gives.
        key: What the training is made from, see `genre.training.run_key`.
        on_epoch: Called with each row of the history.
        on_steps: Called while an epoch goes on, see `OnSteps`.

    Raises:
        ValueError: The loss or a weight is no longer a number, or memory ran out; the message names the parameter to
            change.
    """
    trainer, state = make_trainer(network, clips, params, hardware), TrainingState()
    if checkpoint_path:
        tell = tqdm.write if clips.group.writes else lambda _: None
        state = checkpoint.resume(checkpoint_path, key, trainer.parts, tell=tell) or state
    clips.group.check_same(len(state.history))
    if valid is not None and hardware.has_room_for(valid[0].nbytes):
        valid = valid[0].to(hardware.device), valid[1].to(hardware.device)
    for row in state.history:
        on_epoch(row)
    for epoch in range(len(state.history) + 1, params.epochs + 1):
        row = _one_epoch(trainer, valid, epoch, on_steps)
        state.add_epoch(row, trainer.kept.state_dict(), params.keep)
        if checkpoint_path and clips.group.writes:
            checkpoint.save(checkpoint_path, key, trainer.parts, state)
        on_epoch(row)
    return state


def make_trainer(network: nn.Module, clips: TrainingClips, params: "Train", hardware: Hardware) -> Trainer:
    """Places the network on the device, and makes optimiser, schedule and average for it."""
    hardware.place(network)
    optimizer = _optimizer(network, params)
    scheduler = _scheduler(optimizer, params, params.epochs * clips.steps(params.batch_size))
    average = MovingAverage(network, params.average) if params.average else None
    parallel = clips.group.parallel(network, hardware)
    return Trainer(network, parallel, average, clips, hardware, params, optimizer, scheduler)


def _one_epoch(
    trainer: Trainer, valid: tuple[Tensor, Tensor] | None, epoch: int, on_steps: OnSteps
) -> dict[str, float]:
    """Trains and validates one epoch; returns its row of the history."""
    params, group, rate = trainer.params, trainer.clips.group, trainer.learning_rate
    torch.manual_seed(epoch_seed(params.seed, epoch, 2, group.rank))  # of dropout
    try:
        loss, accuracy = trainer.epoch(epoch, on_steps)
        group.average_buffers(trainer.network)
        row = {"epoch": epoch, "train_loss": loss, "train_accuracy": accuracy, "learning_rate": rate}
        if trainer.average:
            group.average_buffers(trainer.average.network)
        if valid is not None:
            clips, labels = group.part(valid[0]), group.part(valid[1])
            sums = group.total(evaluate(trainer.kept, clips, labels, hardware=trainer.hardware))
            row["valid_loss"], row["valid_accuracy"] = (sums / len(valid[1])).tolist()
        if not _all_finite(trainer.network):
            raise DivergedError("a weight is no longer a number", trainer.clips.steps(params.batch_size), rate)
    except DivergedError as error:
        raise _told(error, epoch) from error
    except (MemoryError, RuntimeError) as error:
        raise explained(error, f"train.batch_size (now {params.batch_size})") from error
    return row


def _optimizer(network: nn.Module, params: "Train") -> Optimizer:
    groups = _parameter_groups(network, params)
    if params.optimizer == "adam":
        without_decay = [{**group, "weight_decay": 0.0} for group in groups]
        return torch.optim.Adam(without_decay, params.learning_rate, eps=ADAM_EPSILON_OF_KERAS, fused=True)
    return torch.optim.AdamW(groups, params.learning_rate, fused=True)  # fused is three times faster on a CPU too


def _parameter_groups(network: nn.Module, params: "Train") -> list[dict[str, Any]]:
    """Divides the parameters by learning rate (a pretrained trunk has one of its own) and by weight decay."""
    trunk = {id(parameter) for parameter in network.trunk.parameters()} if isinstance(network, Musicnn) else set()
    groups = []
    for in_trunk, rate in ((False, params.learning_rate), (True, params.learning_rate * params.trunk_rate)):
        chosen = [parameter for parameter in network.parameters() if (id(parameter) in trunk) == in_trunk]
        weights = [parameter for parameter in chosen if parameter.ndim > 1]
        others = [parameter for parameter in chosen if parameter.ndim <= 1]  # biases and norms do not decay
        groups += [
            {"params": members, "lr": rate, "weight_decay": decay}
            for members, decay in ((weights, params.weight_decay), (others, 0.0))
            if members
        ]
    return groups


def _scheduler(optimizer: Optimizer, params: "Train", steps: int) -> LRScheduler:
    if params.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    rates = [group["lr"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=max(2, steps), cycle_momentum=False)


def _all_finite(network: nn.Module) -> bool:
    """Looks at all weights at once, so that a GPU is waited for once."""
    return bool(torch.stack([value.isfinite().all() for value in network.state_dict().values()]).all())


def _told(error: DivergedError, epoch: int) -> ValueError:
    """Returns the error that ends a training whose numbers are no longer finite."""
    kept = f"; the checkpoint of epoch {epoch - 1} is kept" if epoch > 1 else ""
    return ValueError(
        f"train: {error.what} in epoch {epoch}, batch {error.batch}, at learning rate {error.rate:.3g}; "
        f"lower train.learning_rate{kept}"
    )
