"""Test images in many formats, with the pixels they should show."""
import io
import struct

import cv2
import numpy as np
from PIL import Image, ImageCms

# Background behind transparent pixels: the ImageNet mean.
BEHIND = np.array([124, 117, 104])


def encode(image, suffix, **kwargs):
    file = io.BytesIO()
    image.save(file, suffix, **kwargs)
    return file.getvalue()


def noted(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def waves():
    """``(40, 56, 3)``, smooth enough for JPEG and without any symmetry."""
    y, x = np.mgrid[:40, :56]
    planes = 60 + 2 * x, 200 - 3 * y, 127 + 50 * np.sin((x + 2 * y) / 14)
    return np.stack(planes, -1).astype(np.uint8)


def hole():
    """``(40, 56)`` alpha with opaque, transparent and translucent areas."""
    alpha = np.full((40, 56), 255, np.uint8)
    alpha[10:20, 10:30], alpha[25:, 40:] = 0, 100
    return alpha


def over(pixels, alpha):
    """Blend pixels with the background."""
    alpha = alpha[..., None] / 255
    return pixels * alpha + BEHIND * (1 - alpha)


def spread(grey):
    return np.repeat(grey[..., None], 3, 2)


# How an image stored with each EXIF orientation looks, from the standard's
# table of where row 0 and column 0 are.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[:, ::-1].transpose(1, 0, 2),
}


def ycck(pixels):
    """A YCCK JPEG as Photoshop writes it: luma, two chromas and black."""
    # All planes are stored inverted; the first three encode the ink.
    ink = Image.fromarray(255 - pixels).convert('YCbCr')
    planes = [np.asarray(band) for band in ink.split()]
    black = np.full(planes[0].shape, 255, np.uint8)
    planes = [Image.fromarray(255 - plane) for plane in (*planes, black)]
    cmyk = Image.merge('CMYK', planes)
    data = encode(cmyk, 'JPEG', quality=98, subsampling=0)
    marker = data.index(b'Adobe')
    assert data[marker + 11] == 0
    return data[:marker + 11] + b'\x02' + data[marker + 12:]


def animated(suffix):
    frames = [Image.fromarray(waves()).convert('P', colors=200)
              for _ in range(2)]  # yapf: disable
    frames[1] = frames[1].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if suffix != 'GIF':
        frames = [frame.convert('RGB') for frame in frames]
    options = dict(lossless=True) if suffix == 'WEBP' else {}
    data = encode(
        frames[0], suffix, save_all=True, append_images=frames[1:], **options)
    return data, np.asarray(frames[0].convert('RGB'))


