"""``python -m fastpose_mtn.export``: see ``fastpose_mtn.commands.export``."""
