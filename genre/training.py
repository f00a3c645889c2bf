"""The training loop: epochs, the best of them, and a checkpoint after each."""

import copy
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from genre import files
from genre.clips import TrainingClips, epoch_seed
from genre.model import kernels

EVALUATION_BATCH = 64
ADAM_EPSILON_OF_KERAS = 1e-7
KEPT_CHECKPOINTS = 20  # of trainings that broke off; 50 MB each with the default network


@dataclass(frozen=True)
class Hardware:
    """What the network runs on: where, in which number format, and with how many threads."""

    device: str
    precision: str
    threads: int

    def place(self, network: nn.Module) -> None:
        """Moves a network there, in the memory layout that its convolutions are fastest in."""
        network.to(self.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def autocast(self) -> torch.autocast:
        """Gives the context in which the network computes."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16")


@dataclass
class Progress:
    """How far the training is: all that a checkpoint must hold beside the weights.

    Attributes:
        history: One row an epoch, the columns of metrics/history.csv.
        best: The weights of the best epoch so far.
        best_epoch: Its number, from 1.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0


def hardware(device: str, precision: str) -> Hardware:
    """Chooses the hardware; `auto` takes a GPU if there is one, and bfloat16 where it is computed in silicon.

    Raises:
        ValueError: The device asked for is not there.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name, there in present.items() if there)
    if not present[device]:
        raise ValueError(f"train.device {device} is not on this machine; set it to auto or cpu")
    if precision == "auto":
        precision = "bfloat16" if _computes_bfloat16(device) else "float32"
    return Hardware(device, precision, torch.get_num_threads())


def _computes_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    flags = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not public, so they may be gone
    return device == "cpu" and any(getattr(torch.cpu, flag, bool)() for flag in flags)


def make_repeatable(seed: int) -> None:
    """Makes the same seed give the same bits on the same machine."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Warn only: CUDA's max_pool2d counts as unsteady for overlapping windows, and those of the network do not overlap.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory that it has not written; to fill it all the same would cost 2 % of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed)


def fit(
    network: nn.Module,
    clips: TrainingClips,
    valid: tuple[Tensor, Tensor] | None,
    *,
    hardware: Hardware,
    epochs: int,
    batch_size: int,
    optimizer: str,
    learning_rate: float,
    schedule: str,
    weight_decay: float,
    l2_penalty: float,
    label_smoothing: float,
    keep: str,
    seed: int,
    checkpoint: Path | None = None,
    identity: str = "",
    on_epoch: Callable[[dict[str, float]], None] = lambda _: None,
) -> Progress:
    """Trains `network` in place and returns the history and the weights to keep.

    Args:
        network: Gives logits `(batch, genre)` for `(batch, mel, frame)`.
        clips: The training clips.
        valid: Clips `(clip, mel, frame)` and labels `(clip,)` to choose the best epoch by (highest accuracy, then
            lowest loss); None keeps the last epoch.
        checkpoint: Where the state is written after each epoch; what is there is gone on from, if it has the same
            `identity`. Going on gives bit for bit what an unbroken training gives.
        on_epoch: Called with each row of the history.

    Raises:
        ValueError: The loss is no longer a number, or memory ran out; the message names the parameter to change.
    """
    hardware.place(network)
    optimize = _optimizer(network, optimizer, learning_rate, weight_decay)
    steps = epochs * clips.steps(batch_size)
    scheduler = _scheduler(optimize, schedule, learning_rate, steps)
    progress = _resume(checkpoint, identity, network, optimize, scheduler) or Progress()
    criterion = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    for row in progress.history:
        on_epoch(row)
    for epoch in range(len(progress.history) + 1, epochs + 1):
        torch.manual_seed(epoch_seed(seed, epoch))  # of dropout
        rate = optimize.param_groups[0]["lr"]
        try:
            loss, accuracy = _train_epoch(
                network, clips, hardware, epoch, epochs, batch_size, criterion, optimize, scheduler, l2_penalty
            )
            row = {"epoch": epoch, "train_loss": loss, "train_accuracy": accuracy, "learning_rate": rate}
            if valid is not None:
                row["valid_loss"], row["valid_accuracy"] = evaluate(network, *valid, hardware=hardware)
        except (MemoryError, RuntimeError) as error:
            raise _explained(error, f"train.batch_size (now {batch_size})") from error
        if not all(value.isfinite().all() for value in network.state_dict().values()):
            raise _diverged("a weight is no longer a number", epoch, len(clips) // batch_size, rate)
        progress.history.append(row)
        _keep_best(progress, network, keep)
        _save(checkpoint, identity, network, optimize, scheduler, progress)
        on_epoch(row)
    return progress


def _optimizer(network: nn.Module, name: str, rate: float, decay: float) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(network.parameters(), rate, eps=ADAM_EPSILON_OF_KERAS, fused=True)
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]  # biases and norms do not decay
    groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, rate, fused=True)  # three times faster on a CPU too


def _scheduler(
    optimizer: torch.optim.Optimizer, schedule: str, rate: float, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(2, steps), cycle_momentum=False)


