"""A web page to try a model: pictures in, predictions out. Needs gradio."""
from .page import build_app, run

__all__ = ['build_app', 'run']
