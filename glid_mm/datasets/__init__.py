"""Data: the Scenes generator and transforms."""
