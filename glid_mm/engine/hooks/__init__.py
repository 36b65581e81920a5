"""Hooks for all tasks."""
