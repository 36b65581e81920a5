"""Mask classification: what the three tasks of segmentation share."""
