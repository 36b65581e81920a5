"""Read thousands of damaged inputs, and report those that are read wrongly.

Pictures, label maps, depth maps, COCO's boxes and keypoints, configs,
settings, checkpoints (.pth and .safetensors) and shards are damaged at random.
Each must raise one error that names the file, or be read like in strict mode
by the format's own library: Pillow, pycocotools, PyTorch, safetensors, json,
tarfile. If the package writes such data, the result is written too, and no
partial file may remain. The same seed gives the same inputs, and a finding
names the command that reproduces it.
"""
import argparse
import collections
import contextlib
import faulthandler
import io
import logging
import math
import os
import random
import runpy
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
from pathlib import Path

import cv2
import numpy as np
import torch
from mutations import damaged, mistaken_json
from PIL import Image

from glid_mm.datasets.decode import EncodedImage, bgr
from glid_mm.datasets.folders import list_images
from glid_mm.datasets.loading import load_image
from glid_mm.datasets.shard_writer import shard_file, write_shard, write_shards
from glid_mm.datasets.shards import shard_addresses
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.io.checkpoints import pack_weights, read_checkpoint
from glid_mm.io.files import write_atomically
from glid_mm.scenes import render_scene, write_scenes

SECONDS = 30


class Finding(Exception):
    """A defect, described by the text."""


class Kind:
    """A kind of input.

    Args:
        originals: Folder for original files.
    """

    def __init__(self, originals: Path) -> None:
        self.files = self.make(originals)

    def make(self, folder: Path) -> list:
        """Make valid files: pairs of a name and bytes."""
        raise NotImplementedError

    def damage(self, rng, data: bytes, other: bytes) -> bytes:
        """Damage a file."""
        return damaged(rng, data, other)

    def write(self, rng, folder: Path) -> Path:
        """Put a damaged input into a folder."""
        name, data = rng.choice(self.files)
        path = folder / name
        path.write_bytes(self.damage(rng, data, rng.choice(self.files)[1]))
        return path

    def read(self, path: Path):
        """Read it with the package, and write the result."""
        raise NotImplementedError

    def compare(self, path: Path, value) -> None:
        """Read it strictly with another library.

        Raises:
            Finding: If the results differ.
            Exception: If the library refuses it.
        """
        raise NotImplementedError


class Pictures(Kind):
    """All kinds of pictures, for training and for shards."""

    def make(self, folder):
        scene = render_scene(0, 'train', 0, (40, 56)).image
        image = Image.fromarray(scene)
        exif = Image.Exif()
        exif[0x0112] = 6
        alpha = image.copy()
        alpha.putalpha(image.convert('L'))
        wide = Image.fromarray(scene[..., 0].astype(np.uint16) * 257)
        made = []
        for number, (picture, suffix, options) in enumerate([
            (image, 'JPEG', {}), (image, 'JPEG', dict(exif=exif)),
            (image, 'JPEG', dict(progressive=True)),
            (image.convert('CMYK'), 'JPEG', {}),
            (image.convert('L'), 'JPEG', {}), (image, 'PNG', {}),
            (alpha, 'PNG', {}), (image.convert('P'), 'PNG', {}),
            (wide, 'PNG', {}), (image, 'WEBP', {}), (image, 'GIF', {}),
            (image, 'TIFF', dict(compression='tiff_lzw')), (wide, 'TIFF', {}),
            (image, 'BMP', {}), (image, 'PPM', {})
        ]):  # yapf: disable
            file = io.BytesIO()
            picture.save(file, suffix, **options)
            made.append((f'{number}.{suffix.lower()}', file.getvalue()))
        return made

    def read(self, path):
        image = load_image(str(path))
        part = EncodedImage(path.read_bytes(), str(path)).crop(
            (0, 0, 2, 2)).image
        if not np.array_equal(part, np.asarray(image)[:2, :2]):
            raise Finding('the crop does not match the picture')
        data, why = shard_file(path, 32, 90)
        if data is None:
            raise Finding(f'a picture that can be used is left out: {why}')
        out = path.parent / 'out'
        out.mkdir()
        write_shard(out / '0.tar', [('a', data)])
        return image

    def compare(self, path, value):
        Image.open(path).verify()
        image = Image.open(path)
        image.load()
        if image.mode in ('RGB', 'L',
                          'CMYK') and (not image.has_transparency_data and
                                       image.getexif().get(0x0112, 1) == 1):
            if not np.array_equal(bgr(value), bgr(image.convert('RGB'))):
                raise Finding('the pixels are not those of Pillow')
        with tarfile.open(path.parent / 'out' / '0.tar') as tar:
            Image.open(tar.extractfile(tar.next())).load()


