"""Record trainings with Weights & Biases or MLflow."""
import atexit
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.visualization import BaseVisBackend

from ..errors import UserError, require
from ..io.files import write_atomically
from ..registry import VISBACKENDS

#: Type of the tracker in configs by library.
TRACKERS = dict(wandb='glid_mm.WandbTracker', mlflow='glid_mm.MLflowTracker')
# Default project or experiment.
_PROJECT = 'glid_mm'
# Old MLflow servers reject longer values; config.py has all of them.
_LONGEST = 250


class Tracker(BaseVisBackend):
    """Send config, scalars and pictures of trainings to a service.

    The folder of a run stores the service's id of the run, so that a resumed
    training continues the same record. The service's environment variables
    select account, project and store. A tracker starts when a training passes
    its config; other uses of the config, such as prediction, send nothing.

    Args:
        save_dir (str): Folder for files of the service.
    """

    library: str
    _run: Any = None

    @property
    def experiment(self) -> Any:
        """The service's object for the run; None before the start."""
        return self._run

    def _init_env(self) -> None:
        """Do nothing: :meth:`add_config` starts the run."""

    def add_config(self, config: Config, **kwargs) -> None:
        """Start a run, or continue it if the config resumes a training.

        Args:
            config: Config of the training.
            **kwargs: Not used.

        Raises:
            MissingLibraryError: If the service's package is missing.
            UserError: If the service rejects the run.
        """
        require(self.library, task=f'logging to {self.library}')
        folder = Path(config.work_dir).absolute()
        note = folder / f'{self.library}_run.txt'
        resumed = bool(config.get('resume')) and note.is_file()
        known = note.read_text(encoding='utf-8').strip() if resumed else None
        run = self._start(config, folder.name, known)
        write_atomically(note, run.encode())

    def _start(self, config: Config, name: str, known: str | None) -> str:
        """Start a run, or continue the known one; return its id."""
        raise NotImplementedError

    def add_scalar(self,
                   name: str,
                   value: Any,
                   step: int = 0,
                   **kwargs) -> None:
        """Send one scalar; see :meth:`add_scalars`."""
        self.add_scalars({name: value}, step)


@VISBACKENDS.register_module()
class WandbTracker(Tracker):
    """Weights & Biases; see :class:`Tracker`.

    The x-axis of all curves is ``step``, the training step, also after a
    resume. Source code is not sent.
    """

    library = 'wandb'

    def _start(self, config: Config, name: str, known: str | None) -> str:
        # By default, wandb reports its own errors to its developers.
        os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')
        import wandb
        self._picture = wandb.Image
        folder = Path(self._save_dir)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run = wandb.init(
                project=os.environ.get('WANDB_PROJECT', _PROJECT),
                name=os.environ.get('WANDB_NAME', name),
                dir=str(folder),
                id=known,
                resume='allow' if known else None,
                settings=wandb.Settings(disable_git=True, disable_code=True))
        except wandb.Error as error:
            raise UserError(
                f'Weights & Biases cannot start a run: {error}. Store your '
                'key with `wandb login`, or set WANDB_MODE=offline to keep '
                'the run on this machine.') from error
        self._run.config.update(config.to_dict(), allow_val_change=True)
        self._run.define_metric('step')
        self._run.define_metric('*', step_metric='step')
        return self._run.id

    def add_scalars(self,
                    scalar_dict: Mapping[str, Any],
                    step: int = 0,
                    file_path: str | None = None,
                    **kwargs) -> None:
        """Send the scalars of a step; see mmengine's ``BaseVisBackend``."""
        if self._run is not None:
            self._run.log({**scalar_dict, 'step': step})

    def add_image(self,
                  name: str,
                  image: np.ndarray,
                  step: int = 0,
                  **kwargs) -> None:
        """Send a picture, ``(H, W, 3)`` uint8 RGB."""
        if self._run is not None:
            self._run.log({name: self._picture(image), 'step': step})

    def close(self) -> None:
        """End the run."""
        if self._run is not None:
            self._run.finish()
            self._run = None


@VISBACKENDS.register_module()
class MLflowTracker(Tracker):
    """MLflow; see :class:`Tracker`.

    ``MLFLOW_TRACKING_URI`` selects the store; the default is a file in the
    current folder. Settings with short values become parameters of the run;
    the artifact ``config.py`` has the complete config.
    """

    library = 'mlflow'

    def _start(self, config: Config, name: str, known: str | None) -> str:
        # By default, MLflow reports usage to its developers.
        os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')
        import mlflow
        self._mlflow = mlflow
        try:
            if 'MLFLOW_EXPERIMENT_NAME' not in os.environ:
                mlflow.set_experiment(_PROJECT)
            self._run = mlflow.start_run(
                run_id=known, run_name=None if known else name)
        except mlflow.MlflowException as error:
            where = mlflow.get_tracking_uri()
            raise UserError(
                f'MLflow cannot start or continue a run in {where}: {error}. '
                'MLFLOW_TRACKING_URI selects the store; a resumed run needs '
                'the same store as before.') from error
        # If the process exits without close(), the run was interrupted.
        atexit.register(self._end, 'KILLED')
        if not known:
            mlflow.log_params({
                key: value
                for key, value in _flat(config.to_dict())
                if len(str(value)) <= _LONGEST
            })
        mlflow.log_text(config.pretty_text, 'config.py')
        return self._run.info.run_id

    def add_scalars(self,
                    scalar_dict: Mapping[str, Any],
                    step: int = 0,
                    file_path: str | None = None,
                    **kwargs) -> None:
        """Send the scalars of a step; see mmengine's ``BaseVisBackend``."""
        if self._run is not None:
            self._mlflow.log_metrics(dict(scalar_dict), step)

    def add_image(self,
                  name: str,
                  image: np.ndarray,
                  step: int = 0,
                  **kwargs) -> None:
        """Send a picture, ``(H, W, 3)`` uint8 RGB."""
        if self._run is not None:
            self._mlflow.log_image(
                image, key=name, step=step, synchronous=True)

    def close(self) -> None:
        """End the run."""
        self._end('FINISHED')

    def _end(self, status: str) -> None:
        if self._run is not None:
            self._run = None
            atexit.unregister(self._end)
            self._mlflow.end_run(status)


def _flat(settings: Mapping[str, Any],
          prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Settings of a config with their dotted names."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value
