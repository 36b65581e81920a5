"""Weights in use."""