def _train_epoch(
    network: nn.Module,
    clips: TrainingClips,
    hardware: Hardware,
    epoch: int,
    epochs: int,
    batch_size: int,
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    l2_penalty: float,
) -> tuple[float, float]:
    """Trains one epoch and gives the mean loss and the accuracy on the augmented clips, dropout on."""
    network.train()
    total, right, seen = 0.0, 0, 0
    with tqdm(total=len(clips), desc=f"epoch {epoch}/{epochs}", unit="clip", disable=None) as bar:
        for number, (inputs, labels) in enumerate(clips.batches(epoch, batch_size), start=1):
            inputs, labels = inputs.to(hardware.device), labels.to(hardware.device)  # noqa: PLW2901
            with hardware.autocast():
                logits = network(inputs)
            loss = criterion(logits.float(), labels)
            if l2_penalty:
                loss = loss + l2_penalty * sum(kernel.square().sum() for kernel in kernels(network))
            value = float(loss.detach())
            if not value < float("inf"):
                raise _diverged(f"the loss became {value}", epoch, number, optimizer.param_groups[0]["lr"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            total, right, seen = (
                total + value * len(labels), right + int((logits.argmax(1) == labels).sum()), seen + len(labels),
            )  # fmt: skip
            bar.update(len(labels))
            bar.set_postfix(loss=f"{total / seen:.3f}", accuracy=f"{right / seen:.3f}", refresh=False)
    return total / seen, right / seen


def predict(network: nn.Module, clips: Tensor, *, hardware: Hardware) -> Tensor:
    """Gives the genres' probabilities for clips `(clip, mel, frame)`: `(clip, genre)`, float32, on the CPU.

    Raises:
        ValueError: Memory ran out; the message names the parameters to change.
    """
    network.eval()
    try:
        with torch.inference_mode(), hardware.autocast():
            logits = [
                network(part.float().to(hardware.device)).float().cpu() for part in torch.split(clips, EVALUATION_BATCH)
            ]
    except (MemoryError, RuntimeError) as error:
        raise _explained(error, "split.clip_frames") from error
    return torch.cat(logits).softmax(dim=1)


def evaluate(network: nn.Module, clips: Tensor, labels: Tensor, *, hardware: Hardware) -> tuple[float, float]:
    """Gives the mean cross entropy (without label smoothing) and the accuracy on clips, without augmentation."""
    chances = predict(network, clips, hardware=hardware)
    loss = nn.functional.nll_loss(chances.clamp(min=1e-7).log(), labels)
    return float(loss), float((chances.argmax(1) == labels).float().mean())


def _keep_best(progress: Progress, network: nn.Module, keep: str) -> None:
    row = progress.history[-1]

    def merit(row: dict[str, float]) -> tuple[float, float]:
        return row["valid_accuracy"], -row["valid_loss"]

    first = progress.best_epoch == 0 or keep == "last" or "valid_accuracy" not in row
    if first or merit(row) > merit(progress.history[progress.best_epoch - 1]):
        progress.best_epoch = int(row["epoch"])
        progress.best = copy.deepcopy({name: value.cpu() for name, value in network.state_dict().items()})


def _save(path: Path | None, identity: str, *parts: Any) -> None:
    if path is None:
        return
    network, optimizer, scheduler, progress = parts
    state = {
        "identity": identity,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "progress": asdict(progress),
    }
    # Two experiments with the same parameters share a checkpoint, and write the same into it.
    with files.replacing(path, shared=True) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


def _resume(path: Path | None, identity: str, *parts: Any) -> Progress | None:
    """Loads a checkpoint into the given parts; says in a line why one that is there cannot be used."""
    if path is None or not path.exists():
        return None
    network, optimizer, scheduler = parts
    fresh = copy.deepcopy(network.state_dict())
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["identity"] != identity:
            raise ValueError("it is of other data, parameters or code")
        progress = Progress(**state["progress"])
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
    except Exception as error:  # whatever is wrong with it: training starts anew, nothing is lost
        network.load_state_dict(fresh)
        tqdm.write(f"checkpoint {path.name} is not used: {' '.join(str(error).split())[:200] or error!r}")
        return None
    tqdm.write(f"going on after epoch {len(progress.history)}, from checkpoint {path.name}")
    return progress


def forget(checkpoint: Path) -> None:
    """Removes the checkpoint of a finished training, and of those that were never gone on with all but the newest."""
    with suppress(OSError):
        checkpoint.unlink(missing_ok=True)
        others = sorted(checkpoint.parent.glob("*.pt"), key=lambda path: path.stat().st_mtime)
        for path in others[:-KEPT_CHECKPOINTS]:
            path.unlink()


def _diverged(what: str, epoch: int, batch: int, rate: float) -> ValueError:
    kept = f"; the checkpoint of epoch {epoch - 1} is kept" if epoch > 1 else ""
    return ValueError(
        f"train: {what} in epoch {epoch}, batch {batch}, at learning rate {rate:.3g}; lower train.learning_rate{kept}"
    )


def _explained(error: Exception, *parameters: str) -> Exception:
    """Says which parameters to lower if `error` tells that memory ran out; other errors stay what they are."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error):
        return ValueError(f"out of memory; lower {', '.join(parameters)} or model.base_channels")
    return error


def history_columns(history: Sequence[dict[str, float]]) -> list[str]:
    """Gives the columns of the history in the order of metrics/history.csv."""
    order = ("epoch", "train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "learning_rate")
    return [name for name in order if name in history[0]]
