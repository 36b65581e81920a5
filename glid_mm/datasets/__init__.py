"""Data: the Scenes generator, label fractions and transforms."""
