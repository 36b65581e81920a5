"""Learning rates and weight decay of GLID's parts."""
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ..errors import UserError
from ..registry import OPTIM_WRAPPER_CONSTRUCTORS

ENCODER = 'backbone.encoder.'
#: Start of log messages about groups of parameters.
GROUP = 'optimizer: '


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GLIDOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Group a model's parameters by learning rate and weight decay.

    Norms, biases and other one-dimensional parameters have no weight decay,
    nor do parameters that a module lists in ``no_weight_decay()``. Frozen
    parameters are left out.

    Args:
        optim_wrapper_cfg: The optimizer wrapper and its ``optimizer``, with
            ``lr``.
        paramwise_cfg:

            - ``encoder_lr_mult`` (float): Factor of the learning rate in
              ``backbone.encoder``. Defaults to 1.
            - ``layer_decay`` (float, optional): Further factor per block,
              counted from the encoder's end: the last block has it once,
              the patch embedding once more than the first block.

    Raises:
        UserError: If ``paramwise_cfg`` has another key, or the model has no
            encoder to apply it to.
    """

    def __init__(self,
                 optim_wrapper_cfg: dict,
                 paramwise_cfg: dict | None = None) -> None:
        rules = dict(encoder_lr_mult=1., layer_decay=None)
        unknown = set(paramwise_cfg or {}) - set(rules)
        if unknown:
            raise UserError(
                f'paramwise_cfg has unknown keys: {", ".join(sorted(unknown))}'
                f'. GLIDOptimWrapperConstructor takes {", ".join(rules)}')
        super().__init__(optim_wrapper_cfg, {**rules, **(paramwise_cfg or {})})

    def add_params(self, params: list, module: nn.Module, **kwargs) -> None:
        """Add the groups of a model.

        Args:
            params (list[dict]): List of groups, to which the model's groups
                are added.
            module: The model.
            kwargs: Not used.
        """
        mult, decay = (
            self.paramwise_cfg[k] for k in ('encoder_lr_mult', 'layer_decay'))
        no_decay = _no_weight_decay(module)
        depths = _depths(module) if decay is not None else {}
        groups = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            factor = 1.
            if name.startswith(ENCODER):
                factor = mult
                if decay is not None:
                    factor *= decay**_blocks_from_end(name, depths)
            decays = param.ndim > 1 and name not in no_decay
            groups.setdefault((factor, decays), []).append((name, param))
        if (mult != 1. or decay is not None) and not any(
                name.startswith(ENCODER)
                for name, _ in module.named_parameters()):
            raise UserError('paramwise_cfg applies to the encoder, but no '
                            f'parameter of the model is in {ENCODER}*')
        if decay is not None and not sum(depths):
            raise UserError(
                'paramwise_cfg.layer_decay applies to the blocks of a GLID '
                f'encoder, but no parameter is in {ENCODER}stages.*.blocks.*')
        for (factor, decays), members in groups.items():
            group = dict(params=[param for _, param in members])
            if self.base_lr is not None:
                group['lr'] = self.base_lr * factor
            if not decays:
                group['weight_decay'] = 0.
            params.append(group)
            print_log(
                f'{GROUP}{len(members)} parameters from {members[0][0]} on: '
                f'learning rate × {factor:.4g}, weight decay '
                f'{"as configured" if decays else "0"}', 'current')


def _no_weight_decay(model: nn.Module) -> set:
    """Full names of parameters that modules exempt from weight decay."""
    return {
        f'{prefix}.{name}' if prefix else name
        for prefix, module in model.named_modules()
        if hasattr(module, 'no_weight_decay')
        for name in module.no_weight_decay()
    }


def _depths(model: nn.Module) -> list:
    """Blocks of each of the encoder's stages."""
    stages = {}
    for name, _ in model.named_parameters():
        part = name[len(ENCODER):].split('.')
        if name.startswith(ENCODER) and part[0] == 'stages':
            blocks = stages.setdefault(int(part[1]), set())
            if part[2] == 'blocks':
                blocks.add(int(part[3]))
    return [len(stages[i]) for i in sorted(stages)]


def _blocks_from_end(name: str, depths: list) -> int:
    """The exponent of the layer decay for a parameter of the encoder."""
    part = name[len(ENCODER):].split('.')
    if part[0] == 'stages':
        stage = int(part[1])
        # Layers that lead into a stage learn like its first block.
        block = int(part[3]) if part[2] == 'blocks' else 0
        before = sum(depths[:stage]) + block
    elif part[0] == 'norms':
        # The norm of a stage's output learns like the stage's last block.
        before = sum(depths[:int(part[1]) + 1]) - 1
    else:
        before = -1
    return sum(depths) - before
