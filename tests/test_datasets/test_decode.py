"""Decoded images equal those of OpenMMLab's Pillow backend."""
import io

import mmcv
import numpy as np
import pytest
from PIL import Image

from glid_mm.datasets.decode import EncodedImage, bgr
from glid_mm.scenes import render_scene


def encode(image, suffix='JPEG', **kwargs):
    file = io.BytesIO()
    image.save(file, suffix, **kwargs)
    return file.getvalue()


def oriented(image, orientation, **kwargs):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, exif=exif, **kwargs)


def decoded(data):
    return mmcv.imfrombytes(data, flag='color', backend='pillow')


def noise(mode='RGB', size=(53, 37)):
    pixels = np.random.default_rng(0).integers(
        0, 255, (size[1], size[0], 4), dtype=np.uint8)
    if mode == 'LA':
        return Image.merge('LA', [Image.fromarray(pixels[..., i])
                                  for i in (0, 3)])  # yapf: disable
    return Image.fromarray(pixels).convert('RGB').convert(mode)


FILES = {
    'colour': lambda: encode(noise()),
    'progressive': lambda: encode(noise(), progressive=True),
    'grey': lambda: encode(noise('L')),
    'CMYK': lambda: encode(noise('CMYK')),
    'palette': lambda: encode(noise('P'), 'PNG'),
    'grey with alpha': lambda: encode(noise('LA'), 'PNG'),
    'black and white': lambda: encode(noise('1'), 'PNG'),
    'bitmap': lambda: encode(noise(), 'BMP'),
    'WebP': lambda: encode(noise(), 'WEBP', lossless=True),
    'turned TIFF': lambda: oriented(noise(), 6, suffix='TIFF'),
    **{
        f'orientation {i}': lambda i=i: oriented(noise(), i)
        for i in range(1, 9)
    },
}


@pytest.mark.parametrize('kind', FILES)
def test_crop_at_full_scale_is_exact(kind):
    data = FILES[kind]()
    whole = decoded(data)
    image = EncodedImage(data, 'x')
    assert image.size == whole.shape[1::-1]
    part = image.crop((7, 5, 30, 29), size=(20, 20))
    assert np.array_equal(bgr(part.image), whole[5:29, 7:30])
    assert part.box == (0, 0, 23, 24)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_crop_at_reduced_scale_is_where_it_should_be(orientation):
    # Sides not divisible by 8, and waves that reveal a shift of one pixel.
    y, x = np.mgrid[:411, :603]
    pixels = np.stack([
        127 + 120 * np.sin(x / 17), 127 + 120 * np.sin(y / 19),
        127 + 120 * np.sin((x + y) / 23)
    ], -1)  # yapf: disable
    data = oriented(
        Image.fromarray(pixels.astype(np.uint8)), orientation, quality=95)
    width, height = EncodedImage(data, "x").size
    for box in ((0, 0, width, height), (17, 33, 320, 351),
                (width - 257, height - 300, width, height)):
        for size in ((64, 64), (120, 130), (30, 33)):
            exact = EncodedImage(data, "x").crop(box).resize(size, 'bicubic')
            part = EncodedImage(data, "x").crop(box, size)
            # The crop is reduced, but not below the requested size.
            scale = (box[2] - box[0]) / (part.box[2] - part.box[0])
            assert scale in (2, 4, 8)
            assert part.box[2] - part.box[0] >= size[0]
            assert part.box[3] - part.box[1] >= size[1]
            difference = part.resize(size, 'bicubic').astype(int) - exact
            assert np.abs(difference).mean() < 1.2, (box, size)


def test_reduced_photo_is_near_the_whole_one():
    ratios = []
    for index in range(4):
        pixels = render_scene(0, 'train', index, (480, 640)).image
        grain = np.random.default_rng(index).normal(0, 10, (480, 640, 1))
        data = encode(
            Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)),
            quality=95)
        box, size = (100, 20, 600, 440), (192, 192)
        part = EncodedImage(data, "x").crop(box, size)
        assert part.image.size == (250, 210)
        exact = EncodedImage(data, "x").crop(box).resize(size, 'bicubic')
        error = part.resize(size, 'bicubic').astype(float) - exact
        ratios.append(10 * np.log10(255**2 / (error**2).mean()))
    assert min(ratios) > 36, ratios


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
@pytest.mark.parametrize('size', [(192, 192), (40, 200), (500, 330)])
def test_resizing_is_pillows(interpolation, size):
    image = Image.fromarray(render_scene(0, 'train', 0, (240, 320)).image)
    box = (31, 7, 290, 213)
    data = encode(image, 'PNG')
    ours = EncodedImage(data, 'x').crop(box).resize(size, interpolation)
    theirs = mmcv.imresize(
        bgr(image.crop(box)),
        size,
        interpolation=interpolation,
        backend='pillow')
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 2 and difference.mean() < .02
