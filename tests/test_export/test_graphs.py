"""A graph gives the host's outputs, and a difference is found."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmpose.codecs import MSRAHeatmap, UDPHeatmap

from glid_mm.errors import UserError
from glid_mm.export.agreement import TOLERANCE, check, largest, pair, regret
from glid_mm.export.description import dataset_meta
from glid_mm.export.exporting import GRAPHS, copy_for
from glid_mm.export.keypoints import decode
from glid_mm.models.encoders import swin
from glid_mm.tasks import multitask  # noqa: F401
from ..test_tasks.mixtures import CONFIGS
from .build import HEADS, MICRO, letterboxed, make_decisive, pictures, tiny

pytestmark = pytest.mark.usefixtures('one_thread')


def graph_of(task, monkeypatch, size=(128, 128), **changes):
    model, config = tiny(task, monkeypatch, **changes)
    return GRAPHS[task](model, size, dataset_meta(model, config))


def answers(graph, images):
    """Outputs of the host and of the graph, image by image."""
    _, *sizes = inputs = graph.inputs(images)
    with torch.no_grad():
        arrays = [x.numpy() for x in graph(*map(torch.from_numpy, inputs))]
        host = graph.host(*inputs)
    names = list(graph.OUTPUTS)
    ours = [
        graph.crop(dict(zip(names, rows)), *(x[i] for x in sizes))
        for i, rows in enumerate(zip(*arrays))
    ]
    return host, ours


def changed(task, name, array):
    """A copy of an output that differs by slightly more than allowed."""
    wrong = array.copy()
    if array.dtype == bool:
        wrong[0, :8] ^= True
    elif name == 'labels' and task != 'semantic':
        wrong[:] = (array + 1) % 4
    elif array.dtype.kind == 'i':
        wrong[:16] = (array[:16] + 1) % 7
    elif name in ('boxes', 'keypoints'):
        wrong[0] += .5
    else:
        wrong.flat[0] += 5e-3 * max(1, np.abs(array).max())
    return wrong


@pytest.mark.parametrize('swap', [True, False])
@pytest.mark.parametrize('task', GRAPHS)
def test_a_graph_answers_as_the_host(task, swap, monkeypatch):
    changes = {}
    if task == 'panoptic':
        changes = {
            'model.test_cfg':
            dict(object_mask_thr=.3, iou_thr=.1, filter_low_score=swap)
        }
    size = (128, 96) if task == 'pose' else (128, 128)
    graph = graph_of(task, monkeypatch, size, **{
        'model.data_preprocessor.bgr_to_rgb': swap,
        **changes
    })
    images = pictures()[:, :, :size[1]] if task == 'pose' else letterboxed()
    for host, ours in zip(*answers(graph, images)):
        differences = graph.compare(host, ours)
        assert set(differences) == set(graph.OUTPUTS)
        assert max(differences.values()) < TOLERANCE / 10
        for name in graph.OUTPUTS:
            assert len(np.unique(host[name])) > 1, name
            wrong = {**ours, name: changed(task, name, ours[name])}
            assert graph.compare(host, wrong)[name] > TOLERANCE, name
            with pytest.raises(UserError, match=name):
                check({name: graph.compare(host, wrong)[name]})


def test_masked_attention_masks_padding(monkeypatch):
    graph = graph_of(
        'semantic', monkeypatch, **{
            'model.backbone.decoder.num_layers': 4,
            'model.decode_head.masked_attention': True
        })
    for host, ours in zip(*answers(graph, letterboxed())):
        check(graph.compare(host, ours))


def test_a_backbone_of_maps_sees_the_padding_of_its_host(monkeypatch):
    monkeypatch.setitem(swin.ARCHITECTURES, 'micro', MICRO)
    config = Config.fromfile(CONFIGS / 'segmentation' /
                             'upernet_glid-nano_1xb16-2k_scenes-128x128.py')
    config.merge_from_dict({
        'model.backbone.encoder.arch': 'micro',
        'model.decode_head.in_channels': [16, 32, 64, 128],
        'model.decode_head.channels': 8
    })
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model).eval()
    graph = GRAPHS['semantic'](model, (128, 128), {})
    for host, ours in zip(*answers(graph, letterboxed())):
        check(graph.compare(host, ours))
    # Pixels outside the image are 0 to the model.
    image = pictures(1)
    with torch.no_grad():
        _, scores = graph(torch.from_numpy(image), torch.tensor([[96, 70]]))
        model.data_preprocessor.test_cfg = dict(size=(128, 128))
        host, = graph.host(image, np.array([[96, 70]]))
    np.testing.assert_allclose(
        scores[0, :, :96, :70], host['scores'], atol=1e-4)


@pytest.mark.parametrize('task', ['detection', 'depth'])
def test_a_task_of_a_mixture_is_copied_with_what_is_shared(task, monkeypatch):
    _, config = tiny(task, monkeypatch)
    backbone = config.model.pop('backbone')
    queries = dict(num_queries=backbone.pop('num_queries'))
    mixture = MODELS.build(
        dict(
            type='glid_mm.MultitaskGLID',
            backbone=backbone,
            tasks={task: dict(config.model, backbone=queries)}))
    make_decisive(mixture, HEADS[task])
    mixture.double().train()
    model = copy_for(mixture.tasks[task], torch.device('cpu'))
    graph = GRAPHS[task](model, (128, 128), {})
    for host, ours in zip(*answers(graph, letterboxed())):
        check(graph.compare(host, ours))
    assert ours['boxes' if task == 'detection' else task].dtype == np.float32
    assert not model.backbone.glid.training
    assert mixture.backbone.training
    assert mixture.backbone.queries.cls_token.dtype == torch.float64
    assert all(p.requires_grad for p in mixture.backbone.encoder.parameters())


def test_a_tie_is_no_difference():
    scores = np.array([[.5, .2], [.5 - 1e-6, .8]])
    assert 0 < regret(scores, np.array([1, 1])) < TOLERANCE
    assert regret(scores, np.array([0, 0])) > TOLERANCE


def test_what_is_not_a_number_agrees_with_nothing():
    numbers = np.array([1., np.nan])
    assert largest(numbers, numbers) == np.inf
    assert largest(numbers[:1], numbers[:1]) == 0


def test_the_last_of_a_list_may_be_another_if_they_tie():

    def found(*scores):
        count = len(scores)
        boxes = np.tile([[0., 0, 4, 4]], (count, 1))
        return dict(
            boxes=boxes, scores=np.array(scores), labels=np.arange(count))

    ours = found(.9, .5, .3)
    ours['labels'][2], ours['boxes'][2] = 7, 1
    assert pair(found(.9, .5, .3), ours, 4)[0] == 0
    ours['labels'][1] = 7
    assert pair(found(.9, .5, .3), ours, 4)[0] == pytest.approx(1 / 3)


CODEC = dict(input_size=(96, 128), heatmap_size=(24, 32), sigma=1.)


@pytest.mark.parametrize('codec', [
    UDPHeatmap(**CODEC, blur_kernel_size=5),
    UDPHeatmap(**CODEC),
    MSRAHeatmap(**CODEC),
    MSRAHeatmap(**CODEC, unbiased=True, blur_kernel_size=5),
])
def test_heatmaps_are_decoded_as_by_mmpose(codec):
    rng = np.random.default_rng(0)
    # Peaks inside, in corners and at the border, and a map without a peak.
    places = rng.uniform(0, 1, (60, 2)) * [95, 127]
    places[:4] = [0, 0], [95, 127], [95, 0], [40, 127]
    maps = np.concatenate([
        codec.encode(place[None, None].astype(np.float32))['heatmaps']
        for place in places
    ])
    maps += rng.normal(size=maps.shape).astype(np.float32) * 1e-3
    maps[4] = -1.
    batch = maps.reshape(2, 30, *maps.shape[1:])
    ours, scores = decode(codec, torch.from_numpy(batch))
    for i, picture in enumerate(batch):
        (expected, ), (heights, ) = codec.decode(picture)
        np.testing.assert_allclose(ours[i], expected, atol=5e-3)
        np.testing.assert_array_equal(scores[i], heights)
    assert np.abs(ours.reshape(-1, 2).numpy() - places)[5:].mean() < 2
