"""Files: written atomically, and read without running code in them."""
