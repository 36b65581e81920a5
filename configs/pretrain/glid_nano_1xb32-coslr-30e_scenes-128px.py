_base_ = [
    '../_base_/models/glid_nano_pretrain.py',
    '../_base_/datasets/scenes_pretrain_128.py',
    '../_base_/schedules/pretrain_nano.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    head=dict(norm_pix=True),
    # An image has only 16 units; a quarter of them would show too little.
    # Measurements of this and of norm_pix: docs/notes/design.md.
    mask_ratio=0.5)
default_hooks = dict(reconstruction=dict(interval=200))
