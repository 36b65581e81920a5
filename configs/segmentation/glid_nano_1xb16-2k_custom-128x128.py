# A small model for small crops of your own images; for files and settings, see
# glid_swin-b_8xb2-40k_custom-640x640.py.
_base_ = './glid_nano_1xb16-2k_coco-panoptic-semantic-128x128.py'
data_root = 'data/custom'
classes = ('road', 'tree', 'house')

dataset = dict(
    _delete_=True,
    type='glid_mm.SemanticDataset',
    data_root=data_root,
    metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=_base_.train_pipeline,
        **dataset))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=_base_.test_pipeline,
        **dataset))
test_dataloader = val_dataloader
model = dict(decode_head=dict(num_classes=len(classes)))
