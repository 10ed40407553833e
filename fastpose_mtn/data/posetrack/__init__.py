"""PoseTrack's files: reading and writing."""
