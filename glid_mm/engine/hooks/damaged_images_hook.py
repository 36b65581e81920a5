"""Skip damaged pictures in pre-training."""
from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook

from ...errors import UserError
from ...registry import HOOKS

# Number that is always allowed, even for small data sets.
FEW = 10
# Iterations between two exchanges among processes.
EXCHANGE = 50


@HOOKS.register_module()
class DamagedImagesHook(Hook):
    """Skip damaged pictures, report each once, and stop if there are too many.

    Data sets with ``skip_damaged``, such as :class:`UnlabelledImages`, replace
    a sample that cannot be decoded by another, drawn with the random numbers
    of its place, so the order of the data still depends only on seed and
    place. The replacement lists the skipped pictures as ``damaged`` in its
    meta information, so the count does not depend on workers. The count is
    part of checkpoints.

    Without this hook, or with data sets that cannot skip, the first damaged
    picture stops the run. A file that cannot be opened or read at all always
    stops it.

    Args:
        max_share: Share of the pictures seen so far that may be damaged. Ten
            are allowed in any case. With several processes the check is made
            every 50 iterations.
    """

    def __init__(self, max_share: float = .01) -> None:
        self.max_share = max_share

    def before_train(self, runner) -> None:
        """Enable skipping in the data set; continue a resumed run's count."""
        dataset = runner.train_dataloader.dataset
        if hasattr(dataset, 'skip_damaged'):
            dataset.skip_damaged = True
        self._found = dict(runner.message_hub.runtime_info.get(
            'damaged_images', {}))  # yapf: disable
        self._new = {}

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Collect the pictures that were skipped for a batch."""
        for sample in data_batch.get('data_samples') or ():
            self._new.update(sample.get('damaged') or {})
        if get_world_size() == 1 or self.every_n_train_iters(runner, EXCHANGE):
            self._settle(runner, runner.iter + 1)

    def after_train_epoch(self, runner) -> None:
        """Log the number of damaged pictures so far."""
        self._settle(runner, runner.iter)
        if self._found:
            runner.logger.warning(
                f'{len(self._found)} of {self._seen(runner, runner.iter)} '
                'pictures seen so far are damaged and were skipped')

    def _settle(self, runner, iterations: int) -> None:
        """Exchange new finds among processes; stop if there are too many.

        Raises:
            UserError: In all processes, if there are too many.
        """
        new, self._new = self._new, {}
        if get_world_size() > 1:
            new = {
                path: reason
                for part in all_gather_object(new)
                for path, reason in part.items()
            }
        new = {p: reason for p, reason in new.items() if p not in self._found}
        if not new:
            return
        for path, reason in new.items():
            runner.logger.warning(
                f'cannot read the image {path}: {reason}. It is skipped and '
                'replaced by another.')
        self._found.update(new)
        runner.message_hub.update_info('damaged_images', dict(self._found))
        share = len(self._found) / self._seen(runner, iterations)
        if len(self._found) > FEW and share > self.max_share:
            names = '\n  '.join(list(self._found)[-FEW:])
            raise UserError(
                f'{len(self._found)} of the {self._seen(runner, iterations)} '
                f'pictures seen so far are damaged: {share:.1%}, more than '
                f'the {self.max_share:.1%} allowed. The copy may be '
                'incomplete, or the files may have another format. Repair or '
                'remove them; to train without them, set '
                f'default_hooks.damaged_images.max_share={2 * share:.2g}. '
                f'Latest:\n  {names}')

    @staticmethod
    def _seen(runner, iterations: int) -> int:
        """The number of distinct pictures read so far."""
        loader = runner.train_dataloader
        batch = loader.batch_sampler.batch_size * get_world_size()
        return min(iterations * batch, len(loader.dataset))
