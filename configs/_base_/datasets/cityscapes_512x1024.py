# mmseg's tools/dataset_converters/cityscapes.py writes *_labelTrainIds.png.
_base_ = './ade20k_640x640.py'
dataset = dict(type='CityscapesDataset', data_root='data/cityscapes')
train_pipeline = _base_.train_pipeline
train_pipeline[1] = dict(type='glid_mm.LoadSemanticMap')
train_pipeline[2] = dict(
    type='RandomResize',
    scale=(2048, 1024),
    ratio_range=(0.5, 2.0),
    keep_ratio=True)
train_pipeline[3].crop_size = (512, 1024)
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (2048, 1024)
test_pipeline[2] = dict(type='glid_mm.LoadSemanticMap')
train_dataloader = dict(
    dataset=dict(
        **dataset,
        data_prefix=dict(
            img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        **dataset,
        data_prefix=dict(
            img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
