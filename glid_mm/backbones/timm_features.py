"""timm's networks as backbones and as the halves of ×Net."""
from mmengine.model import initialize
from torch import Tensor, nn

from ..errors import UserError, require
from ..models.layers.tokens import STRIDES
from ..registry import MODELS


@MODELS.register_module()
class TimmFeatures(nn.Module):
    """A classifier of timm without its head: maps at 1/4, 1/8, 1/16, 1/32.

    Weights come from a file, by ``glid_mm.Pretrained``; nothing is downloaded.

    Args:
        name: timm's name, such as ``convnext_base``.
        init_cfg: ``glid_mm.Pretrained``, to start it from a checkpoint of
            timm's network.
        **kwargs: Arguments of ``timm.create_model``, such as
            ``drop_path_rate=0.3``.

    Attributes:
        encoder (nn.ModuleList): The layers before each of the maps.
        published_names (dict[str, str]): timm's name of every weight, by its
            name here.

    Raises:
        MissingLibraryError: If timm is not installed.
        UserError: If timm lacks the network, or the network lacks the maps.
    """

    def __init__(self,
                 name: str,
                 init_cfg: dict | None = None,
                 **kwargs) -> None:
        super().__init__()
        require('timm', task=f'the network {name}')
        import timm
        from timm.models._features import FeatureListNet
        if not timm.is_model(name):
            near = timm.list_models(f'*{name.partition("_")[0]}*')[:5]
            raise UserError(f'timm has no network {name!r}' +
                            (f', but {", ".join(near)}' if near else ''))
        if kwargs.pop('pretrained', False):
            raise UserError(
                f'{name}: glid_mm downloads no weights. Give their file with '
                "init_cfg=dict(type='glid_mm.Pretrained', checkpoint=…)")
        if name.startswith('swin'):
            # Accept images of any size, like other networks.
            kwargs.setdefault('strict_img_size', False)
        network = timm.create_model(name, **kwargs)
        self._last = getattr(network, 'output_fmt', 'NCHW') == 'NHWC'
        reductions = [m['reduction'] for m in network.feature_info]
        places = [i for i, r in enumerate(reductions) if r in STRIDES]
        if [reductions[i] for i in places] != list(STRIDES):
            raise UserError(
                f'{name} has maps at 1/{", 1/".join(map(str, reductions))} '
                f'of the image; {", ".join(f"1/{s}" for s in STRIDES)} are '
                'needed, as in ConvNeXt, Swin, ResNet and EfficientNet')
        published = _names(network)
        self.encoder = nn.ModuleList()
        modules = []
        # Stages are members of the network, or of a sequence in it.
        nested = '.' in network.feature_info[places[0]]['module']
        layers = FeatureListNet(network, places, flatten_sequential=nested)
        for key, module in layers.items():
            modules.append(module)
            if key in layers.return_layers:
                self.encoder.append(nn.Sequential(*modules))
                modules = []
        self.published_names: dict[str, str] = {
            name: published[key]
            for key, name in _names(self).items()
        }
        self.init_cfg = init_cfg

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps of images ``(B, 3, H, W)``, the finest first."""
        maps = [images]
        for i in range(len(self.encoder)):
            maps.append(self.stage(i, maps[-1]))
        return maps[1:]

    def stage(self, index: int, x: Tensor) -> Tensor:
        """Compute a map from the previous one, or the first from images."""
        if self._last and index:
            x = x.movedim(1, -1)
        x = self.encoder[index](x)
        return x.movedim(-1, 1) if self._last else x

    def init_weights(self) -> None:
        """Load the weights set in ``init_cfg``.

        mmengine calls this before training.
        """
        if self.init_cfg is not None:
            initialize(self, self.init_cfg)


def _names(module: nn.Module) -> dict[int, str]:
    """Names of weights by the ``id`` of their tensors."""
    weights = module.state_dict(keep_vars=True)
    return {id(value): name for name, value in weights.items()}
