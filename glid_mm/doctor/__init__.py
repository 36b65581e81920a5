"""What is installed, what is missing, what clashes, and each cure."""
