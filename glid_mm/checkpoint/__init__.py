"""Reading, matching, resizing, reporting and converting weights."""
