"""Progress of a stage: a bar if there is a terminal, and a TensorBoard log."""

import time
from pathlib import Path

from tqdm import tqdm

from motion_predictor_training.learning.parallel import is_first


class Progress:
    """The bar and the log of a stage. Only the first process shows and writes them.

    Args:
        folder: folder of the log. A resumed run continues the log. Entries are removed that are
            later than the state that the run resumes from.
        first: number of steps that are already done.
        steps: number of all steps.
        description: text of the bar.
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
            from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

            self._log = SummaryWriter(str(folder), purge_step=first + 1)

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        if is_first() and error[0] is None and self._first < self._steps:
            spent_s = time.monotonic() - self._since_s
            figures = ''.join(f', {name} {value}' for name, value in self._shown.items())
            steps = f'steps {self._first + 1} to {self._steps}'
            print(f'{self._description}: {steps} in {spent_s:.0f} s{figures}')
        if self._log is not None:
            self._log.close()

    def advance(self) -> None:
        """Count a step."""
        self._bar.update()

    def report(self, done: int, figures: dict[str, float], shown: tuple[str, ...]) -> None:
        """Log figures after `done` steps, and show some of them from then on."""
        if self._log is not None:
            for name, value in figures.items():
                self._log.add_scalar(name, value, done)
        self._shown |= {name: f'{figures[name]:.4f}' for name in shown}
        self._bar.set_postfix(self._shown, refresh=False)

    def flush(self) -> None:
        """Write the log to disk."""
        if self._log is not None:
            self._log.flush()
