"""One package per task; each imports only its own host library."""
