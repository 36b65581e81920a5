"""Write files atomically, and read them without running their code."""
