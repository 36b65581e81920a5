"""Images without labels, for pre-training."""
import posixpath
from collections.abc import Sequence

from mmengine.dataset import BaseDataset

from ..errors import UserError
from ..registry import DATASETS
from .decode import ImageError
from .folders import SUFFIXES, chosen_images, list_images
from .shards import is_sharded, shard_addresses


@DATASETS.register_module()
class UnlabelledImages(BaseDataset):
    """Any folder of images or shards.

    ``tools/dataset_converters/shard_images.py`` makes shards: few large
    files, faster to decode and easier on shared file systems. They may be in
    an object store. Both kinds are read by index, so sampler and engine
    control order, seeds and resuming.

    Args:
        data_root: The folder; sub-folders are searched too. Addresses with
            ``://``, such as ``s3://bucket/shards``, must hold shards, which
            fsspec reads image by image; if that is too slow, copy them to a
            local disk first.
        data_prefix: A subfolder to use; by default the whole folder.
        extensions: Suffixes of image files, in lower case.
        ann_file: A list of the images to use, by default all: a text file in
            ``data_root`` with one name per line, with or without suffix.
        **kwargs: See ``mmengine.dataset.BaseDataset``.

    Attributes:
        skip_damaged (bool): Whether another random sample replaces one whose
            picture cannot be decoded. Its data sample then lists the skipped
            pictures in ``damaged``, reasons by path.
            :class:`glid_mm.engine.DamagedImagesHook` sets this and counts.

    Raises:
        UserError: If there are no images, the list cannot be read or names
            missing images, or shards are incomplete.
    """

    def __init__(self,
                 data_root: str = '',
                 data_prefix: str = '',
                 extensions: Sequence[str] = SUFFIXES,
                 ann_file: str = '',
                 **kwargs) -> None:
        self.extensions = tuple(extensions)
        self.skip_damaged = False
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=dict(img_path=data_prefix),
            **kwargs)

    def _join_prefix(self) -> None:
        """Join root and prefix; mmengine's method would look for a client."""
        self.data_prefix = {
            key: posixpath.join(self.data_root, prefix)
            for key, prefix in self.data_prefix.items()
        }
        if self.ann_file:
            self.ann_file = posixpath.join(self.data_root, self.ann_file)

    def load_data_list(self) -> list[dict]:
        """List the images.

        Returns:
            ``img_path`` of each; files by name, shards in order.
        """
        folder = self.data_prefix['img_path']
        if is_sharded(folder):
            if self.ann_file:
                raise UserError(f'{folder} holds shards, but {self.ann_file} '
                                'cannot select images from shards. Make '
                                'shards of those images, or give the folder')
            paths = shard_addresses(folder)
        else:
            names = list_images(folder, self.extensions)
            if self.ann_file:
                names = chosen_images(names, self.ann_file)
            paths = [posixpath.join(folder, name) for name in names]
        if not paths:
            raise UserError(
                f'there are no images in {folder or "the current folder"} or '
                f'its subfolders ({", ".join(self.extensions)}). Check '
                'data_root and data_prefix of train_dataloader.dataset.')
        return [dict(img_path=path) for path in paths]

    def prepare_data(self, idx: int) -> dict | None:
        """Get a sample; None if it is skipped and must be replaced."""
        try:
            return super().prepare_data(idx)
        except ImageError as error:
            if not self.skip_damaged:
                raise
            self._damaged[self.get_data_info(idx)['img_path']] = error.reason
            return None

    def __getitem__(self, idx: int) -> dict:
        """Get a sample; see ``mmengine.dataset.BaseDataset``."""
        self._damaged = {}
        sample = super().__getitem__(idx)
        if self._damaged:
            sample['data_samples'].set_metainfo(dict(damaged=self._damaged))
        return sample
