_base_ = './glid_nano_masks.py'
model = dict(
    test_cfg=dict(panoptic_on=False, instance_on=True, max_per_image=100))