class LabelMaps(Kind):
    """Label maps of segmentation."""

    def make(self, folder):
        labels = render_scene(0, 'train', 0, (40, 56)).semantic
        few = Image.fromarray((labels % 2).astype(bool))
        paletted = Image.fromarray(labels)
        paletted.putpalette(bytes(range(256)) * 3)
        made = []
        for number, (image, suffix, options) in enumerate([
            (Image.fromarray(labels), 'PNG', {}), (paletted, 'PNG', {}),
            (Image.fromarray(labels), 'PNG', dict(bits=4)),
            (Image.fromarray(labels.astype(np.uint16)), 'PNG', {}),
            (few, 'PNG', {}), (Image.fromarray(labels), 'TIFF', {}),
            (Image.fromarray(labels.astype(np.float32)), 'TIFF', {})
        ]):  # yapf: disable
            file = io.BytesIO()
            image.save(file, suffix, **options)
            made.append((f'{number}.{suffix.lower()}', file.getvalue()))
        return made

    def read(self, path):
        from glid_mm.tasks.segmentation import LoadSemanticMap
        return LoadSemanticMap().read(str(path))

    def compare(self, path, value):
        Image.open(path).verify()
        image = Image.open(path)
        spread = {'L;2': 85, 'L;4': 17}.get(image.tile[0][3], 1)
        if not np.array_equal(value, np.asarray(image) // spread):
            raise Finding('the labels are not those of Pillow')


class DepthMaps(LabelMaps):
    """Depth maps."""

    def make(self, folder):
        depth = render_scene(0, 'train', 0, (40, 56)).depth_mm
        made = []
        for suffix, values in (('PNG', depth), ('TIFF', depth),
                               ('TIFF', depth.astype(np.float32))):
            file = io.BytesIO()
            Image.fromarray(values).save(file, suffix)
            made.append((f'{len(made)}.{suffix.lower()}', file.getvalue()))
        return made

    def read(self, path):
        from glid_mm.tasks.depth import LoadDepth
        results = dict(
            depth_map_path=str(path), ori_shape=(40, 56), seg_fields=[])
        return LoadDepth(depth_rescale_factor=1.)(results)['gt_depth_map']

    def compare(self, path, value):
        Image.open(path).verify()
        if not np.array_equal(
                value, np.asarray(Image.open(path), np.float32),
                equal_nan=True):
            raise Finding('the depth is not that of Pillow')


class Boxes(Kind):
    """COCO's boxes, as training and evaluation read them."""
    name = 'instances'

    def make(self, folder):
        if not (folder / 'scenes').exists():
            write_scenes(folder / 'scenes', 6, 3, 0, 64, 0)
        files = (folder / 'scenes' / 'annotations').glob(f'{self.name}_*.json')
        return [(path.name, path.read_bytes()) for path in sorted(files)]

    def damage(self, rng, data, other):
        return mistaken_json(rng, data, other)

    def read(self, path):
        from glid_mm.tasks.detection import CocoDataset, CocoMetric
        metainfo = dict(classes=('box', 'ball', 'cone', 'person'))
        dataset = CocoDataset(
            ann_file=str(path), metainfo=metainfo, data_prefix=dict(img=''))
        metric = CocoMetric(ann_file=str(path))
        metric.dataset_meta = metainfo
        return [dataset.get_data_info(i) for i in range(len(dataset))]

    def compare(self, path, value):
        from pycocotools.coco import COCO
        coco = COCO(str(path))
        for sample in value:
            theirs = {
                _corners(a['bbox'])
                for a in coco.imgToAnns[sample['img_id']]
            }
            for instance in sample['instances']:
                if tuple(instance['bbox']) not in theirs:
                    raise Finding(f'the box {instance["bbox"]} is not in it')
                if not all(map(math.isfinite, instance['bbox'])):
                    raise Finding('a box is not finite')


class Keypoints(Boxes):
    """COCO's keypoints, as training and evaluation read them."""
    name = 'person_keypoints'

    def read(self, path):
        from glid_mm.tasks.pose import CocoPoseDataset
        return [
            dataset.get_data_info(i) for dataset in (
                CocoPoseDataset(ann_file=str(path)),
                CocoPoseDataset(ann_file=str(path), test_mode=True))
            for i in range(len(dataset))
        ]

    def compare(self, path, value):
        from pycocotools.coco import COCO
        coco = COCO(str(path))
        for sample in value:
            annotation = coco.anns[sample['id']]
            points = np.reshape(annotation['keypoints'], (1, -1, 3))
            if not np.allclose(points[..., :2], sample['keypoints']):
                raise Finding('the keypoints are not those of the file')
            for key in ('bbox', 'keypoints'):
                if not np.isfinite(sample[key]).all():
                    raise Finding(f'{key} are not finite')


class Configs(Kind):
    """Config files."""

    def make(self, folder):
        from mmengine.config import Config
        root = Path(__file__).parents[1] / 'configs'
        return [(path.name, Config.fromfile(path).pretty_text.encode())
                for path in sorted(root.glob('*/glid_nano*scenes*.py'))]

    def read(self, path):
        args = argparse.Namespace(
            config=str(path),
            cfg_options={},
            launcher='none',
            local_rank=0,
            work_dir=None)
        return launch.read_run(args)

    def compare(self, path, value):
        written = {
            name: content
            for name, content in runpy.run_path(str(path)).items()
            if not name.startswith('__')
        }
        written.update(launcher='none', work_dir=value.work_dir)
        if repr(value.to_dict()) != repr(
            {k: written[k]
             for k in value.to_dict() if k in written}):
            raise Finding("the settings differ from Python's")


class Settings(Configs):
    """Settings on the command line."""
    LINES = ('train_dataloader.batch_size=8', 'model.mask_ratio=0.75',
             'train_dataloader.dataset.data_root=/a b/c,d',
             'param_scheduler.1.end=100', 'a.b=[1,(2,3)]', 'a="[x,y]"',
             "model.backbone.init_cfg=dict(type='X',checkpoint='a.pth')",
             'optim_wrapper.clip_grad.max_norm=1e-2', 'x=None,True,~/a')

    def make(self, folder):
        return [('setting.txt', line.encode()) for line in self.LINES]

    def read(self, path):
        parser = argparse.ArgumentParser()
        launch.add_common_arguments(parser)
        line = path.read_bytes().decode(errors='replace')
        refused = io.StringIO()
        with contextlib.redirect_stderr(refused):
            try:
                parser.parse_args(['setting.txt', '--cfg-options', line])
            except SystemExit as error:
                raise UserError(
                    f'setting.txt: {refused.getvalue()}') from error

    def compare(self, path, value):
        """Any text may be a valid setting."""


class Checkpoints(Kind):
    """Checkpoints of PyTorch."""
    suffix = '.pth'

    def make(self, folder):
        torch.manual_seed(0)
        weights = {
            'backbone.a': torch.randn(4, 5),
            'backbone.b': torch.arange(3),
            'head.c': torch.randn(2, 2).bfloat16()
        }
        meta = dict(glid_mm=dict(format=1, versions={}), classes=['a', 'b'])
        made = [(f'0{self.suffix}', pack_weights(weights, meta, self.suffix))]
        if self.suffix == '.pth':
            for number, content in enumerate(
                (weights, dict(state_dict=weights, optimizer=dict(state={})),
                 dict(model=weights, epoch=3)), 1):
                file = io.BytesIO()
                torch.save(content, file)
                made.append((f'{number}.pth', file.getvalue()))
        return made

    def read(self, path):
        content = read_checkpoint(path)
        weights = content.get('state_dict')
        if isinstance(weights, dict) and all(
                isinstance(v, torch.Tensor) for v in weights.values()):
            write_atomically(path.parent / 'out' / 'x.pth',
                             pack_weights(weights, {}))
        return content

    def compare(self, path, value):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                if file.testzip() is not None:
                    raise Finding('a checksum is wrong')
        content = torch.load(path, weights_only=True)
        _same(value.get('state_dict'), content.get('state_dict', content))


class Safetensors(Checkpoints):
    """Checkpoints in safetensors format."""
    suffix = '.safetensors'

    def compare(self, path, value):
        from safetensors.torch import load
        _same(value['state_dict'], load(path.read_bytes()))


class Shards(Kind):
    """Shards: the list, an index or a tar file is damaged."""

    def make(self, folder):
        photos = folder / 'photos'
        photos.mkdir()
        for i in range(5):
            Image.fromarray(render_scene(0, 'train', i, (40, 56)).image).save(
                photos / f'{i}.jpg')
        self.whole = folder / 'shards'
        write_shards(
            photos, list_images(photos), self.whole, 32, images_per_shard=3)
        return [(path.name, path.read_bytes())
                for path in sorted(self.whole.iterdir())]

    def write(self, rng, folder):
        shutil.copytree(self.whole, folder / 'shards')
        name, data = rng.choice(self.files)
        path = folder / 'shards' / name
        change = mistaken_json if name.endswith('.json') else damaged
        path.write_bytes(change(rng, data, rng.choice(self.files)[1]))
        return path

    def read(self, path):
        from mmengine.registry import init_default_scope

        from glid_mm.tasks.pretraining import UnlabelledImages
        init_default_scope('mmpretrain')
        dataset = UnlabelledImages(
            str(path.parent),
            pipeline=[
                dict(type='LoadImageFromFile', _scope_='glid_mm'),
                dict(type='PackInputs')
            ])
        return [dataset[i]['inputs'] for i in range(len(dataset))]

    def compare(self, path, value):
        from mmengine import fileio
        addresses = shard_addresses(str(path.parent))
        if len(addresses) != len(value):
            raise Finding('the number of images differs from the index')
        for address, pixels in zip(addresses, value):
            image = Image.open(io.BytesIO(fileio.get(address)))
            if not np.array_equal(
                    bgr(image.convert('RGB')),
                    pixels.permute(1, 2, 0).numpy()):
                raise Finding('the pixels are not those of Pillow')


KINDS = (Pictures, LabelMaps, DepthMaps, Boxes, Keypoints, Configs, Settings,
         Checkpoints, Safetensors, Shards)


def _corners(box):
    x, y, w, h = box
    return x, y, x + w, y + h


def _same(ours, theirs) -> None:
    """Compare weights."""
    if not isinstance(theirs, dict):
        if ours is not None and not isinstance(ours, dict):
            return
        raise Finding('there are weights that the file does not have')
    theirs = {
        name.replace('_orig_mod.', '').removeprefix('module.'): value
        for name, value in theirs.items()
    }
    for name, tensor in theirs.items():
        if isinstance(tensor, torch.Tensor) and not (torch.equal(
                tensor.nan_to_num(), ours[name].nan_to_num())):
            raise Finding(f'{name} is not what the file holds')


def try_input(kind: Kind, rng: random.Random, folder: Path) -> str:
    """Read one damaged input.

    Args:
        kind: The kind of input.
        rng: Random generator of the damage.
        folder: An empty folder.

    Returns:
        ``'refused'`` or ``'read'``.

    Raises:
        Finding: If it is read wrongly, the error has the wrong type or lacks
            the file's name, or partial files remain.
    """
    path = kind.write(rng, folder)
    try:
        value = kind.read(path)
    except UserError as error:
        if path.name not in str(error) and str(path.parent) not in str(error):
            raise Finding(f'the error does not name it: {error}') from error
        outcome = 'refused'
    except Finding:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise Finding(f'{type(error).__name__}: {str(error)[:300]} '
                      f'({where.filename}:{where.lineno})') from error
    else:
        try:
            kind.compare(path, value)
        except Finding:
            raise
        except Exception as error:
            raise Finding(
                'it is read, but strict reading fails: '
                f'{type(error).__name__}: {str(error)[:300]}') from error
        outcome = 'read'
    half = [
        str(p.relative_to(folder)) for p in folder.rglob('*')
        if p.name.startswith('.') or p.suffix == '.part'
    ]
    if half:
        raise Finding(f'half-written: {", ".join(half)}')
    return outcome


def _too_long(*_) -> None:
    raise TimeoutError(f'it takes more than {SECONDS} s')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--inputs', type=int, default=10000, help='by default %(default)s')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--only', type=int, help='number of a single input to read')
    parser.add_argument(
        '--kinds',
        nargs='+',
        choices=[kind.__name__ for kind in KINDS],
        default=[kind.__name__ for kind in KINDS],
        help='by default all')
    return parser.parse_args()


