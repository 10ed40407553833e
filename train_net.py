#!/usr/bin/env python
"""Trains and evaluates a network: Detectron2's arguments, with Detectron2's meaning."""

from fastpose_mtn.commands.train import main

if __name__ == "__main__":
    main()
