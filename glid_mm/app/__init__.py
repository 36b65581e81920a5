"""A web page on a run: pictures in, predictions out. It needs gradio."""
from .page import build_app, run

__all__ = ['build_app', 'run']
