"""Read, match, resize, report and convert weights."""
