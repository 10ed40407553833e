"""MOTChallenge's evaluation of boxes and identities, as its official kit (TrackEval) counts."""
