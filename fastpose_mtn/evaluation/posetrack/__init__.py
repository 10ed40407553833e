"""PoseTrack's AP and MOT, equal to poseval's."""
