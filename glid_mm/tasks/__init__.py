"""One room per task; each imports its own host library and no other."""
