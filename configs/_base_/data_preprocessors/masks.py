_base_ = './detection.py'
data_preprocessor = dict(pad_size_divisor=32)
