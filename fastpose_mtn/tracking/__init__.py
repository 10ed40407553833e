"""Tracking of people: association, motion, and detections saved to be tracked again."""
