#!/usr/bin/env python
"""Finds the people of videos, images, cameras and streams: their boxes, joints and identities, frame by frame."""

from fastpose_mtn.commands.track import main

if __name__ == "__main__":
    main()