def main():
    args = parse_args()
    faulthandler.enable()
    # OpenCV 5 moved it.
    set_level = getattr(cv2, 'setLogLevel', None)
    (set_level or cv2.utils.logging.setLogLevel)(0)
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGALRM, _too_long)
    # Headers may claim any size, so limit it before memory runs out.
    Image.MAX_IMAGE_PIXELS = 4 * 10**6
    counts = {name: collections.Counter() for name in args.kinds}
    found, start = collections.defaultdict(list), time.time()
    with tempfile.TemporaryDirectory() as temporary:
        originals = Path(temporary) / 'originals'
        originals.mkdir()
        kinds = {k.__name__: k(originals) for k in KINDS}
        for number in range(args.inputs):
            # The same number for each kind, independent of the selection.
            name = KINDS[number % len(KINDS)].__name__
            if args.only not in (None, number) or name not in counts:
                continue
            # Each has its own folder, because open files are cached by path.
            folder = Path(temporary) / str(number)
            folder.mkdir()
            rng = random.Random(f'{args.seed} {number}')
            signal.alarm(SECONDS)
            try:
                with open(os.devnull, 'w') as nowhere:
                    with contextlib.redirect_stdout(nowhere):
                        outcome = try_input(kinds[name], rng, folder)
            except Finding as finding:
                outcome = 'finding'
                found[name, str(finding).split(temporary)[0][:60]].append(
                    f'{finding}\n    python tools/fuzz.py --seed {args.seed} '
                    f'--only {number}')
                if args.only is not None:
                    traceback.print_exc()
            finally:
                signal.alarm(0)
            counts[name][outcome] += 1
            shutil.rmtree(folder)
    print('kind          inputs  refused    read  findings')
    for name, outcomes in counts.items():
        print(f'{name:12} {sum(outcomes.values()):7} '
              f'{outcomes["refused"]:8} {outcomes["read"]:7} '
              f'{outcomes["finding"]:9}')
    total = sum(outcomes['finding'] for outcomes in counts.values())
    print(f'{total} findings, {time.time() - start:.0f} s, seed {args.seed}')
    for (name, _), texts in found.items():
        print(f'{name}, {len(texts)} times: {texts[0]}')
    sys.exit(total > 0)


if __name__ == '__main__':
    launch.main(main)
