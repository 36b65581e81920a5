# mmdet's MaskFormer on GLID's encoder, for small images and small machines.
_base_ = '../data_preprocessors/masks.py'
attention = dict(embed_dims=96, num_heads=6, batch_first=True)
ffn = dict(embed_dims=96, feedforward_channels=384, num_fcs=2)
positional_encoding = dict(num_feats=48, normalize=True)
model = dict(
    type='MaskFormer',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(type='glid_mm.GLIDEncoder', encoder=dict(arch='nano')),
    panoptic_head=dict(
        type='MaskFormerHead',
        in_channels=[32, 64, 128, 256],
        feat_channels=96,
        out_channels=96,
        num_things_classes=4,
        num_stuff_classes=0,
        num_queries=50,
        pixel_decoder=dict(
            type='TransformerEncoderPixelDecoder',
            norm_cfg=dict(type='GN', num_groups=32),
            act_cfg=dict(type='ReLU'),
            encoder=dict(
                num_layers=2,
                layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn)),
            positional_encoding=positional_encoding),
        enforce_decoder_input_project=False,
        positional_encoding=positional_encoding,
        transformer_decoder=dict(
            num_layers=4,
            layer_cfg=dict(
                self_attn_cfg=attention, cross_attn_cfg=attention,
                ffn_cfg=ffn),
            return_intermediate=True),
        loss_cls=dict(
            type='CrossEntropyLoss',
            loss_weight=1.0,
            reduction='mean',
            class_weight=[1.0] * 4 + [0.1]),
        loss_mask=dict(type='FocalLoss', reduction='mean', loss_weight=20.0),
        loss_dice=dict(
            type='DiceLoss',
            activate=True,
            reduction='mean',
            naive_dice=True,
            eps=1.0,
            loss_weight=1.0)),
    panoptic_fusion_head=dict(
        type='MaskFormerFusionHead',
        num_things_classes=4,
        num_stuff_classes=0,
        loss_panoptic=None),
    train_cfg=dict(
        assigner=dict(
            type='HungarianAssigner',
            match_costs=[
                dict(type='ClassificationCost', weight=1.0),
                dict(type='FocalLossCost', weight=20.0, binary_input=True),
                dict(type='DiceCost', weight=1.0, pred_act=True, eps=1.0)
            ]),
        sampler=dict(type='MaskPseudoSampler')),
    test_cfg=dict(panoptic_on=False, instance_on=True, max_per_image=100))
