"""mmengine's Runner with exact resuming and safe checkpoints."""
import datetime
import logging
import os.path as osp
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine import runner
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import EMAHook
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.utils.data import DataLoader

from .. import __version__
from ..checkpoint.facts import EncoderFacts, glid_of, stamp
from ..checkpoint.loading import load_weights, refuse_foreign
from ..doctor.environment import describe_device
from ..errors import CheckpointError, NoSpaceError
from ..io.checkpoints import read_checkpoint
from ..io.files import write_atomically
from ..models import GLID, XNet
from ..registry import RUNNERS
from .data_stream import (StreamIterator, count_from_start, name_errors,
                          stop_workers, stream)
from .defaults import (prepare, prepare_inputs, restore_kernels,
                       with_loader_defaults, with_optim_defaults)
from .hooks.accumulation_hook import (AccumulationHook, accumulated,
                                      count_quietly)
from .hooks.iteration_seed_hook import IterationSeedHook
from .interruption import Interruption, shelter
from .length import without_short_warm_ups
from .log import DETAILS, Details, stop_if_full
from .scalars import ScalarHub
from .schedule import Progress, Schedule
from .wrappers import bare_model

_TENSORBOARD = 'TensorboardVisBackend'


@register_backend('glid_mm.atomic')
class AtomicBackend(LocalBackend):
    """Local files that are written completely or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; see :func:`write_atomically`."""
        try:
            write_atomically(filepath, obj)
        except NoSpaceError as error:
            raise NoSpaceError(
                f'{error} To keep fewer checkpoints, set '
                'default_hooks.checkpoint.max_keep_ckpts; --resume continues '
                'the run.') from error


