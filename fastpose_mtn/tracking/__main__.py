"""``python -m fastpose_mtn.tracking``: see ``fastpose_mtn.commands.retrack``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.retrack import main

    main()
