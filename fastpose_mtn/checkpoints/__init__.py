"""Weight files: reading, writing, loading with an account, other projects' names."""
