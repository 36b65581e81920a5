_base_ = './semantic.py'
# Depth maps are padded with it, too: unknown.
data_preprocessor = dict(seg_pad_val=0)
