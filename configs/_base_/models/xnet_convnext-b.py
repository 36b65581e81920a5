# Encoder and decoder are two copies of one classifier. model.backbone.init_cfg
# loads their weights from a file: docs/xnet.md.
convnext_b = dict(
    type='glid_mm.TimmFeatures', name='convnext_base', drop_path_rate=0.3)
model = dict(
    backbone=dict(
        type='glid_mm.XNet',
        encoder=convnext_b,
        classifier=convnext_b,
        channels=256))
