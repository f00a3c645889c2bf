"""The training loop: epochs of training clips, the best epoch by validation, and a checkpoint after each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from genre.network.hardware import Hardware, explained
from genre.network.inference import evaluate
from genre.network.unet import conv_weights
from genre.training import checkpoint
from genre.training.batches import TrainingClips, epoch_seed
from genre.training.checkpoint import TrainingState
from genre.training.params import Train

ADAM_EPSILON_OF_KERAS = 1e-7


@dataclass(frozen=True)
class Trainer:
    """What takes part in every step of a training."""

    network: nn.Module
    clips: TrainingClips
    hardware: Hardware
    params: Train
    optimizer: Optimizer
    scheduler: LRScheduler

    def epoch(self, number: int) -> tuple[float, float]:
        """Trains one epoch; returns the mean loss and the accuracy on the augmented clips, with dropout on.

        Raises:
            ValueError: The loss is no longer a finite number; the message names epoch, batch and learning rate.
        """
        params, device = self.params, self.hardware.device
        criterion = nn.CrossEntropyLoss(label_smoothing=params.label_smoothing)
        self.network.train()
        total, correct, seen = 0.0, 0, 0
        title = f"epoch {number}/{params.epochs}"
        with tqdm(total=len(self.clips), desc=title, unit="clip", disable=None) as bar:
            for batch, (inputs, labels) in enumerate(self.clips.batches(number, params.batch_size), start=1):
                inputs, labels = inputs.to(device), labels.to(device)
                with self.hardware.autocast():
                    logits = self.network(inputs)
                loss = criterion(logits.float(), labels)
                if params.l2_penalty:
                    loss = loss + params.l2_penalty * sum(w.square().sum() for w in conv_weights(self.network))
                value = float(loss.detach())
                if not value < float("inf"):
                    raise _diverged(f"the loss became {value}", number, batch, self.learning_rate)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
                total, seen = total + value * len(labels), seen + len(labels)
                correct += int((logits.argmax(1) == labels).sum())
                bar.update(len(labels))
                bar.set_postfix(loss=f"{total / seen:.3f}", accuracy=f"{correct / seen:.3f}", refresh=False)
        return total / seen, correct / seen

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])


def fit(
    network: nn.Module,
    clips: TrainingClips,
    valid: tuple[Tensor, Tensor] | None,
    params: Train,
    *,
    hardware: Hardware,
    checkpoint_path: Path | None = None,
    key: str = "",
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
) -> TrainingState:
    """Trains `network` in place and returns the history and the weights to keep.

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

    Raises:
        ValueError: The loss or a weight is no longer a number, or memory ran out; the message names the parameter to
            change.
    """
    hardware.place(network)
    optimizer = _optimizer(network, params)
    scheduler = _scheduler(optimizer, params, params.epochs * clips.steps(params.batch_size))
    trainer = Trainer(network, clips, hardware, params, optimizer, scheduler)
    state = TrainingState()
    if checkpoint_path:
        state = checkpoint.resume(checkpoint_path, key, network, optimizer, scheduler) or state
    for row in state.history:
        on_epoch(row)
    for epoch in range(len(state.history) + 1, params.epochs + 1):
        row = _one_epoch(trainer, valid, epoch)
        state.add_epoch(row, network.state_dict(), params.keep)
        if checkpoint_path:
            checkpoint.save(checkpoint_path, key, network, optimizer, scheduler, state)
        on_epoch(row)
    return state


def _one_epoch(trainer: Trainer, valid: tuple[Tensor, Tensor] | None, epoch: int) -> dict[str, float]:
    """Trains and validates one epoch; returns its row of the history."""
    network, params, rate = trainer.network, trainer.params, trainer.learning_rate
    torch.manual_seed(epoch_seed(params.seed, epoch))  # of dropout
    try:
        loss, accuracy = trainer.epoch(epoch)
        row = {"epoch": epoch, "train_loss": loss, "train_accuracy": accuracy, "learning_rate": rate}
        if valid is not None:
            row["valid_loss"], row["valid_accuracy"] = evaluate(network, *valid, hardware=trainer.hardware)
    except (MemoryError, RuntimeError) as error:
        raise explained(error, f"train.batch_size (now {params.batch_size})") from error
    if not all(value.isfinite().all() for value in network.state_dict().values()):
        raise _diverged("a weight is no longer a number", epoch, len(trainer.clips) // params.batch_size, rate)
    return row


def _optimizer(network: nn.Module, params: Train) -> Optimizer:
    if params.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), params.learning_rate, eps=ADAM_EPSILON_OF_KERAS, fused=True)
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]  # biases and norms do not decay
    groups = [{"params": weights, "weight_decay": params.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, params.learning_rate, fused=True)  # fused is three times faster on a CPU too


def _scheduler(optimizer: Optimizer, params: Train, steps: int) -> LRScheduler:
    if params.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    rate = params.learning_rate
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(2, steps), cycle_momentum=False)


def _diverged(what: str, epoch: int, batch: int, rate: float) -> ValueError:
    """Returns the error that ends a training whose numbers are no longer finite."""
    kept = f"; the checkpoint of epoch {epoch - 1} is kept" if epoch > 1 else ""
    return ValueError(
        f"train: {what} in epoch {epoch}, batch {batch}, at learning rate {rate:.3g}; lower train.learning_rate{kept}"
    )
