"""Makes a faster inference engine while the node predicts with the present engine."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from rclpy.impl.rcutils_logger import RcutilsLogger

from motion_predictor.common.problems import one_line
from motion_predictor.making import Maker
from motion_predictor.predictor import MotionPredictor


class Improvement:
    """Makes missing inference engines in a background process.

    When the engines are ready, the predictor takes the fastest engine whose results agree with
    eager PyTorch (the network without compilation).

    Args:
        predictor: predictor that uses an existing engine until a faster one is ready.
        maker: function that starts the process which makes the missing engines.
        taken_over: called after the predictor has changed to a faster engine.
        logger: logger of the node.
    """

    def __init__(
        self,
        predictor: MotionPredictor,
        maker: Callable[[], Maker],
        taken_over: Callable[[], None],
        logger: RcutilsLogger,
    ) -> None:
        self._predictor = predictor
        self._taken_over = taken_over
        self._logger = logger
        self._undo = ExitStack()
        self._is_stopped = False
        self._began_s: float | None = None
        if not predictor.engine.unmade:
            return
        self._began_s = time.monotonic()
        wanted = ' or '.join(f'{name} in {numbers}' for name, numbers in predictor.engine.unmade)
        logger.info(
            f'making the engine {wanted} for this machine in the background, once; until '
            f'then {predictor.engine.backend} predicts'
        )
        made = maker()
        self._undo.callback(made.stop)
        threading.Thread(target=self._run, args=(made,), name='improvement', daemon=True).start()

    def _run(self, maker: Maker) -> None:
        predictor = self._predictor
        refused = maker.wait(predictor.engine.unmade)
        if self._is_stopped:
            return
        try:
            if predictor.improve(refused):
                self._taken_over()
                engine = predictor.engine
                self._logger.info(f'{engine.backend} in {engine.precision} predicts from now on')
            for name, numbers, why in refused:
                self._logger.warning(f'the {name} engine in {numbers} is not used: {why}')
        except Exception as error:  # the present engine goes on predicting
            self._logger.error(f'making a faster engine failed: {one_line(error)}')
        finally:
            self._began_s = None

    def stop(self) -> None:
        """Stop making engines."""
        self._is_stopped = True
        self._undo.close()

    def __str__(self) -> str:
        """Return which engine is being made, and for how long; 'none' if no engine is."""
        began_s, unmade = self._began_s, self._predictor.engine.unmade
        if began_s is None or not unmade:
            return 'none'
        return f'{unmade[0][0]} in {unmade[0][1]}, for {time.monotonic() - began_s:.0f} s'