@RUNNERS.register_module()
class Runner(runner.Runner):
    """A run that is a function of its config and seed.

    Takes mmengine's arguments. It adds:

    - A run that is interrupted anywhere and resumed reaches the weights of an
      uninterrupted run: see :mod:`glid_mm.engine.randomness`.
    - Checkpoints are complete or absent. A resumed run that finds its
      last checkpoint damaged reports it and uses the newest good one.
    - Checkpoints are read without running code in them, and the log reports
      how a load changed each part of the model.
    - It trains on several processes without GPUs, over gloo.
    - It keeps a GPU busy: unless the config says otherwise, training is in
      bfloat16 with a fused optimizer, and data comes from pinned memory;
      scalars are read when they are logged.

    ``randomness.diff_rank_seed`` has no effect: in training all ranks draw the
    same numbers, for the joint batch.
    """

    _schedule: Schedule | None = None

    def setup_env(self, env_cfg: dict) -> None:
        """Start gloo if there is no accelerator, and disable cuDNN attention.
        """
        if (self.distributed and not is_distributed()
                and self.launcher == 'pytorch' and get_device() == 'cpu'):
            timeout = env_cfg.get('dist_cfg', {}).get('timeout', 1800)
            torch.distributed.init_process_group(
                'gloo', timeout=datetime.timedelta(seconds=timeout))
        # Some versions of cuDNN give wrong gradients of masked attention on
        # some cards, and it is not faster here.
        if hasattr(torch.backends.cuda, 'enable_cudnn_sdp'):
            torch.backends.cuda.enable_cudnn_sdp(False)
        super().setup_env(env_cfg)

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger; long details go into a separate file."""
        logger = super().build_logger(*args, **kwargs)
        logger.addFilter(Details(Path(self.log_dir, DETAILS)))
        stop_if_full(logger)
        return logger

    def _log_env(self, env_cfg: dict) -> None:
        super()._log_env(env_cfg)
        self.logger.info(
            f'glid_mm {__version__}, torch {torch.__version__}, '
            f'{describe_device()}. Environment, config and hooks: '
            f'{Path(self.log_dir, DETAILS)}')

    def set_randomness(self,
                       seed: int | None,
                       diff_rank_seed: bool = False,
                       deterministic: bool = False) -> None:
        """Set the seed that all ranks share."""
        super().set_randomness(seed, False, deterministic)

    def wrap_model(self, model_wrapper_cfg: dict | None,
                   model: torch.nn.Module) -> torch.nn.Module:
        """Wrap the model; mmengine's default names a GPU even on CPUs."""
        if self.distributed and get_device() == 'cpu':
            model_wrapper_cfg = dict(
                type='MMDistributedDataParallel',
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get('find_unused_parameters',
                                                    False)
            ) if model_wrapper_cfg is None else dict(model_wrapper_cfg)
            model_wrapper_cfg['device_ids'] = None
        return super().wrap_model(model_wrapper_cfg, model)

    def build_model(self, model: torch.nn.Module | dict) -> torch.nn.Module:
        """Build the model; copying inputs does not wait for the device.

        ``data_preprocessor.non_blocking=False`` in its config makes them wait.
        """
        config = model if isinstance(model, dict) else {}
        wait = not (config.get('data_preprocessor') or {}).get(
            'non_blocking', True)
        model = super().build_model(model)
        prepare_inputs(model, wait)
        return model

    def build_visualizer(self, visualizer=None):
        """Build the visualizer, without TensorBoard if it is missing."""
        if isinstance(visualizer, dict) and find_spec('tensorboard') is None:
            backends = visualizer.get('vis_backends') or []
            kept = [b for b in backends if b['type'] != _TENSORBOARD]
            if len(kept) < len(backends):
                self.logger.info('TensorBoard is not installed, so no curves '
                                 'are logged to it (pip install tensorboard)')
                visualizer = dict(visualizer, vis_backends=kept)
        return super().build_visualizer(visualizer)

    def build_message_hub(self, message_hub: dict | None = None) -> ScalarHub:
        """Build a hub that reads scalars on demand."""
        message_hub = dict(message_hub or {})
        message_hub.setdefault('name', self._experiment_name)
        return ScalarHub.get_instance(**message_hub)

    def build_optim_wrapper(self, optim_wrapper) -> OptimWrapper:
        """Build the optimizer wrapper with the defaults of the device."""
        if not isinstance(optim_wrapper, dict):
            return super().build_optim_wrapper(optim_wrapper)
        optim_wrapper = super().build_optim_wrapper(
            with_optim_defaults(optim_wrapper))
        prepare(optim_wrapper)
        if accumulated(optim_wrapper) > 1:
            count_quietly(optim_wrapper)
        return optim_wrapper

    def build_param_scheduler(self, scheduler):
        """Build the schedulers, except warm-ups of fewer than two steps."""
        return super().build_param_scheduler(
            without_short_warm_ups(scheduler, len(self.train_dataloader)))

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register the config's hooks and the hooks for exact resuming."""
        super().register_default_hooks(hooks)
        self.register_hook(IterationSeedHook())
        self._accumulation = AccumulationHook()
        self.register_hook(self._accumulation)

    @staticmethod
    def build_dataloader(dataloader,
                         seed: int | None = None,
                         diff_rank_seed: bool = False) -> DataLoader:
        """Build a data loader that names samples it cannot prepare.

        It has the defaults of the device, and its workers leave signals to
        the main process.
        """
        if isinstance(dataloader, dict):
            dataloader = with_loader_defaults(dataloader)
        loader = runner.Runner.build_dataloader(dataloader, seed,
                                                diff_rank_seed)
        loader.worker_init_fn = shelter(loader.worker_init_fn)
        return name_errors(loader)

    def build_train_loop(self, loop):
        """Build the loop over data whose order and samples follow the seed."""
        config = self._train_dataloader
        loader = self.build_dataloader(config, seed=self.seed)
        self._train_dataloader = stream(loader, self.seed)
        try:
            loop = super().build_train_loop(loop)
        finally:
            # mmengine reads the batch size from it, to scale learning rates.
            self._train_dataloader = config
        if hasattr(loop, 'dataloader_iterator'):
            loop.dataloader.batch_sampler.endless = True
            loop.dataloader_iterator = StreamIterator(loop)
        else:
            count_from_start(loop)
        return loop

    def train(self) -> torch.nn.Module:
        """Train, and evaluate if the config has validation.

        Workers that load data are stopped at the end.

        Returns:
            The model.

        Raises:
            Interrupted: If a signal asked the process to stop; a checkpoint
                has been saved, see :class:`CheckpointHook`.
        """
        with Interruption() as self.interruption:
            return self._with_workers(super().train)

    def val(self) -> dict:
        """Validate, then stop the workers that load data."""
        return self._with_workers(super().val)

    def test(self) -> dict:
        """Test, then stop the workers that load data."""
        return self._with_workers(super().test)

    def _with_workers(self, run: Callable):
        try:
            return run()
        finally:
            for loop in self._train_loop, self._val_loop, self._test_loop:
                if isinstance(loop, runner.BaseLoop):
                    stop_workers(loop.dataloader)

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Continue from a checkpoint, also within an epoch.

        Args:
            filename: A training checkpoint.
            args, kwargs: See mmengine's Runner.

        Raises:
            CheckpointError: If it cannot be read, or is not a training
                checkpoint.
        """
        if self._schedule is None:
            self._note_schedule()
        self._load_state(filename, *args, **kwargs)
        if isinstance(self.optim_wrapper, OptimWrapper):
            restore_kernels(self.optim_wrapper.optimizer)
        loop = self.train_loop
        # Without a seed in the config, use the checkpoint's.
        loop.dataloader.dataset.set_seed(self.seed)
        sampler = loop.dataloader.batch_sampler.sampler.wrapped
        if hasattr(sampler, 'seed'):
            sampler.seed = self.seed
        then, now = self._loaded_stamp.get('data', {}), self._run_facts()
        changed = {
            name: f'{name} from {then[name]} to {value}'
            for name, value in now.items() if then.get(name, value) != value
        }
        if changed:
            what = ('will equal those of the uninterrupted run up to rounding'
                    if [*changed] == ['processes'] else
                    'will differ from those of the uninterrupted run')
            self.logger.warning(
                'the data or their batches have changed since the checkpoint: '
                f'{"; ".join(changed.values())}. The final '
                f'weights {what}.')
        saved = loop.iter
        self._resume_place({*changed} & {*self._data_facts()})
        every = now['iterations accumulated']
        # Older checkpoints lack the gradients, so they are lost.
        lost = 'iterations accumulated' not in then and saved % every
        fit = 'iterations accumulated' not in changed and loop.iter == saved
        if not self._accumulation.restore(self, fit) or lost:
            self.logger.warning(
                f'gradients accumulated up to iteration {saved} are lost.')
        if self._schedule:
            told = self._schedule.follow(
                self._loaded_stamp.get('schedule'), self._progress())
            if told:
                self.logger.warning(told)
        if self._progress().iterations >= loop.max_iters:
            self.logger.info(
                f'the run is finished ({loop.iter} of {loop.max_iters} '
                'iterations): nothing to train. To train longer, start a new '
                'run with its weights')

    def _load_state(self, filename: str, *args, **kwargs) -> None:
        """mmengine's ``resume``, with errors that name the cure."""
        try:
            super().resume(filename, *args, **kwargs)
            averages = any(isinstance(h, EMAHook) for h in self.hooks)
            if 'ema_state_dict' in self._loaded_parts and not averages:
                # Its state_dict is the average; only the hook can swap it.
                raise CheckpointError(
                    f'{filename} comes from a run with an EMAHook, but this '
                    'run has none. Add it: --cfg-options '
                    "\"custom_hooks=[dict(type='EMAHook')]\", with its "
                    'settings. To start from the averaged weights, set '
                    'load_from and do not resume.')
            # mmengine would continue without it; the best checkpoint lacks it.
            if 'optimizer' not in self._loaded_parts:
                raise KeyError('optimizer')
        except KeyError as error:
            raise CheckpointError(
                f'{filename} has no {error}, so it cannot be resumed. To '
                'start from its weights, set load_from and do not '
                'resume.') from error
        except ValueError as error:
            # PyTorch's optimizers reject the state of other models this way.
            if 'parameter group' not in str(error):
                raise
            version = self._loaded_stamp.get('versions',
                                             {}).get('glid_mm',
                                                     'of an unknown version')
            cure = (f'It was written by glid_mm {version}, but this is '
                    f'{__version__}: finish the run with that version'
                    if version != __version__ else
                    'Train the same weights as it did, in the same groups '
                    '(optim_wrapper.paramwise_cfg and frozen parts)')
            raise CheckpointError(
                f'{filename}: its optimizer state does not fit the weights of '
                f'this model ({error}). {cure}, or, to start from its '
                'weights, set load_from and do not resume.') from error

    def _resume_place(self, changed: set) -> None:
        """Set the place in the epoch where data continues, in epoch loops."""
        loop = self.train_loop
        if hasattr(loop, 'dataloader_iterator'):
            return
        length = len(loop.dataloader)
        epoch, done = divmod(loop.iter, length)
        if not changed and loop.iter >= loop.max_iters:
            loop._epoch = epoch
        elif not changed and epoch == loop.epoch:
            loop.dataloader.batch_sampler.start = done
        elif not changed and epoch == loop.epoch + 1 and not done:
            # Saved after the last iteration of an epoch but before its end:
            # schedulers that count epochs, and the validation, are still to
            # run.
            loop.dataloader.batch_sampler.start = length
        else:
            self.logger.warning(
                f'iteration {loop.iter} is not in epoch {loop.epoch + 1} of '
                f'{length} batches: the data or the batch size have changed. '
                'The epoch starts over, and iterations count the new '
                'batches.')
            loop._iter = loop.epoch * length

    def _progress(self) -> Progress:
        loop = self.train_loop
        in_epochs = not hasattr(loop, 'dataloader_iterator')
        return Progress(loop.iter, loop.epoch if in_epochs else 0,
                        len(loop.dataloader), loop.max_iters)

    def _data_facts(self) -> dict:
        """Settings that the order of the training data depends on."""
        loader = self.train_dataloader
        batch_size = loader.batch_sampler.batch_size
        return {
            'samples': len(loader.dataset),
            'samples in a joint batch': batch_size * self.world_size
        }

    def _run_facts(self) -> dict:
        """Conditions besides the config that affect a run's weights."""
        sampler = self.train_dataloader.batch_sampler.sampler.wrapped
        return {
            **self._data_facts(),
            **getattr(sampler, 'facts', {}), 'processes': self.world_size,
            'iterations accumulated': accumulated(self.optim_wrapper)
        }

    def _note_schedule(self) -> None:
        """Record the optimizer's settings in the config for a checkpoint."""
        self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
        if self.param_schedulers is not None:
            self.param_schedulers = self.build_param_scheduler(
                self.param_schedulers)
        if not isinstance(self.optim_wrapper, OptimWrapperDict):
            self._schedule = Schedule(self.optim_wrapper, self.param_schedulers
                                      or [], self.train_loop.max_iters)

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = 'cpu',
        strict: bool = False,
        revise_keys: Sequence[tuple] = ((r'^module\.', ''), )
    ) -> dict:
        """Load weights and log how each part of the model changed.

        Args:
            filename: Path of a checkpoint.
            map_location: Device of the tensors.
            strict: Whether names and shapes must agree entirely.
            revise_keys: Patterns of names and their replacements.

        Returns:
            The checkpoint.

        Raises:
            CheckpointError: If it cannot be read, or does not fit; see
                :func:`read_checkpoint` and :func:`load_weights`. For
                evaluation, also if it lacks weights of a model with GLID or
                ×Net; training initializes missing weights.
        """
        checkpoint = read_checkpoint(filename, map_location)
        model = bare_model(self.model)
        try:
            refuse_foreign(model, checkpoint)
            self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
            report = load_weights(model, checkpoint, strict, revise_keys)
            ours = isinstance(getattr(model, 'backbone', model), (GLID, XNet))
            if self._only_evaluates() and ours:
                report.refuse_untrained()
            if not ('ema_state_dict' in checkpoint and self._resume):
                self._start_averages()
        except CheckpointError as error:
            raise error.of(filename) from error
        self._has_loaded = True
        meta = checkpoint.get('meta', {})
        self._loaded_parts = set(checkpoint)
        self._loaded_stamp = meta.get('glid_mm', {})
        self.cut_validation = meta.get('cut_validation', False)
        self.logger.log(logging.WARNING if report.notes else logging.INFO,
                        f'loaded {filename}\n{report}')
        return checkpoint

    def _start_averages(self) -> None:
        """Let averages of weights start from the model's.

        Their hooks have loaded the checkpoint by its own names.
        """
        for hook in self.hooks:
            if isinstance(hook, EMAHook):
                hook.ema_model.module.load_state_dict(
                    bare_model(self.model).state_dict())

    def _only_evaluates(self) -> bool:
        """Whether evaluation loops have been built and no training loop."""
        trains, *evaluates = (
            isinstance(loop, runner.BaseLoop)
            for loop in (self._train_loop, self._val_loop, self._test_loop))
        return any(evaluates) and not trains

    def load_or_resume(self) -> None:
        """Resume from the newest good checkpoint if asked to find it."""
        if isinstance(self._train_loop, runner.BaseLoop):
            # This is training: everything has been built by now.
            self._note_schedule()
        if self._has_loaded or not self._resume or self._load_from:
            return super().load_or_resume()
        path = None
        for path in checkpoints_of(self.work_dir):
            try:
                self.resume(str(path))
            except CheckpointError as error:
                self.logger.warning(f'cannot resume: {error}')
            else:
                self.logger.info(f'resumed from {path}')
                return
        if path:
            raise CheckpointError(
                f'nothing to resume in {self.work_dir}: none of its '
                'checkpoints can be resumed. Start again in another '
                '--work-dir, or give a checkpoint: '
                '--resume PATH')
        self.logger.info(f'nothing to resume in {self.work_dir}: starting')

    def save_checkpoint(self,
                        out_dir: str,
                        filename: str,
                        file_client_args: dict | None = None,
                        save_optimizer: bool = True,
                        save_param_scheduler: bool = True,
                        meta: dict | None = None,
                        by_epoch: bool = True,
                        backend_args: dict | None = None) -> None:
        """Save a checkpoint; local files atomically.

        It records the windows of the position biases and glid_mm's version.

        Raises:
            NoSpaceError: If the disk is full; see :func:`write_atomically`.
        """
        if (file_client_args is None and backend_args is None
                and '://' not in str(out_dir)):
            backend_args = dict(backend='glid_mm.atomic')
        # All ranks reach this line, but only one calls the saving hooks.
        if save_optimizer:
            self._accumulation.gather(self)
        super().save_checkpoint(
            out_dir,
            filename,
            file_client_args,
            save_optimizer,
            save_param_scheduler, {
                **(meta or {}), 'glid_mm': self._stamp()
            },
            by_epoch,
            backend_args=backend_args)

    def _stamp(self) -> dict:
        glid = glid_of(bare_model(self.model))
        facts = {}
        if isinstance(self._train_loop, runner.BaseLoop):
            facts = dict(data=self._run_facts())
        if self._schedule:
            facts['schedule'] = self._schedule.facts
        return stamp(glid and EncoderFacts.of_model(glid.encoder), **facts)


def checkpoints_of(work_dir: str) -> Iterator[Path]:
    """Checkpoints that a run can resume from, the most likely first.

    Args:
        work_dir: Folder of the run.

    Yields:
        The file in ``last_checkpoint``, then files beside it and in
        ``work_dir``, newest first. In a run that was copied or moved, the
        file's own copy.
    """
    note = Path(work_dir) / 'last_checkpoint'
    named = note.read_text().strip() if note.exists() else ''
    if named and Path(work_dir, Path(named).name).exists():
        named = str(Path(work_dir, Path(named).name))
    folders = {Path(work_dir)}
    if named:
        folders.add(Path(named).parent)
        yield Path(named)
    found = [
        path for folder in folders for path in folder.glob('*.pth')
        if re.fullmatch(r'((epoch|iter)_\d+|recent)\.pth', path.name)
    ]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        if str(path) != osp.normpath(named):
            yield path
