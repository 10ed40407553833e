"""``python -m fastpose_mtn.export``: see ``fastpose_mtn.commands.export``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.export import main

    main()
