"""Report what is installed, missing or in conflict, and how to fix it."""
