"""``python -m fastpose_mtn.engine.samples``: see ``fastpose_mtn.commands.samples``."""

if __name__ == "__main__":
    from fastpose_mtn.commands.samples import main

    main()
