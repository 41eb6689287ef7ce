"""What was fitted, as a folder: data only, never code, never pickle."""
