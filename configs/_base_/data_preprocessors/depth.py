_base_ = './semantic.py'
# Also the padding of depth maps, where 0 means unknown.
data_preprocessor = dict(seg_pad_val=0)
