"""Export models to files that run without PyTorch or OpenMMLab."""
from .exporting import export_onnx, export_torch
from .report import ExportReport

__all__ = ['ExportReport', 'export_onnx', 'export_torch']
