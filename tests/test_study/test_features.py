import pytest
import torch
from PIL import Image

from glid_mm.checkpoint.pretrained import Pretrained
from glid_mm.errors import CheckpointError, UserError
from glid_mm.models.layers.position import sine_position
from glid_mm.scenes import render_scene
from glid_mm.study.features import (FEATURES, extract_features, features_of,
                                    read_class_folders)
from glid_mm.visualization import load_images
from tests.nano import detector, pretrainer


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return pretrainer(
        data_preprocessor=dict(mean=[127.5] * 3, std=[64.] * 3, to_rgb=True))


@pytest.fixture
def folder(tmp_path):
    """Two classes of two images each."""
    for index in range(4):
        (tmp_path / f'set/{index % 2}').mkdir(parents=True, exist_ok=True)
        Image.fromarray(render_scene(0, 'train', index, (70, 90)).image).save(
            tmp_path / f'set/{index % 2}/{index}.png')
    return tmp_path / 'set'


@torch.no_grad()
def test_features_are_those_of_a_forward_pass(model, folder):
    images, none = read_class_folders(folder)
    assert none is None and images.classes == ['0', '1']
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert [path.name
            for path in images.paths] == ['0.png', '2.png', '1.png', '3.png']
    # The batches differ in size.
    found = extract_features(model, images.paths, 64, list(FEATURES), 3)
    pixels = load_images(images.paths, (64, 64)).flip(1)
    inputs = (pixels - 127.5) / 64
    glid = model.backbone.eval()
    expected = dict(
        encoder=model.extract_feat(inputs)[3].flatten(2).mean(2),
        neck=torch.cat(
            [m.flatten(2).mean(2) for m in glid.encode(inputs, neck=True)], 1))
    centres = torch.tensor([[r, c] for r in (.25, .75) for c in (.25, .75)])
    asked = glid.queries.mask_token + sine_position(centres, 192)
    asked = torch.cat([glid.queries.cls_token[None], asked]).expand(4, -1, -1)
    answers = glid.decoder(asked, glid.features(inputs, None).memory)
    expected['decoder'] = answers[-1][:, 1:].mean(1)
    for kind, values in expected.items():
        assert found[kind].shape == values.shape
        assert (found[kind] - values).abs().max() < 1e-5, kind
        assert (values[0] - values[2]).abs().max() > 1e-3, kind


@torch.no_grad()
def test_weights_of_a_task_give_its_features(tmp_path):
    torch.manual_seed(1)
    task = detector().eval()
    torch.save(dict(state_dict=task.state_dict()), tmp_path / 'task.pth')
    probed = pretrainer().eval()
    Pretrained(str(tmp_path / 'task.pth'), FEATURES['decoder'])(
        probed.backbone)
    images = torch.randn(2, 3, 64, 64)
    mine = features_of(probed.backbone, images, list(FEATURES))
    for kind, its in features_of(task.backbone, images,
                                 list(FEATURES)).items():
        assert torch.equal(mine[kind], its), kind
        assert torch.equal(mine[kind],
                           features_of(probed.backbone, images, [kind])[kind])


def test_weights_of_another_architecture_are_refused(model, tmp_path):
    weights = {
        name: value[..., :2] if value.dim() > 1 else value
        for name, value in model.state_dict().items()
    }
    torch.save(dict(state_dict=weights), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='other.pth'):
        Pretrained(str(tmp_path / 'other.pth'), FEATURES['encoder'])(
            pretrainer().backbone)


def test_train_and_val_have_the_same_classes(folder):
    train = folder.parent / 'both/train'
    train.parent.mkdir()
    folder.rename(train)
    (train.parent / 'val').mkdir()
    for name in '01':
        (train / name).rename(train.parent / 'val' / name)
        (train / name).mkdir()
        for index in range(int(name), 4, 2):
            source = train.parent / f'val/{name}/{index}.png'
            (train / name / f'{index}.png').write_bytes(source.read_bytes())
    one, other = read_class_folders(train.parent)
    assert len(one.paths) == len(other.paths) == 4
    assert {p.parts[-3] for p in one.paths} == {'train'}
    assert {p.parts[-3] for p in other.paths} == {'val'}
    (train.parent / 'val/1').rename(train.parent / 'val/2')
    with pytest.raises(UserError, match='only one of them has 1, 2'):
        read_class_folders(train.parent)


def test_a_class_may_be_called_train(folder):
    (folder / '1').rename(folder / 'train')
    images, val = read_class_folders(folder)
    assert images.classes == ['0', 'train'] and val is None


@pytest.mark.parametrize('spoil, words', [
    (lambda path: (path / 'empty').mkdir(), 'set/empty has no images'),
    (lambda path: (path / '1').rename(path.parent / '1'), 'has 1 class fold'),
    (lambda path: path.rename(path.parent / 'gone'), 'there is no folder'),
])
def test_folders_that_are_no_classes_are_named(folder, spoil, words):
    spoil(folder)
    with pytest.raises(UserError, match=words):
        read_class_folders(folder)
