"""Hooks that every task has."""
