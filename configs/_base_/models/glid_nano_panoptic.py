_base_ = './glid_nano_masks.py'
model = dict(
    test_cfg=dict(object_mask_thr=0.8, iou_thr=0.8, filter_low_score=True))
