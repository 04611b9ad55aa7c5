"""Shows the progress of a training as a bar in the terminal, and writes a TensorBoard log."""

import time
from pathlib import Path

from tqdm import tqdm

from motion_predictor.common.terminal import say
from motion_predictor_training.learning.parallel import is_first


class Progress:
    """The progress bar and the log of a training.

    Only the first process shows the bar and writes the log.

    Args:
        folder: folder of the log. A resumed training continues the log. Log entries of steps after
            `first` are removed.
        first: number of steps that are already done when the training resumes.
        steps: total number of training steps.
        description: text beside the progress bar.
    """

    def __init__(self, folder: Path, first: int, steps: int, description: str) -> None:
        self._bar = tqdm(
            initial=first,
            total=steps,
            desc=description,
            leave=False,
            disable=None if is_first() else True,
        )
        self._description, self._first, self._steps = description, first, steps
        self._since_s = time.monotonic()
        self._log = None
        self._shown: dict[str, str] = {}
        if is_first() and first < steps:
            from torch.utils.tensorboard import SummaryWriter  # the import takes seconds

            self._log = SummaryWriter(str(folder), purge_step=first + 1)

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        if is_first() and error[0] is None and self._first < self._steps:
            spent_s = time.monotonic() - self._since_s
            figures = ''.join(f', {name} {value}' for name, value in self._shown.items())
            steps = f'steps {self._first + 1} to {self._steps}'
            say(f'{self._description}: {steps} in {spent_s:.0f} s{figures}')
        if self._log is not None:
            self._log.close()

    def advance(self) -> None:
        """Advance the progress bar by one step."""
        self._bar.update()

    def report(self, done: int, figures: dict[str, float], shown: tuple[str, ...]) -> None:
        """Log figures after `done` steps, and show the figures named in `shown` beside the bar."""
        if self._log is not None:
            for name, value in figures.items():
                self._log.add_scalar(name, value, done)
        self._shown |= {name: f'{figures[name]:.4f}' for name in shown}
        self._bar.set_postfix(self._shown, refresh=False)

    def flush(self) -> None:
        """Write pending log entries to disk."""
        if self._log is not None:
            self._log.flush()
