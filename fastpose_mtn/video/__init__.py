"""Video in, people out: sources, the pipeline between them, and everything that is written."""
