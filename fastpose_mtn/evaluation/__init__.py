"""Evaluation of poses, tracks and identities, equal to each benchmark's official numbers."""