def pictures():
    """File, RGB pixels and tolerance of each kind."""
    rgb = waves()
    grey, alpha = rgb[..., 1], hole()
    image, flat = Image.fromarray(rgb), Image.fromarray(grey)
    wide = grey.astype(np.uint16) * 257
    paletted = image.convert('P', colors=200)
    cutout = Image.fromarray(np.dstack([rgb, alpha]))
    lab = ImageCms.applyTransform(
        image,
        ImageCms.buildTransform(
            ImageCms.createProfile('sRGB'), ImageCms.createProfile('LAB'),
            'RGB', 'LAB'))
    lossless = np.asarray(paletted.convert('RGB'))
    index = np.asarray(paletted)
    kinds = {
        'JPEG': (encode(image, 'JPEG', quality=95), rgb, 8),
        'progressive JPEG':
        (encode(image, 'JPEG', quality=95, progressive=True), rgb, 8),
        'grey JPEG': (encode(flat, 'JPEG', quality=95), spread(grey), 5),
        'CMYK JPEG': (encode(image.convert('CMYK'), 'JPEG',
                             quality=95), rgb, 8),
        'YCCK JPEG': (ycck(rgb), rgb, 12),
        'JPEG with a broken note':
        (encode(image, 'JPEG', quality=95,
                exif=b'Exif\0\0II*\0\xff\xff'), rgb, 8),
        'PNG': (encode(image, 'PNG'), rgb, 0),
        'grey PNG': (encode(flat, 'PNG'), spread(grey), 0),
        'black and white': (encode(Image.fromarray(grey > 150),
                                   'PNG'), spread((grey > 150) * 255), 0),
        'palette': (encode(paletted, 'PNG'), lossless, 0),
        'transparent palette':
        (encode(paletted, 'PNG', transparency=int(index[5, 5])),
         over(lossless, (index != index[5, 5]) * 255), .5),
        'transparent colour':
        (encode(image, 'PNG', transparency=tuple(map(int, rgb[5, 5]))),
         over(rgb, (rgb != rgb[5, 5]).any(-1) * 255), .5),
        'alpha': (encode(cutout, 'PNG'), over(rgb, alpha), 1),
        'opaque alpha': (encode(image.convert('RGBA'), 'PNG'), rgb, 0),
        'grey with alpha':
        (encode(Image.merge('LA', [flat, Image.fromarray(alpha)]),
                'PNG'), over(spread(grey), alpha), 1),
        'WebP with alpha': (encode(cutout, 'WEBP', lossless=True,
                                   exact=True), over(rgb, alpha), 1),
        'WebP': (encode(image, 'WEBP', lossless=True), rgb, 0),
        '16 bits, PNG': (encode(Image.fromarray(wide),
                                'PNG'), spread(grey), 0),
        '16 bits, TIFF': (encode(Image.fromarray(wide),
                                 'TIFF'), spread(grey), 0),
        '16 bits, PGM': (cv2.imencode('.pgm',
                                      wide)[1].tobytes(), spread(grey), 0),
        '16 bits, colour': (cv2.imencode(
            '.png',
            rgb[..., ::-1].astype(np.uint16) * 257)[1].tobytes(), rgb, 0),
        'TIFF': (encode(image, 'TIFF'), rgb, 0),
        'LAB TIFF': (encode(lab, 'TIFF'), rgb, 20),
        'BMP': (encode(image, 'BMP'), rgb, 0),
        'PPM': (encode(image, 'PPM'), rgb, 0),
        'GIF': (encode(paletted, 'GIF'), lossless, 0),
        'animated GIF': (*animated('GIF'), 0),
        'animated WebP': (*animated('WEBP'), 0),
        'pages of a TIFF': (*animated('TIFF'), 0),
    }
    for number, turn in UPRIGHT.items():
        kinds[f'orientation {number}'] = (encode(
            image, 'JPEG', quality=95, exif=noted(number)), turn(rgb), 8)
    for suffix in ('PNG', 'WEBP', 'TIFF'):
        lossless = dict(lossless=True) if suffix == 'WEBP' else {}
        kinds[f'turned {suffix}'] = (encode(
            image, suffix, exif=noted(6), **lossless), UPRIGHT[6](rgb), 0)
    return kinds


def taller(tiff):
    """A TIFF whose header claims more rows than the file holds."""
    entry = tiff.index(struct.pack('<HHI', 257, 4, 1)) + 8
    assert tiff[entry] == 40
    return tiff[:entry] + struct.pack('<I', 400) + tiff[entry + 4:]


def refused():
    """File and error message of each kind that is refused."""
    rgb = waves()
    image = Image.fromarray(rgb)
    photo, drawing = encode(image, 'JPEG'), encode(image, 'PNG')
    return {
        'float TIFF':
        (encode(Image.fromarray(rgb[..., 0] / np.float32(255)),
                'TIFF'), '32-bit .*Save it with 8 bits'),
        '32-bit TIFF':
        (encode(Image.fromarray(rgb[..., 0].astype(np.int32)),
                'TIFF'), '32-bit .*Save it with 8 bits'),
        'empty': (b'', 'the file is empty'),
        'HEIC': (b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(100),
                 'HEIC. Convert it to JPEG'),
        'web page': (b'<html>404</html>', 'not an image that Pillow can read'),
        'JPEG, header': (photo[:3], 'not an image|truncated'),
        'JPEG, half': (photo[:len(photo) // 2], '[Tt]runcated'),
        'JPEG, nearly all': (photo[:-60], '[Tt]runcated'),
        'PNG, half': (drawing[:len(drawing) // 2], ''),
        'GIF, half': (encode(image.convert('P'),
                             'GIF')[:1000], '[Tt]runcated'),
        'WebP, half': (encode(image, 'WEBP', lossless=True)[:200], ''),
        'TIFF, half': (encode(image, 'TIFF')[:3000], ''),
        'TIFF with a gap': (taller(encode(image, 'TIFF')), 'do not cover'),
    }
