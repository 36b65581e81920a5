"""Mask classification, shared by the three tasks of segmentation."""
