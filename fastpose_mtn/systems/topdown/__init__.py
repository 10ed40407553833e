"""What top-down networks share: a person's crop in, joints out, on any detector's boxes."""
