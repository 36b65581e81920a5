"""Draw the attention of decoder queries over images.

For a task, it draws test images and the most confident queries; for
pre-training, training images with masked units and the queries of these units.
A row shows a query: the image with a cross at its place (a masked unit, the
centre of a box or a mask, a keypoint, or the centre of a depth bin's pixels),
and the attention to the memory of three scales.
"""
import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope
from PIL import Image

from glid_mm.checkpoint.facts import glid_of
from glid_mm.checkpoint.loading import load_to_evaluate
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.models import sample_visible
from glid_mm.models.layers.tokens import UNIT, pick_units
from glid_mm.visualization import load_images, to_pictures
from glid_mm.visualization.attention import (SCALES, attention_panel,
                                             distances, passes_of)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a config')
    parser.add_argument('checkpoint', help='path of its weights')
    parser.add_argument(
        '--out', default='attention', help='folder for the pictures')
    parser.add_argument(
        '--num-images',
        type=launch.count,
        default=4,
        help='number of images, spread evenly over the data set')
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--queries',
        nargs='+',
        type=int,
        help='indices of the queries to draw, from 0')
    group.add_argument(
        '--best',
        type=launch.count,
        default=4,
        help='draw the N most confident queries (4)')
    group.add_argument('--all', action='store_true', help='draw all queries')
    launch.add_size_option(parser)
    parser.add_argument(
        '--seed', type=int, default=0, help='random seed of masks')
    launch.add_config_options(parser)
    return parser.parse_args()


def build_model(config, checkpoint):
    model = MODELS.build(config.model).eval()
    glid = glid_of(model)
    if glid is None or glid.decoder is None:
        raise UserError(f'{config.filename}: the model has no GLID decoder, '
                        'so there is no attention of queries to draw')
    heads = [m for m in model.modules() if hasattr(m, 'locate')]
    if len(heads) != 1 and not hasattr(model, 'reconstruct'):
        raise UserError(f'{config.filename} has {len(heads)} tasks. Give '
                        'the config of one, which reads the same checkpoint')
    load_to_evaluate(model, checkpoint)
    return model, heads[0] if heads else None


def images_of(config, pretraining, count):
    loader = 'train_dataloader' if pretraining else 'test_dataloader'
    if config.get(loader) is None:
        raise UserError(f'{config.filename} has no {loader}')
    dataset = DATASETS.build(config[loader].dataset)
    count = min(count, len(dataset))
    for i in range(count):
        index = i * len(dataset) // count
        yield (dataset.get_data_info(index)['img_path']
               if pretraining else dataset[index])


def look_at_task(model, head, sample):
    """The pass and its picture, with scores and places of all queries."""
    with passes_of(model.backbone) as passes:
        model.test_step(pseudo_collate([sample]))
    # Mirror images and other crops come after the first.
    seen = passes[0]
    scores, points = head.locate(seen.output, seen.size)
    picture, = to_pictures(seen.images[:1], model.data_preprocessor)
    return seen, picture, scores, points


def look_at_pretraining(model, path, size, visible):
    """The same for ``[CLS]`` and the masked units."""
    inputs = model.data_preprocessor(
        dict(inputs=load_images([path], (size, size)),
             data_samples=None))['inputs']
    with passes_of(model.backbone) as passes:
        answer = model.reconstruct(inputs, visible)
    seen, = passes
    masked = seen.grid.masked
    true, made = (
        pick_units(x, masked)[0].flatten(1)
        for x in (inputs, answer.reconstructed))
    # Minus the unexplained share, which is the loss with norm_pix.
    scores = -(made - true).square().mean(1) / (true.var(1) + 1e-6)
    cols = size // UNIT
    points = torch.stack([masked[0] % cols, masked[0] // cols], 1)
    points = UNIT * (points + .5)
    picture, = to_pictures(answer.masked, model.data_preprocessor)
    return (seen, picture, torch.cat([scores.new_tensor([-torch.inf]),
                                      scores]),
            torch.cat([torch.full((1, 2), torch.nan), points]))


def choose(args, scores):
    if args.all:
        return list(range(len(scores)))
    if args.queries is None:
        return scores.argsort(descending=True)[:args.best].tolist()
    for query in args.queries:
        if not 0 <= query < len(scores):
            raise UserError(f'--queries {query}: the model has {len(scores)} '
                            f'queries, from 0 to {len(scores) - 1}')
    return args.queries


@torch.no_grad()
def main():
    args = parse_args()
    config = launch.read_config(args.config, args.cfg_options)
    init_default_scope(config.default_scope)
    model, head = build_model(config, args.checkpoint)
    pretraining = head is None
    if pretraining:
        # Its library may be missing when a task is drawn.
        from glid_mm.tasks.pretraining import crop_size
        size = args.size or crop_size(config)
        visible = sample_visible((size // UNIT, ) * 2, model.mask_ratio,
                                 model.mask_strategy, args.num_images,
                                 torch.Generator().manual_seed(args.seed))
    out = Path(args.out)
    found = []
    for i, sample in enumerate(
            images_of(config, pretraining, args.num_images)):
        if pretraining:
            look = look_at_pretraining(model, sample, size, visible[i:i + 1])
        else:
            look = look_at_task(model, head, sample)
        seen, picture, scores, points = look
        queries = choose(args, scores)
        labels = [
            '[CLS]' if pretraining and not q else f'{q}: {scores[q]:.2f}'
            for q in queries
        ]
        panel = attention_panel(seen, picture, queries, points[queries],
                                labels)
        out.mkdir(parents=True, exist_ok=True)
        path = out / f'attention_{i}.png'
        Image.fromarray(panel).save(path)
        print(path)
        placed = [q for q in queries if not points[q].isnan().any()]
        if len(placed) > 1:
            found.append([
                distances(seen.maps(scale, placed)[0], points[placed], stride)
                for scale, stride in enumerate(SCALES)
            ])
    for stride, (own, others) in zip(SCALES,
                                     np.mean(found, 0) if found else ()):
        print(f"stride {stride}: attention is {own:.1f} px from a query's own "
              f"place on average, {others:.1f} px from other queries' places")


if __name__ == '__main__':
    launch.main(main)
