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

#: Library -> type of its tracker in configs.
TRACKERS = dict(wandb='glid_mm.WandbTracker', mlflow='glid_mm.MLflowTracker')
# Where there is no other project or experiment.
_PROJECT = 'glid_mm'
# The oldest servers of MLflow refuse longer values; config.py has them all.
_LONGEST = 250


class Tracker(BaseVisBackend):
    """A service that records trainings: config, scalars and pictures.

    The folder of a run has the service's id of it, so that a resumed training
    continues there. The service's environment variables choose account,
    project and store. A tracker starts with the config of a training;
    whatever else uses the config, such as prediction, sends nothing.

    Args:
        save_dir (str): Folder for files of the service.
    """

    library: str
    _run: Any = None

    @property
    def experiment(self) -> Any:
        """The service's own object for the run; None before the start."""
        return self._run

    def _init_env(self) -> None:
        """Do nothing: a run starts with its config."""

    def add_config(self, config: Config, **kwargs) -> None:
        """Start a run, or continue it if the config resumes a training.

        Args:
            config (Config): Of the training.
            **kwargs: Not used.

        Raises:
            MissingLibraryError: If the service's package is missing.
            UserError: If the service refuses the run.
        """
        require(self.library, task=f'logging to {self.library}')
        folder = Path(config.work_dir).absolute()
        note = folder / f'{self.library}_run.txt'
        resumed = bool(config.get('resume')) and note.is_file()
        known = note.read_text(encoding='utf-8').strip() if resumed else None
        run = self._start(config, folder.name, known)
        write_atomically(note, run.encode())

    def _start(self, config: Config, name: str, known: str | None) -> str:
        """Start the run, or continue the known one; returns its id."""
        raise NotImplementedError

    def add_scalar(self,
                   name: str,
                   value: Any,
                   step: int = 0,
                   **kwargs) -> None:
        """Send one number; see :meth:`add_scalars`."""
        self.add_scalars({name: value}, step)


@VISBACKENDS.register_module()
class WandbTracker(Tracker):
    """Weights & Biases; see :class:`Tracker`.

    Curves are drawn over ``step``, the steps of the training, also after it
    is resumed. No source code is sent.
    """

    library = 'wandb'

    def _start(self, config: Config, name: str, known: str | None) -> str:
        # It would also report errors to its makers.
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
                f'Weights & Biases cannot start a run: {error}. `wandb login` '
                'stores your key; WANDB_MODE=offline keeps the run on this '
                'machine.') from error
        self._run.config.update(config.to_dict(), allow_val_change=True)
        self._run.define_metric('step')
        self._run.define_metric('*', step_metric='step')
        return self._run.id

    def add_scalars(self,
                    scalar_dict: Mapping[str, Any],
                    step: int = 0,
                    file_path: str | None = None,
                    **kwargs) -> None:
        """Send numbers of a step; see mmengine's ``BaseVisBackend``."""
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

    ``MLFLOW_TRACKING_URI`` names the store; without it, MLflow uses a file in
    the current folder. Settings of the config with short values are
    parameters of the run; the artifact ``config.py`` has the whole config.
    """

    library = 'mlflow'

    def _start(self, config: Config, name: str, known: str | None) -> str:
        # It would also report its use to its makers.
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
                'MLFLOW_TRACKING_URI names the store, which must be the one '
                'of the run that is resumed.') from error
        # A run that is interrupted has not finished.
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
        """Send numbers of a step; see mmengine's ``BaseVisBackend``."""
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
    """Settings of a config by their dotted names."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value
