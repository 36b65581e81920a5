"""Data sets and their files: pictures, COCO files, folders, shards."""
