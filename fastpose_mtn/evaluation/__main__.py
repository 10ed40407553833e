"""``python -m fastpose_mtn.evaluation``: see ``fastpose_mtn.commands.evaluate``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.evaluate import main

    main()
