"""Check that there is a query for each keypoint of the data."""
from ...engine.hooks.data_check_hook import DataCheckHook
from ...errors import UserError
from ...registry import HOOKS


@HOOKS.register_module()
class KeypointCheckHook(DataCheckHook):
    """Stop before the first batch if keypoints of model and data differ."""

    def check(self, model, dataset) -> None:
        """See :class:`DataCheckHook`."""
        queries = model.backbone.queries.num_queries
        names = list(dataset.metainfo['keypoint_id2name'].values())
        if queries != len(names):
            raise UserError(
                f'backbone.num_queries is {queries}, but the data set '
                f'({dataset.ann_file}) has {len(names)} keypoints: '
                f'{", ".join(names)}. Set '
                f'model.backbone.num_queries={len(names)}, or give the data '
                'sets the metainfo of the keypoints that the model has.')
