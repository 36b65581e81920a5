"""Features of labelled photographs, one vector per image."""
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..checkpoint.report import PARTS
from ..datasets.folders import list_images
from ..errors import UserError
from ..models import GLID, TokenGrid
from ..visualization import load_images

#: Kinds of features, and the parts of GLID that each needs.
FEATURES = dict(encoder=PARTS[:1], neck=PARTS[:2], decoder=PARTS)


class LabelledImages(NamedTuple):
    """Images with the class of each.

    Attributes:
        paths: The files.
        labels: ``(n,)`` int64, indices into ``classes``.
        classes: Names of the class folders, sorted.
    """

    paths: list[Path]
    labels: Tensor
    classes: list[str]


def read_class_folders(
        root: Path) -> tuple[LabelledImages, LabelledImages | None]:
    """List images that lie in one folder for each class.

    Args:
        root: Folder with the class folders, or with ``train`` and ``val``
            alone that contain them, as for torchvision's ``ImageFolder``.

    Returns:
        Training images, and validation images if there are any.

    Raises:
        UserError: If there are fewer than two classes, a class has no
            images, or the two parts have different classes.
    """
    folders = {path.name for path in root.glob('*') if path.is_dir()}
    if 'train' not in folders or folders - {'train', 'val', 'test'}:
        return _read(root), None
    train, val = _read(root / 'train'), _read(root / 'val')
    if train.classes != val.classes:
        odd = sorted(set(train.classes) ^ set(val.classes))
        raise UserError(f'{root}: train and val have different class folders; '
                        f'only one of them has {", ".join(odd)}')
    return train, val


def _read(folder: Path) -> LabelledImages:
    if not folder.is_dir():
        raise UserError(f'there is no folder {folder}')
    classes = sorted(path.name for path in folder.iterdir()
                     if path.is_dir() and not path.name.startswith('.'))
    if len(classes) < 2:
        raise UserError(f'{folder} has {len(classes)} class folders; a probe '
                        'needs two or more, with the images of one class each')
    # Files beside the class folders have no class.
    names = [name for name in list_images(folder) if '/' in name]
    found = [name.partition('/')[0] for name in names]
    empty = sorted(set(classes).difference(found))
    if empty:
        raise UserError(f'the class folder {folder / empty[0]} has no images; '
                        'add some, or remove the folder')
    place = {name: label for label, name in enumerate(classes)}
    return LabelledImages([folder / name for name in names],
                          torch.tensor([place[name] for name in found]),
                          classes)


class _Pictures(Dataset):
    """Central squares of image files, ``(3, size, size)`` uint8 BGR."""

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return load_images([self.paths[index]], (self.size, self.size))[0]


@torch.no_grad()
def extract_features(model: nn.Module,
                     paths: Sequence[Path],
                     size: int,
                     kinds: Sequence[str],
                     batch_size: int = 64,
                     workers: int = 0) -> dict[str, Tensor]:
    """Compute features of whole images, without masking.

    Args:
        model: The model on any device; it stays in eval mode.
        paths: Image files.
        size: Side in pixels of the central square of each image that the model
            sees; a multiple of 32.
        kinds: Any of :data:`FEATURES`.
        batch_size: Images in a forward pass.
        workers: Processes that read images.

    Returns:
        ``(n, C)`` of each kind, on CPU.

    Raises:
        UserError: If a file cannot be read as an image.
    """
    model.eval()
    loader = DataLoader(
        _Pictures(paths, size), batch_size, num_workers=workers)
    batches = []
    for images in loader:
        inputs = model.data_preprocessor(
            dict(inputs=images, data_samples=None))['inputs']
        batches.append(features_of(model.backbone, inputs, kinds))
    return {
        kind: torch.cat([batch[kind].cpu() for batch in batches])
        for kind in kinds
    }


def features_of(glid: GLID, images: Tensor,
                kinds: Sequence[str]) -> dict[str, Tensor]:
    """One vector of each kind for each image of a batch.

    - encoder: the mean of the encoder's last map, stride 32;
    - neck: the means of the neck's four maps, concatenated;
    - decoder: the mean output of the last layer for the mask tokens of all
      units. In pre-training, mask tokens stand for masked units; here every
      unit is visible.

    Args:
        glid: The backbone.
        images: ``(B, 3, H, W)``, standardised, H and W multiples of 32.
        kinds: Any of :data:`FEATURES`.

    Returns:
        ``(B, C)`` of each kind.
    """
    found = {}
    if 'encoder' in kinds:
        found['encoder'] = glid.encode(images)[-1].mean((2, 3))
    if set(kinds) == {'encoder'}:
        return found
    x = glid.features(images, None)
    if 'neck' in kinds:
        coarser = [tokens.mean(1) for tokens, *_ in reversed(x.memory)]
        found['neck'] = torch.cat([x.mask_features.mean((2, 3)), *coarser], 1)
    if 'decoder' in kinds:
        grid = TokenGrid.whole(*images.shape[-2:], images.device)
        # A unit is one token of the coarsest stride.
        positions = grid.positions(3, glid.decoder.dims, images.dtype)
        queries = glid.queries.masked(positions).expand(len(images), -1, -1)
        answers = glid.decoder(queries, x.memory, every_layer=False)[-1]
        found['decoder'] = answers[:, 1:].mean(1)
    return found
